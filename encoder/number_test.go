package encoder

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// The halves of a number do not meet, so it is enough to see all of each.
func TestEightDigits(t *testing.T) {
	for half := range uint64(10_000) {
		for _, u := range []uint64{half, half * 10_000, half*10_000 + half, half*10_000 + 9_999 - half} {
			var got [8]byte
			binary.LittleEndian.PutUint64(got[:], eightDigits(u)|zeros)
			if want := fmt.Sprintf("%08d", u); string(got[:]) != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
}
