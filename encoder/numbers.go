package encoder

import (
	"bytes"
	"math"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/bytedance/sonic/encoder"
)

// Runs of numbers are sonic's. Its native code formats a float64 of 17 digits
// more than twice as fast as strconv: 512 of them in 12 µs in place of 28. In
// numbers there is nothing in which it differs from encoding/json: no text, no HTML, no
// marshaler. Only its float32 is not exact: 0x1p-12 has another last digit.

const (
	// minRun is how many elements are worth a call of sonic's, which costs
	// about as much as five of them.
	minRun = 32
	// maxSonicArray is the longest array that sonic may see. It unrolls an
	// array when it compiles the type: [65536]byte takes 3.5 s.
	maxSonicArray = 64
	// maxSonicWidth bounds the same for structs of arrays and of structs.
	maxSonicWidth = 4 << 10
)

// numeric reports whether values of t are numbers and booleans alone, and how
// many bytes one takes at the most.
func numeric(t reflect.Type) (width int, ok bool) {
	if own, byAddress := marshals(t); own || byAddress {
		return 0, false
	}
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return len("false,"), true
	case isInteger(k):
		return len("-9223372036854775808,"), true
	case k == reflect.Float64:
		return len("-0.00000222507385850720138,"), true
	case k == reflect.Array:
		w, ok := numeric(t.Elem())
		return len("[],") + t.Len()*w, ok && unrolled(t) <= maxSonicArray
	case k == reflect.Struct:
		width = len("{},")
		all := fieldsOf(t)
		for i := range all {
			f := &all[i]
			w, ok := numeric(f.typ)
			if !ok || f.omits || f.quoted || f.indirect || !simpleName(f.name) {
				return 0, false
			}
			width += len(f.quotes[0]) + w
		}
		return width, len(all) > 0 && width <= maxSonicWidth
	}
	return 0, false
}

// unrolled is how many elements an array has in all its dimensions.
func unrolled(t reflect.Type) int {
	n := 1
	for ; t.Kind() == reflect.Array && n <= maxSonicArray; t = t.Elem() {
		n *= t.Len()
	}
	return n
}

// simpleName reports whether a field's name needs no escape of any kind.
func simpleName(s string) bool {
	return sets[0].skip(unsafe.Slice(unsafe.StringData(s), len(s)), 0) == len(s)
}

// numbers appends runs of the elements from i on while they last and the
// quantum does. It returns where it has got to; the rest goes one by one.
func (c *cursor) numbers(dst []byte, p *plan, x unsafe.Pointer, i, n int) ([]byte, int) {
	if i == 0 {
		// The bracket may be on its way already, and a comma takes the place of
		// sonic's.
		dst, i = c.value(dst, p, x, true), 1
	}
	run := new(sliceHeader)
	v := reflect.NewAt(p.slice, unsafe.Pointer(run)).Interface()
	for n-i >= minRun && !c.full(dst) {
		run.len = min(n-i, max((c.limit-len(dst))/p.width, minRun))
		run.cap = run.len
		run.data = unsafe.Add(x, uintptr(i)*p.size)
		out := dst
		if err := encoder.EncodeInto(&out, v, encoder.NoEncoderNewline); err != nil {
			return dst, i // a NaN; going one by one finds which
		}
		// Where sonic has no code of its own it adds a newline all the same.
		out = bytes.TrimSuffix(out, []byte("\n"))
		out[len(dst)] = ','
		dst = out[:len(out)-1]
		i += run.len
	}
	return dst, i
}

// sonicNumbers reports whether sonic is the faster one here, and exact. It has
// native code for amd64 and for versions of Go that it knows; on arm64 it
// interprets, and writes -0 as 0. So it is tried, once in a process, which takes
// about a millisecond.
func sonicNumbers() bool {
	sonicTried.Do(func() { sonicWins = trySonic() })
	return sonicWins
}

func numbersBy() string {
	if sonicNumbers() {
		return "sonic"
	}
	return "strconv"
}

var (
	sonicTried sync.Once
	sonicWins  bool
)

func trySonic() bool {
	v := make([]float64, 512)
	for i := range v {
		v[i] = math.Sqrt(float64(i+2)) * math.Pow(10, float64(i%40-20))
	}
	// Not the first, which goes before the run.
	v[1], v[2], v[3] = math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64
	p := planFor(reflect.TypeOf(v))
	ways := [2]func(*cursor, []byte) []byte{
		func(c *cursor, dst []byte) []byte {
			dst, _ = c.numbers(dst, p.elem, unsafe.Pointer(&v[0]), 0, len(v))
			return append(dst, ']')
		},
		func(c *cursor, dst []byte) []byte { return c.oneByOne(dst, p, unsafe.Pointer(&v[0]), 0, len(v), true) },
	}
	out := [2][]byte{make([]byte, 0, 32*len(v)), make([]byte, 0, 32*len(v))}
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for range 16 { // the least counts, whatever else the machine does
		for i, way := range ways {
			c := cursor{limit: 2 * len(v) * p.elem.width}
			begin := time.Now()
			out[i] = way(&c, append(out[i][:0], '['))
			best[i] = min(best[i], time.Since(begin))
		}
	}
	return best[0] < best[1] && bytes.Equal(out[0], out[1])
}
