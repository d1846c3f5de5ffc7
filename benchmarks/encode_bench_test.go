package benchmarks

import (
	stdjson "encoding/json"
	"flag"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

var backwards = flag.Bool("backwards", false, "encode by the last variant first")

// huge is the size in bytes from which only exact variants and limits are
// measured, one at a time: the rest would take most of an hour, and of memory
// more than is there.
const huge = 100_000_000

// BenchmarkEncode encodes one value after another on one goroutine. The first
// output of each variant is compared in full, outside the clock, and the length
// of every further one inside it.
func BenchmarkEncode(b *testing.B) {
	eachVariant(b, func(b *testing.B, variant variant, v any, want []byte) {
		encode := variant.start(b)
		length := firstLength(b, variant, encode, v, want)
		if err := warm(encode, v); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(want)))
		b.ReportAllocs()
		for b.Loop() {
			if n, err := size(encode, v); n != length || err != nil {
				b.Fatalf("%d bytes and error %v, want %d bytes", n, err, length)
			}
		}
	})
}

// BenchmarkEncodeParallel encodes on GOMAXPROCS goroutines at the same time,
// exact variants only.
func BenchmarkEncodeParallel(b *testing.B) {
	eachVariant(b, func(b *testing.B, variant variant, v any, want []byte) {
		if variant.fidelity != exact || variant.limit || len(want) > huge {
			b.SkipNow()
		}
		encode := variant.start(b)
		length := firstLength(b, variant, encode, v, want)
		if err := warm(encode, v); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(want)))
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if n, err := size(encode, v); n != length || err != nil {
					b.Errorf("%d bytes and error %v, want %d bytes", n, err, length)
					return
				}
			}
		})
	})
}

// eachVariant measures every variant that can encode a payload, for each
// payload. It builds each of these when its turn comes, so that no other is on
// the heap while it is encoded.
func eachVariant(b *testing.B, f func(b *testing.B, variant variant, v any, want []byte)) {
	ordered := slices.Clone(variants)
	if *backwards {
		slices.Reverse(ordered)
	}
	for _, p := range payloads {
		b.Run(p.name(), func(b *testing.B) {
			v := p.build()
			want, err := stdjson.Marshal(v)
			if err != nil {
				b.Fatal(err)
			}
			for _, variant := range ordered {
				value := variant.value(v)
				if value == nil || len(want) > huge && variant.fidelity != exact && !variant.limit {
					continue
				}
				b.Run(variant.String(), func(b *testing.B) {
					settle()
					f(b, variant, value, want)
				})
			}
		})
	}
}

// settle lets every variant begin alike: what others have left in pools goes at
// the second collection, and their memory back to the system.
func settle() {
	runtime.GC()
	debug.FreeOSMemory()
}

// warming is how long a variant is warmed up at the most: longer than most need,
// and the slowest has come once by then.
const warming = 200 * time.Millisecond

// warm encodes until the collector has come round twice. Until then results are
// made in memory that the system has yet to provide, which takes longer than
// encoding them; buffers in pools have theirs since the first output.
func warm(encode func(*output, any) error, v any) error {
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	for begin := time.Now(); time.Since(begin) < warming && now.NumGC < before.NumGC+2; runtime.ReadMemStats(&now) {
		for step := time.Now(); time.Since(step) < warming/20; {
			if _, err := size(encode, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstLength encodes once, which also compiles what the encoder compiles per
// type, compares the output in full, and returns its length.
func firstLength(b *testing.B, variant variant, encode func(*output, any) error, v any, want []byte) int {
	b.Helper()
	first, err := bytesOf(encode, v, len(want))
	if err != nil {
		b.Fatal(err)
	}
	if err := compare(variant, first, want); err != nil {
		b.Fatal(err)
	}
	return len(first)
}
