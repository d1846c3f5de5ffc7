package encoder_test

import (
	"fmt"
	"testing"

	"github.com/probelane/probelane/encoder"
)

// newQuanta are encoders of many quanta, the smallest first.
func newQuanta(t testing.TB) []variant {
	t.Helper()
	var vs []variant
	for i, q := range []int{1, 2, 3, 7, 16, 64, 100, 1000, 5000, encoder.DefaultQuantum} {
		// Every other one streams in small writes, the rest hold back.
		hold := i % 2 * encoder.DefaultHold
		vs = append(vs, newVariant(t, fmt.Sprintf("quantum %d", q), encoder.WithQuantum(q), encoder.WithWriteSize(2*q), encoder.WithHold(hold)))
	}
	return vs
}

// FuzzExact builds a type and a value of it and compares what the encoder
// makes of it with encoding/json. See typeFrom and valueFrom for how the bytes
// are read.
func FuzzExact(f *testing.F) {
	// Every type of the zoo: four to a struct, or alone if encoding/json
	// refuses it.
	var fields []byte
	for i, typ := range theZoo().types {
		if hurried() && i%20 != 0 {
			continue
		}
		leaf := []byte{shapeLeaf, byte(i >> 8), byte(i)}
		if len(theZoo().good[typ]) == 0 {
			f.Add(leaf, fmt.Append(nil, "content ", i), byte(i))
			continue
		}
		fields = append(fields, noTag, noTag, notEmbedded)
		fields = append(fields, leaf...)
		if len(fields) == 4*6 {
			f.Add(append([]byte{shapeSlice, shapeStruct, 3}, fields...), []byte{0, 1, 8, byte(i)}, byte(i/7))
			fields = nil
		}
	}
	f.Add(append([]byte{shapeStruct, byte(len(fields)/6 - 1)}, fields...), []byte("rest"), byte(0))
	vs := newQuanta(f)
	f.Fuzz(func(t *testing.T, shape, content []byte, quantum byte) {
		v := valueFrom(typeFrom(shape), content)
		vs[int(quantum)%len(vs)].check(t, "value", v, jsonOutcome(v))
	})
}
