package benchmarks

import (
	stdjson "encoding/json"
	"testing"
)

// BenchmarkEncode encodes one value after another on one goroutine. The first
// output of each variant is compared in full, outside the clock, and the length
// of every further one inside it.
func BenchmarkEncode(b *testing.B) {
	eachPayload(b, func(b *testing.B, v any, want []byte) {
		for _, variant := range variants {
			b.Run(variant.String(), func(b *testing.B) {
				encode := variant.start(b)
				length := firstLength(b, variant, encode, v, want)
				b.SetBytes(int64(len(want)))
				b.ReportAllocs()
				for b.Loop() {
					if n, err := size(encode, v); n != length || err != nil {
						b.Fatalf("%d bytes and error %v, want %d bytes", n, err, length)
					}
				}
			})
		}
	})
}

// BenchmarkEncodeParallel encodes on GOMAXPROCS goroutines at the same time.
func BenchmarkEncodeParallel(b *testing.B) {
	eachPayload(b, func(b *testing.B, v any, want []byte) {
		for _, variant := range variants {
			if variant.limit {
				continue
			}
			b.Run(variant.String(), func(b *testing.B) {
				encode := variant.start(b)
				length := firstLength(b, variant, encode, v, want)
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
	})
}

// eachPayload builds each payload when its turn comes, so that no other is on
// the heap while it is encoded.
func eachPayload(b *testing.B, f func(b *testing.B, v any, want []byte)) {
	for _, p := range payloads {
		b.Run(p.name(), func(b *testing.B) {
			v := p.build()
			want, err := stdjson.Marshal(v)
			if err != nil {
				b.Fatal(err)
			}
			f(b, v, want)
		})
	}
}

// firstLength encodes once, which also compiles what the encoder compiles per
// type, compares the output in full, and returns its length.
func firstLength(b *testing.B, variant variant, encode func(*output, any) error, v any, want []byte) int {
	b.Helper()
	first, err := bytesOf(encode, v)
	if err != nil {
		b.Fatal(err)
	}
	if err := compare(variant, first, want); err != nil {
		b.Fatal(err)
	}
	return len(first)
}
