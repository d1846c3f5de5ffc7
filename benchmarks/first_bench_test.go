package benchmarks

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/probelane/probelane/encoder"
)

// firstEncodeOf names, in a child's environment, the payload that it encodes
// first of all and whether it warms up before.
const firstEncodeOf, warmsUp = "PROBELANE_FIRST_ENCODE", "PROBELANE_WARM"

// firstEncode is what a child reports.
type firstEncode struct {
	Warm, First, Second time.Duration
	Pid                 int
}

// BenchmarkFirst starts a process for each operation, and reports how long
// it took that one to encode its first response, a small one, and its second:
// the first of a type compiles it. With warming that was done before, as a service
// does before it is ready. The time of an operation is that of a process.
func BenchmarkFirst(b *testing.B) {
	for _, p := range payloads {
		if p.size != "1KB" {
			continue
		}
		for _, start := range []string{"cold", "warmed"} {
			b.Run(p.name()+"/"+start, func(b *testing.B) {
				var warm, first, second []time.Duration
				for b.Loop() {
					f := startFirstEncode(b, p, start == "warmed")
					warm, first, second = append(warm, f.Warm), append(first, f.First), append(second, f.Second)
				}
				for _, m := range []struct {
					unit string
					of   []time.Duration
				}{{"warm-ms", warm}, {"first-ms", first}, {"second-ms", second}} {
					slices.Sort(m.of)
					b.ReportMetric(float64(m.of[len(m.of)/2].Microseconds())/1e3, m.unit)
				}
			})
		}
	}
}

// startFirstEncode runs TestFirstEncodeInChild in a process of its own.
func startFirstEncode(tb testing.TB, p payload, warm bool) (f firstEncode) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run", "^TestFirstEncodeInChild$")
	cmd.Env = append(os.Environ(), firstEncodeOf+"="+p.name())
	if warm {
		cmd.Env = append(cmd.Env, warmsUp+"=1")
	}
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	// The testing package says PASS after it.
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if err := stdjson.Unmarshal(line, &f); err != nil {
		tb.Fatalf("%v in %q", err, out)
	}
	return f
}

// TestFirstEncodeInChild is the child.
func TestFirstEncodeInChild(t *testing.T) {
	name := os.Getenv(firstEncodeOf)
	if name == "" {
		t.Skip("it is run by the benchmark")
	}
	at := slices.IndexFunc(payloads, func(p payload) bool { return p.name() == name })
	v := payloads[at].build()
	e := newEncoder(t)
	var f firstEncode
	if os.Getenv(warmsUp) != "" {
		began := time.Now()
		encoder.Warm(v)
		f.Warm = time.Since(began)
	}
	for _, took := range []*time.Duration{&f.First, &f.Second} {
		began := time.Now()
		if _, err := e.Encode(context.Background(), &output{}, v); err != nil {
			t.Fatal(err)
		}
		*took = time.Since(began)
	}
	f.Pid = os.Getpid()
	if err := stdjson.NewEncoder(os.Stdout).Encode(f); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFirstEncodeHasAProcess(t *testing.T) {
	for _, warm := range []bool{false, true} {
		f := startFirstEncode(t, payloads[0], warm)
		if f.Pid == os.Getpid() || f.First <= 0 || f.Second <= 0 || (f.Warm > 0) != warm {
			t.Errorf("warm %t: %+v in process %d", warm, f, os.Getpid())
		}
	}
}
