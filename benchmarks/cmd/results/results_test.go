package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/probelane/probelane/benchmarks/internal/starve"
)

const recorded = `date: 2026-01-02 03:04 UTC
cpu: Some CPU
BenchmarkEncode/clients/18MB/a-2   	     100	  2000 ns/op	 9200.00 MB/s
BenchmarkEncode/clients/18MB/b-2   	     100	  1000 ns/op	 18400.00 MB/s
PASS
BenchmarkEncode/clients/18MB/a-2   	     100	  4000 ns/op	 4600.00 MB/s
BenchmarkEncode/clients/18MB/b-2   	     100	  1000 ns/op	 18400.00 MB/s
`

func TestReadSamples(t *testing.T) {
	s, err := readSamples(strings.NewReader(recorded))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Encode/clients/18MB/a", "Encode/clients/18MB/b"}; !slices.Equal(s.names, want) {
		t.Errorf("names %v, want %v", s.names, want)
	}
	if got := s.of("Encode/clients/18MB/a", "ns/op"); !slices.Equal(got, []float64{2000, 4000}) {
		t.Errorf("a's times are %v", got)
	}
	if s.header["cpu"] != "Some CPU" || s.header["date"] != "2026-01-02 03:04 UTC" {
		t.Errorf("header %v", s.header)
	}
	if s.rounds() != 2 {
		t.Errorf("%d rounds, want 2", s.rounds())
	}
	if got := s.under("Encode/clients/18MB"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("under the payload: %v", got)
	}
}

func TestWhatIsRecordedIsRead(t *testing.T) {
	var b bytes.Buffer
	if err := record(&b, "Flood/shared/64clients/stream", []starve.Metric{{Value: 117.25, Unit: "responses/s"}, {Value: 0, Unit: "failed"}}); err != nil {
		t.Fatal(err)
	}
	s, err := readSamples(&b)
	if err != nil {
		t.Fatal(err)
	}
	name := "Flood/shared/64clients/stream"
	if got := s.of(name, "responses/s"); !slices.Equal(got, []float64{117.25}) {
		t.Errorf("responses/s %v", got)
	}
	if got := s.of(name, "failed"); !slices.Equal(got, []float64{0}) {
		t.Errorf("failed %v", got)
	}
}

