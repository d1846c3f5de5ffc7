package benchmarks

import (
	stdjson "encoding/json"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// BenchmarkWakeup encodes 40,000 clients over and over on a single processor
// beside a goroutine that sleeps for a millisecond at a time, and reports how
// much later than that it ran again: what everyone waits who was waiting for
// something else, a probe among them.
func BenchmarkWakeup(b *testing.B) {
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
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			encode := variant.start(b)
			length := firstLength(b, variant, encode, v, want)
			settle()
			b.SetBytes(int64(len(want)))
			stop := sleepRepeatedly()
			for b.Loop() {
				if n, err := size(encode, v); n != length || err != nil {
					b.Fatalf("%d bytes and error %v, want %d bytes", n, err, length)
				}
			}
			reportQuantiles(b, stop(), "late")
		})
	}
}

// sleepRepeatedly sleeps until the function it returns is called, which returns
// by how much each sleep was too long.
func sleepRepeatedly() (stop func() []time.Duration) {
	quit, done := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var late []time.Duration
		for {
			began := time.Now()
			time.Sleep(time.Millisecond)
			late = append(late, time.Since(began)-time.Millisecond)
			select {
			case <-quit:
				done <- late
				return
			default:
			}
		}
	}()
	return func() []time.Duration {
		close(quit)
		return <-done
	}
}
