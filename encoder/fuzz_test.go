package encoder_test

import (
	"fmt"
	"testing"

	"github.com/probelane/probelane/encoder"
)

// newQuanta are encoders of many quanta, the smallest first.
var quanta = []int{1, 2, 3, 5, 7, 16, 33, 64, 100, 257, 1000, 5000, encoder.DefaultQuantum}

func newQuanta(t testing.TB) []variant {
	t.Helper()
	var vs []variant
	for i, q := range quanta {
		// Every other one streams in small writes, the rest hold back.
		hold := i % 2 * encoder.DefaultHold
		vs = append(vs, newVariant(t, fmt.Sprintf("quantum %d", q), encoder.WithQuantum(q), encoder.WithWriteSize(2*q), encoder.WithHold(hold)))
	}
	return vs
}

// checkAs compares what is made of v in one of the formats.
func (vt variant) checkAs(t testing.TB, name string, v any, format int) bool {
	t.Helper()
	if format %= len(formats); format > 0 {
		return vt.checkFormat(t, name, v, formats[format])
	}
	return vt.check(t, name, v, jsonOutcome(v))
}

// maxTurns is how many quanta a fuzzed value may take. Without it some would take
// seconds, and Go's fuzzing ends at one that takes ten.
const maxTurns = 10_000

// FuzzExact builds a type and a value of it and compares what the encoder
// makes of it with encoding/json: by every method, or by Encode in another
// format. See typeFrom and valueFrom for how the bytes are read.
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
			f.Add(leaf, fmt.Append(nil, "content ", i), byte(i), byte(i))
			continue
		}
		fields = append(fields, noTag, noTag, notEmbedded)
		fields = append(fields, leaf...)
		if len(fields) == 4*6 {
			f.Add(append([]byte{shapeSlice, shapeStruct, 3}, fields...), []byte{0, 1, 8, byte(i)}, byte(i/7), byte(i/5))
			fields = nil
		}
	}
	f.Add(append([]byte{shapeStruct, byte(len(fields)/6 - 1)}, fields...), []byte("rest"), byte(0), byte(0))
	for i, seed := range shapeSeeds() {
		for j := range formats {
			if hurried() && (i+j)%len(formats) > 0 {
				continue
			}
			f.Add(seed, fmt.Appendf(nil, "\x01 content <%d> \xff\x00", i*7+j), byte(i+j), byte(j))
		}
	}
	vs := newQuanta(f)
	f.Fuzz(func(t *testing.T, shape, content []byte, quantum, format byte) {
		v := valueFrom(typeFrom(shape), content)
		q := int(quantum) % len(vs)
		for size := len(jsonOutcome(v).out); q < len(vs)-1 && size/quanta[q] > maxTurns; q++ {
		}
		vs[q].checkAs(t, "value", v, int(format))
	})
}

// shapeSeeds are types of every shape: containers of what has many forms, maps
// by every kind of key, embedded structs under every option.
func shapeSeeds() [][]byte {
	text := []byte{shapeLeaf, 0, 0} // the first type of the zoo
	seeds := [][]byte{
		{shapeAny},
		{shapeSlice, shapeAny},
		{shapeArray, 3, shapeAny},
		{shapeArray, 5, shapeSlice, shapeAny},
		{shapePointer, shapePointer, shapeSlice, shapePointer, shapeAny},
		{shapeSlice, shapeSlice, shapeSlice, shapeFloat},
		{shapeSlice, shapeFloat},
		{shapeSlice, shapeSingle},
		{shapeSlice, shapeText},
		{shapePointer, shapeSlice, shapeText},
	}
	for key := range keyTypes {
		good := byte(0)
		if key < len(keyTypes)-badKeyTypes {
			good = 1
		}
		seeds = append(seeds,
			append([]byte{shapeMap, good, byte(key)}, text...),
			[]byte{shapeMap, good, byte(key), shapeAny},
			[]byte{shapeSlice, shapeMap, good, byte(key), shapeText},
		)
	}
	for tag := range tagNames {
		for option := range tagOptions {
			if (tag+option)%3 > 0 {
				continue
			}
			seeds = append(seeds, []byte{
				shapeSlice, shapeStruct, 3,
				byte(tag), byte(option), notEmbedded, shapeText,
				byte(tag), byte(option), embedded, byte(tag + option),
				byte(tag + 1), byte(option), notEmbedded, shapeFloat,
				noTag, byte(option), notEmbedded, shapePointer, shapeAny,
			})
		}
	}
	return seeds
}
