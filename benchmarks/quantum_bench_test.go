package benchmarks

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/probelane/probelane/benchmarks/internal/rows"
	"github.com/probelane/probelane/examples/flood"
)

// hardToCut are values of which a single part is most of the response, or that
// are nothing but small parts.
var hardToCut = []payload{
	{"string", "50MB", 50_000_000, func() any { return longText(50_000_000) }},
	{"bytes", "50MB", 50_000_000, func() any { return []byte(longText(37_500_000)) }},
	{"oneOfThree", "50MB", 50_000_000, func() any {
		return []any{records(4)(), records(173_000)(), records(4)()}
	}},
	{"stringsInMap", "50MB", 50_000_000, func() any {
		return map[string]rows.Article{"a": {Title: "short"}, "b": {Body: longText(50_000_000)}}
	}},
	{"mapByString", "million", 20_900_000, func() any {
		m := make(map[string]int, 1_000_000)
		for i := range 1_000_000 {
			m[fmt.Sprintf("account/%07d", i*7919%1_000_000)] = i
		}
		return m
	}},
	{"mapByInt", "million", 20_900_000, func() any {
		m := make(map[int]string, 1_000_000)
		for i := range 1_000_000 {
			m[i*7919] = cities[i%len(cities)]
		}
		return m
	}},
	{"array", "million", 6_900_000, func() any {
		a := new([1_000_000]int)
		for i := range a {
			a[i] = i
		}
		return a
	}},
}

// longText has something to escape in every line.
func longText(n int) string {
	b := make([]byte, 0, n+128)
	for len(b) < n {
		b = append(b, sayings[len(b)%len(sayings)]...)
		b = append(b, '\n')
	}
	return string(b[:n])
}

// quantumPeers are measured beside probelane with two of the payloads: one that
// Go can interrupt, every 10 ms, and one that it cannot.
var quantumPeers = []string{"encoding-json-Encoder", "sonic-Std-Encoder"}

// BenchmarkQuantum encodes on a single processor beside a goroutine that asks
// for a turn, again and again, and reports how long it had to wait for one: from
// outside, the time between two points at which the encoder gives way. Turns that
// are over within shortestQuantum are no quanta and do not count, or there would
// be as many more of them as it takes to make any quantile look good.
//
// The garbage collector, which takes turns of its own, is off meanwhile.
func BenchmarkQuantum(b *testing.B) {
	var cases []payload
	for _, p := range payloads {
		if p.size == "18MB" {
			cases = append(cases, p)
		}
	}
	for _, p := range slices.Concat(cases, hardToCut) {
		b.Run(p.name(), func(b *testing.B) {
			v := p.build()
			for _, variant := range variants {
				beside := (p.kind == "clients" || p.kind == "document") && slices.Contains(quantumPeers, variant.name)
				if variant.name != "probelane-Encode" && variant.name != "probelane-Marshal" && !beside {
					continue
				}
				b.Run(variant.String(), func(b *testing.B) { measureQuanta(b, variant, v) })
			}
		})
	}
}

// shortestQuantum is well above the time of a switch to another goroutine and
// back, and below that of any quantum.
const shortestQuantum = 5 * time.Microsecond

func measureQuanta(b *testing.B, variant variant, v any) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	encode := variant.start(b)
	want, err := size(encode, v) // compiles what is compiled per type
	if err != nil {
		b.Fatal(err)
	}
	settle()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(4 << 30))

	var gaps []time.Duration
	for b.Loop() {
		gaps = append(gaps, gapsWhile(func() {
			if n, err := size(encode, v); n != want || err != nil {
				b.Fatalf("%d bytes and error %v, want %d bytes", n, err, want)
			}
		})...)
	}
	reportQuantiles(b, gaps, "quantum")
	b.ReportMetric(float64(len(gaps)), "quanta")
}

// gapsWhile runs f, and returns how long another goroutine waited for each of
// its turns meanwhile.
func gapsWhile(f func()) (gaps []time.Duration) {
	var ended atomic.Bool
	began, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		close(began)
		for last := time.Now(); ; {
			over := ended.Load()
			now := time.Now()
			if gap := now.Sub(last); gap > shortestQuantum {
				gaps = append(gaps, gap)
			}
			if over {
				return
			}
			last = time.Now() // append may have taken its time
			runtime.Gosched()
		}
	}()
	<-began
	f()
	ended.Store(true)
	<-done
	return gaps
}

// reportQuantiles reports latencies in milliseconds.
func reportQuantiles(b *testing.B, latencies []time.Duration, what string) {
	slices.Sort(latencies)
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}} {
		d := flood.Quantile(latencies, q.share)
		b.ReportMetric(math.Round(d.Seconds()*1e7)/1e4, q.name+"-"+what+"-ms")
	}
}
