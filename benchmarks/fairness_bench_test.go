package benchmarks

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

const (
	// fairnessWindow is how long each variant is measured.
	fairnessWindow = 2 * time.Second
	// fairnessEvery is the time between two small responses: what they take of
	// the processor themselves, 50 µs each or so, hardly counts.
	fairnessEvery = time.Millisecond
)

// BenchmarkFairness encodes a response of 64 KB every millisecond, while 64
// goroutines encode 40,000 clients each, over and over, all on a single
// processor and with one encoder. It reports how long after it was due each of
// the small ones was encoded, and how many of the large ones were meanwhile. The
// time of an operation is that of the whole measurement and means nothing.
//
// The small one is a little more than 64 KB, so that it does not fit into a
// quantum and has to queue with the others.
func BenchmarkFairness(b *testing.B) {
	small, large := flood.Build(146), flood.Build(flood.Entities)
	for _, others := range []int{0, 64} {
		for _, variant := range variants {
			if variant.name != "probelane-Encode" && (others == 0 || variant.name != "encoding-json-Encoder") {
				continue
			}
			b.Run(fmt.Sprintf("beside%d/%s", others, variant), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
				encode := variant.start(b)
				want, err := size(encode, small)
				if err != nil {
					b.Fatal(err)
				}
				var took []time.Duration
				var encoded int64
				for b.Loop() {
					settle()
					stop := encodeRepeatedly(b, encode, large, others)
					took = encodeWhenDue(b, encode, small, want)
					encoded = stop()
				}
				reportQuantiles(b, took, "response")
				b.ReportMetric(float64(encoded)/fairnessWindow.Seconds(), "large/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// encodeWhenDue encodes v at fixed times and returns how long after them it was
// done.
func encodeWhenDue(b *testing.B, encode func(*output, any) error, v any, want int) (took []time.Duration) {
	began := time.Now()
	for due := began; time.Since(began) < fairnessWindow; {
		due = due.Add(fairnessEvery)
		time.Sleep(time.Until(due))
		if n, err := size(encode, v); n != want || err != nil {
			b.Fatalf("%d bytes and error %v, want %d bytes", n, err, want)
		}
		late := time.Since(due)
		took = append(took, late)
		if late > fairnessEvery {
			due = due.Add(late) // a client that waits does not ask again
		}
	}
	return took
}

// encodeRepeatedly encodes v on so many goroutines until the function it
// returns is called, which returns how many had been encoded by then.
func encodeRepeatedly(b *testing.B, encode func(*output, any) error, v any, goroutines int) (stop func() int64) {
	var ended atomic.Bool
	var encoded atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for !ended.Load() {
				if _, err := size(encode, v); err != nil {
					b.Error(err)
					return
				}
				encoded.Add(1)
			}
		})
	}
	return func() int64 {
		n := encoded.Load()
		ended.Store(true)
		wg.Wait()
		return n
	}
}
