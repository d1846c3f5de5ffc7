package benchmarks

import (
	stdjson "encoding/json"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// stops are the histograms of how long it took to stop the world: the time
// from the decision until the last processor had given way, without the time
// it then stood still.
var stops = []string{
	"/sched/pauses/stopping/gc:seconds",
	"/sched/pauses/stopping/other:seconds",
}

// stopVariants are those whose stops are measured: one of each kind of code.
var stopVariants = []string{
	"encoding-json-Marshal", "sonic-Std-Marshal", "sonic-Default-Marshal",
	"goccy-Marshal", "probelane-Marshal", "probelane-Encode",
}

// BenchmarkStopTheWorld encodes 40,000 clients over and over on one goroutine
// while another stops the world about a thousand times a second. Code that
// cannot be preempted makes everyone wait until it is through.
//
// It needs a second processor: on one, whoever stops the world is the only one
// who runs.
func BenchmarkStopTheWorld(b *testing.B) {
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("with GOMAXPROCS=1 there is nobody to wait for")
	}
	v := flood.Build(flood.Entities)
	want, err := stdjson.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	for _, variant := range variants {
		if !slices.Contains(stopVariants, variant.name) {
			continue
		}
		b.Run(variant.String(), func(b *testing.B) {
			encode := variant.start(b)
			length := firstLength(b, variant, encode, v, want)
			b.SetBytes(int64(len(want)))
			before := readStops()
			stop := stopRepeatedly()
			for b.Loop() {
				if n, err := size(encode, v); n != length || err != nil {
					b.Fatalf("%d bytes and error %v, want %d bytes", n, err, length)
				}
			}
			stop()
			d := readStops().since(before)
			b.ReportMetric(d.quantile(0.99)*1e3, "p99-stop-ms")
			b.ReportMetric(d.quantile(1)*1e3, "worst-stop-ms")
			b.ReportMetric(float64(d.total()), "stops")
		})
	}
}

// stopRepeatedly stops the world, in turn by reading the memory statistics and
// by a garbage collection, until the function it returns is called.
func stopRepeatedly() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var ms runtime.MemStats
		for i := 1; ; i++ {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if i%16 == 0 {
				runtime.GC() // stops the world twice, and marks in between
			} else {
				runtime.ReadMemStats(&ms)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// histogram counts durations by buckets, as runtime/metrics does.
type histogram struct {
	counts []uint64
	bounds []float64 // bounds[i] to bounds[i+1] is bucket i
}

// readStops returns the sum of the histograms in stops.
func readStops() histogram {
	samples := make([]metrics.Sample, len(stops))
	for i, name := range stops {
		samples[i].Name = name
	}
	metrics.Read(samples)
	var sum histogram
	for _, s := range samples {
		h := s.Value.Float64Histogram()
		if sum.counts == nil {
			sum = histogram{make([]uint64, len(h.Counts)), h.Buckets}
		}
		for i, n := range h.Counts {
			sum.counts[i] += n
		}
	}
	return sum
}

// since returns what was counted after before was read.
func (h histogram) since(before histogram) histogram {
	d := histogram{make([]uint64, len(h.counts)), h.bounds}
	for i := range h.counts {
		d.counts[i] = h.counts[i] - before.counts[i]
	}
	return d
}

func (h histogram) total() (n uint64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// quantile returns the upper bound of the bucket that holds the q-quantile, so
// it never makes a stop look shorter than it was.
func (h histogram) quantile(q float64) float64 {
	rank := q * float64(h.total())
	var seen uint64
	for i, c := range h.counts {
		seen += c
		if c > 0 && float64(seen) >= rank {
			return h.bounds[min(i+1, len(h.bounds)-2)] // the last bound is +Inf
		}
	}
	return 0
}