func TestMalformedSamplesAreAnError(t *testing.T) {
	for _, line := range []string{"BenchmarkA 1 12", "BenchmarkA 1 x ns/op"} {
		if s, err := readSamples(strings.NewReader(line + "\n")); err == nil {
			t.Errorf("%q was read as %v", line, s)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"of none", nil, 0},
		{"of one", []float64{3}, 3},
		{"of an odd number in any order", []float64{9, 1, 5}, 5},
		{"of an even number", []float64{4, 1, 2, 9}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := median(c.values); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	// The second round was on a machine half as fast, which says nothing about
	// the ratio.
	got := ratios([]float64{100, 50, 90}, []float64{50, 25, 0})
	if !slices.Equal(got, []float64{2, 2}) {
		t.Errorf("got %v, want two of 2", got)
	}
}

const abSaid = `Concurrency Level:      100
Complete requests:      1000
Failed requests:        2
   (Connect: 0, Receive: 0, Length: 2, Exceptions: 0)
Non-2xx responses:      3
Requests per second:    951.23 [#/sec] (mean)

Percentage of the requests served within a certain time (ms)
  50%    102
  66%    103
  95%    107
  99%    109
 100%    112 (longest request)
`

func TestParseAB(t *testing.T) {
	got, err := parseAB(abSaid)
	if err != nil {
		t.Fatal(err)
	}
	want := []starve.Metric{{Value: 951.23, Unit: "requests/s"}, {Value: 102, Unit: "p50-ms"},
		{Value: 107, Unit: "p95-ms"}, {Value: 112, Unit: "max-ms"}, {Value: 5, Unit: "failed"}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if _, err := parseAB("apr_socket_recv: Connection refused (111)\n"); err == nil {
		t.Error("no figures are no error")
	}
}

const wrkSaid = `Running 4s test @ http://127.0.0.1:8080/small
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   520.31us  210.02us   9.12ms   91.20%
    Req/Sec    61.35k     2.32k   66.10k    70.00%
  Latency Distribution
     50%  496.00us
     75%  566.00us
     90%  681.00us
     99%    1.12ms
  244141 requests in 4.00s, 42.60MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  61035.02
Transfer/sec:     10.65MB
`

func TestParseWrk(t *testing.T) {
	got, err := parseWrk(wrkSaid)
	if err != nil {
		t.Fatal(err)
	}
	want := []starve.Metric{{Value: 61035.02, Unit: "requests/s"}, {Value: 0.496, Unit: "p50-ms"},
		{Value: 1.12, Unit: "p99-ms"}, {Value: 12, Unit: "failed"}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestGoalsSpeakOfWhatTheSectionsRecord(t *testing.T) {
	// One sample of everything that the sections of servers record.
	recorded := map[string]bool{
		"AB/sleep100ms/plain": true, "AB/sleep100ms/guarded": true,
		"Wrk/small/plain": true, "Wrk/small/guarded": true,
	}
	for _, c := range floodCases {
		recorded["Flood/"+c.name()] = true
	}
	for _, c := range slowCases {
		recorded["Slow/"+c.name()] = true
	}
	for _, c := range endured {
		recorded["Endure/"+c.name()] = true
	}
	for _, server := range idleServers {
		recorded["Lane/idle/"+server] = true
	}
	for _, name := range costCases {
		recorded["Lane/cost/"+name] = true
	}
	for _, server := range lanePair {
		recorded["Lane/kept/"+server], recorded["Lane/new/"+server] = true, true
	}
	for _, kind := range []string{"clients", "records", "maps", "document"} {
		for _, size := range []string{"1KB", "64KB", "1MB", "18MB", "180MB"} {
			for _, v := range []string{"encoding-json-Marshal", "sonic-Std-Marshal", "sonic-EncodeInto-limit", "probelane-Marshal", "probelane-Encode"} {
				recorded["Encode/"+kind+"/"+size+"/"+v] = true
			}
		}
		recorded["Quantum/"+kind+"/18MB/probelane-Encode"] = true
	}
	for _, c := range compressing {
		recorded[compressedName+c.server] = true
	}
	for _, server := range loopbackServers {
		recorded["Loopback/"+server] = true
	}
	for _, server := range fairServers {
		recorded["FairnessHTTP/page/"+server] = true
	}
	recorded["Fairness/beside64/probelane-Encode"] = true
	recorded["StopTheWorld/probelane-Encode"] = true
	s := samples{names: slices.Sorted(maps.Keys(recorded)), values: map[string]map[string][]float64{}}
	for name := range recorded {
		s.values[name] = map[string][]float64{}
		for _, unit := range []string{"ns/op", "worst-stop-ms", "p50-ms", "p95-ms", "p99-ms", "requests/s", "responses/s", "failed", "peak-MB", "p99.9-quantum-ms", "p99-response-ms", "p99-of-all-ms", "MB/s"} {
			s.values[name][unit] = []float64{1}
		}
	}
	for _, g := range goals {
		if _, known := g.measure(s); !known {
			t.Errorf("nothing is ever measured for %q", g.text)
		}
		if !slices.ContainsFunc(sections, func(have section) bool { return have.name == g.section }) {
			t.Errorf("%q is of a section %q that does not exist", g.text, g.section)
		}
	}
}

func TestVerdict(t *testing.T) {
	s := samples{
		names: []string{"q/rows/probelane-Encode", "q/maps/probelane-Encode", "q/maps/other"},
		values: map[string]map[string][]float64{
			"x":                       {"failed": {0, 0, 1}, "p99-ms": {5, 50, 6}},
			"q/rows/probelane-Encode": {"ms": {1, 2, 9}}, "q/maps/probelane-Encode": {"ms": {1, 3, 4}}, "q/maps/other": {"ms": {70}},
		},
	}
	for _, c := range []struct {
		name              string
		goal              goal
		measured, verdict string
	}{
		{"a single failed probe in any round", goal{measure: most("x", "failed"), reached: atMost(0), format: "%.0f"}, "1", "**no**"},
		{"a latency by its median", goal{measure: middle("x", "p99-ms"), reached: atMost(12), format: "%.0f ms"}, "6 ms", "yes"},
		{"the worst of several by its name", goal{measure: slowest("q", "ms"), reached: atMost(1), format: "%.0f ms"}, "3 ms (maps, Encode)", "**no**"},
		{"nothing measured", goal{measure: middle("y", "p99-ms"), reached: atMost(12), format: "%.0f ms"}, "–", "not measured"},
	} {
		t.Run(c.name, func(t *testing.T) {
			measured, verdict := c.goal.verdict(s)
			if measured != c.measured || verdict != c.verdict {
				t.Errorf("got %q %q, want %q %q", measured, verdict, c.measured, c.verdict)
			}
		})
	}
}

func TestSummaryOfWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "encode.txt"), []byte(strings.NewReplacer(
		"MB/a", "MB/encoding-json-Marshal", "MB/b", "MB/probelane-Encode").Replace(recorded)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-o", dir, "summary"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "summary.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| 18 MB of clients into a discarding writer: times encoding/json | ≥ 3 | 3.00 | yes |",
		"| wrk -t1 -c32 on 60 bytes: requests/s, times plain's | ≥ 0.95 | – | not measured |",
		"| probelane-Encode | 1 µs | 18400 | 3.00 (2.00 – 4.00) | – | – | – |",
		"Some CPU",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the summary lacks\n%s\nit is\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "## "+wrkSection.title) {
		t.Error("the summary has a section that was not measured")
	}
}

func TestTheBestPeerIsExactAndNotOurs(t *testing.T) {
	s, err := readSamples(strings.NewReader(`
BenchmarkEncode/maps/1MB/probelane-Encode 1 10 ns/op
BenchmarkEncode/maps/1MB/goccy-Marshal 1 30 ns/op
BenchmarkEncode/maps/1MB/goccy-Encoder 1 20 ns/op
BenchmarkEncode/maps/1MB/goccy-Fastest-Marshal-inexact 1 5 ns/op
BenchmarkEncode/maps/1MB/sonic-EncodeInto-limit 1 4 ns/op
BenchmarkEncode/rows/1MB/probelane-Encode 1 10 ns/op
BenchmarkEncode/rows/1MB/goccy-Marshal 1 9 ns/op
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := bestPeer(s, "Encode/maps/1MB", anyForm); got != "goccy-Encoder" {
		t.Errorf("the best is %q, want goccy-Encoder", got)
	}
	if got := bestPeer(s, "Encode/maps/1MB", asSlice); got != "goccy-Marshal" {
		t.Errorf("the best slice is %q, want goccy-Marshal", got)
	}
	got, known := leastLead("1MB", "probelane-Encode", anyForm)(s)
	if want := (measured{0.9, "rows, goccy-Marshal"}); got != want || !known {
		t.Errorf("the least lead is %v, want %v", got, want)
	}
	if got, known := leastLead("1KB", "probelane-Encode", anyForm)(s); known {
		t.Errorf("a lead of %v at a size that was not measured", got)
	}
}

func TestWhatTheLimitsAllow(t *testing.T) {
	// 10 ms to send 10 MB and 2.5 ms to encode them allow 80 times that a second.
	s, err := readSamples(strings.NewReader("BenchmarkLoopback/static 1 1000 MB/s\n" +
		"Benchmark" + sonicLimit + " 1 4000 MB/s\nBenchmarkLoopback/encoder 1 600 MB/s\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ofLimits(s, "Loopback/encoder"); len(got) != 1 || math.Abs(got[0]-0.75) > 1e-9 {
		t.Errorf("got %v, want 0.75", got)
	}
}

func TestExactlyOneBenchmark(t *testing.T) {
	got := exactly("Encode/clients/18MB/goccy-Marshal", "1x").pattern
	if want := "^BenchmarkEncode$/^clients$/^18MB$/^goccy-Marshal$"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnknownSection(t *testing.T) {
	if err := run(t.Context(), []string{"-o", t.TempDir(), "encoding"}, io.Discard); err == nil || !strings.Contains(err.Error(), `"encoding"`) {
		t.Errorf("error %v, want one that names the section", err)
	}
}

func TestRoundsAlternateTheirOrder(t *testing.T) {
	var order []string
	note := func(s string) error { order = append(order, s); return nil }
	for i := range 2 {
		if err := inOrder(i, []string{"a", "b"}, note); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a", "b", "b", "a"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	broken := errors.New("broken")
	if err := inOrder(0, []string{"a", "b"}, func(string) error { return broken }); err != broken {
		t.Errorf("error %v, want %v", err, broken)
	}
}
