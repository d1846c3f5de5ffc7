package encoder_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/probelane/probelane/encoder"
)

// many is how many scalars of a kind are compared.
func many() int {
	switch {
	case *long:
		return 20_000_000
	case hurried():
		return 20_000
	}
	return 200_000
}

// chunk is how many scalars are compared in one value.
const chunk = 10_000

// floatFamilies are those numbers in which a formatter of floats goes wrong:
// where the format changes, where few digits or all seventeen are needed,
// where neighbours are unevenly far apart.
var floatFamilies = []struct {
	name string
	next func(*rand.Rand) float64
}{
	{"random bits", func(r *rand.Rand) float64 { return math.Float64frombits(r.Uint64()) }},
	{"cents", func(r *rand.Rand) float64 { return float64(r.IntN(1e7)-1e5) / 100 }},
	{"thousandths", func(r *rand.Rand) float64 { return float64(r.IntN(1e9)-1e6) / 1000 }},
	{"millionths", func(r *rand.Rand) float64 { return float64(r.Int64N(1e12)-1e9) / 1e6 }},
	{"cents, as a sum has them", func(r *rand.Rand) float64 { return 0.1*float64(r.IntN(1000)) + 0.01*float64(r.IntN(1000)) }},
	{"few digits, any exponent", func(r *rand.Rand) float64 {
		f, _ := strconv.ParseFloat(fmt.Sprintf("%de%d", r.IntN(1000), r.IntN(640)-330), 64) // out of range: infinite
		return f
	}},
	{"decimals of one to seventeen digits", func(r *rand.Rand) float64 {
		digits := strconv.FormatUint(r.Uint64(), 10)
		f, _ := strconv.ParseFloat(digits[:1+r.IntN(min(17, len(digits)))]+"e"+strconv.Itoa(r.IntN(60)-40), 64)
		return f
	}},
	{"integers", func(r *rand.Rand) float64 { return float64(int64(r.Uint64()) >> r.IntN(64)) }},
	{"integers near 2^53", func(r *rand.Rand) float64 { return math.Ldexp(1, 53) + float64(r.IntN(4096)-2048) }},
	{"halves", func(r *rand.Rand) float64 { return float64(int64(r.Uint64())>>(11+r.IntN(52))) + 0.5 }},
	{"powers of ten, more or less", func(r *rand.Rand) float64 {
		f, _ := strconv.ParseFloat("1e"+strconv.Itoa(r.IntN(632)-323), 64)
		return ulps(f, r.IntN(7)-3)
	}},
	{"powers of two, more or less", func(r *rand.Rand) float64 { return ulps(math.Ldexp(1, r.IntN(2098)-1074), r.IntN(7)-3) }},
	{"where e-7 begins", func(r *rand.Rand) float64 { return ulps(1e-6, r.IntN(2000)-1000) }},
	{"where e+21 begins", func(r *rand.Rand) float64 { return ulps(1e21, r.IntN(2000)-1000) }},
	{"about 1e-6", func(r *rand.Rand) float64 { return r.Float64() * 2e-6 }},
	{"about 1e21", func(r *rand.Rand) float64 { return r.Float64() * 2e21 }},
	{"subnormal", func(r *rand.Rand) float64 { return math.Float64frombits(r.Uint64() >> (12 + r.IntN(52))) }},
	{"the least and the largest", func(r *rand.Rand) float64 {
		return []float64{math.SmallestNonzeroFloat64, math.MaxFloat64, 0x1p-1022, 0x1p-1023, math.MaxFloat32, 0x1p-126, 0}[r.IntN(7)]
	}},
	{"between 0 and 1", func(r *rand.Rand) float64 { return r.Float64() }},
}

// ulps is the float that many neighbours away from f.
func ulps(f float64, n int) float64 {
	return math.Float64frombits(math.Float64bits(f) + uint64(n))
}

// finite are n floats of a family, half of them negative.
func finite(r *rand.Rand, n int, next func(*rand.Rand) float64) []float64 {
	fs := make([]float64, 0, n)
	for len(fs) < n {
		f := next(r)
		if r.IntN(2) == 0 {
			f = -f
		}
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			fs = append(fs, f)
		}
	}
	return fs
}

func TestExactFloats(t *testing.T) {
	vs := newVariants(t)[1:]
	for i, family := range floatFamilies {
		t.Run(family.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			for left := many() / len(floatFamilies); left > 0; left -= chunk {
				fs := finite(r, min(left, chunk), family.next)
				singles := make([]float32, 0, len(fs))
				for _, f := range fs {
					if f := float32(f); !math.IsInf(float64(f), 0) {
						singles = append(singles, f)
					}
				}
				anys := make([]any, len(fs)/10)
				for j := range anys {
					anys[j] = []any{fs[j], float32(j), plain[float64]{fs[len(fs)-1-j]}}
				}
				values := []sample{
					{"float64", fs},
					{"float32", singles},
					{"in any", anys},
					{"quoted", mapTo(fs[:len(fs)/10], func(f float64) quoted[float64] { return quoted[float64]{f} })},
				}
				if !compare(t, vs, values) {
					return
				}
			}
		})
	}
	t.Run("random bits of float32", func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for left := many(); left > 0; left -= chunk {
			fs := make([]float32, 0, chunk)
			for range chunk {
				if f := math.Float32frombits(r.Uint32()); !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) {
					fs = append(fs, f)
				}
			}
			if !compare(t, vs, []sample{{"float32", fs}}) {
				return
			}
		}
	})
}

// compare checks values, each with one of the variants, in turn, and reports
// whether all were right. Streams and slices are the same bytes here; Marshal
// is the shorter way to them.
func compare(t *testing.T, vs []variant, values []sample) bool {
	t.Helper()
	for i, s := range values {
		vt := vs[i%len(vs)]
		got := outcomeOf(func() ([]byte, error) { return vt.enc.MarshalInline(t.Context(), s.value) })
		if d := diff(got, jsonOutcome(s.value)); d != "" {
			t.Errorf("%s: %s, of %T\n%s", s.name, vt.name, s.value, d)
			return false
		}
	}
	return true
}

// integer is every kind of integer.
type integer interface {
	int | int8 | int16 | int32 | int64 | uint | uint8 | uint16 | uint32 | uint64 | uintptr
}

// ints are the integers of a kind as a list, as map keys, behind any and in
// quotes: all of the short kinds; of the others those around the powers of
// ten and two, which is where the number of digits changes, and random ones.
func ints[T integer](r *rand.Rand) []sample {
	var list []T
	add := func(u uint64) {
		if n := T(u); uint64(n) == u || uint64(int64(n)) == u {
			list = append(list, n)
		}
	}
	if reflect.TypeFor[T]().Bits() <= 16 {
		for u := range uint64(1 << 16) {
			add(u)
			add(-u)
		}
	}
	for around := uint64(1); around != 0; around <<= 1 {
		for d := range uint64(5) {
			add(around + d - 2)
			add(-(around + d - 2))
		}
	}
	for around := uint64(1); ; around *= 10 {
		for d := range uint64(5) {
			add(around + d - 2)
			add(-(around + d - 2))
		}
		if around > math.MaxUint64/10 {
			break
		}
	}
	for range min(many()/10, 1_000_000) {
		add(r.Uint64() >> r.IntN(64))
		add(-(r.Uint64() >> r.IntN(64)))
	}
	keys := make(map[T]T, 1000)
	for _, n := range list[:min(1000, len(list))] {
		keys[n] = n
	}
	return []sample{
		{"list", list},
		{"map", keys},
		{"any", mapTo(list[:min(1000, len(list))], func(n T) any { return n })},
		{"quoted", mapTo(list[:min(5000, len(list))], func(n T) quoted[T] { return quoted[T]{n} })},
	}
}

func TestExactIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	compare(t, newVariants(t)[1:], join(
		ints[int](r), ints[int8](r), ints[int16](r), ints[int32](r), ints[int64](r),
		ints[uint](r), ints[uint8](r), ints[uint16](r), ints[uint32](r), ints[uint64](r), ints[uintptr](r),
	))
}

// texts compares strings as a list, as keys, and as they are in other formats.
func texts(t *testing.T, vs []variant, name string, list []string) bool {
	t.Helper()
	if len(list) == 0 {
		return true
	}
	keys := make(map[string]bool)
	for _, s := range list[:min(2000, len(list))] {
		keys[s] = true
	}
	const plainHTML = 2
	return compare(t, vs, []sample{{name, list}, {name + ", one string", strings.Join(list, "")}, {name + " as keys", keys}}) &&
		vs[0].checkFormat(t, name, list, formats[plainHTML])
}

// inChunks compares what add is given.
func inChunks(t *testing.T, name string, strings func(add func(string))) {
	vs := newVariants(t)[1:]
	var list []string
	failed := false
	strings(func(s string) {
		if list = append(list, s); len(list) == chunk && !failed {
			failed = !texts(t, vs, name, list)
			list = list[:0]
		}
	})
	if !failed {
		texts(t, vs, name, list)
	}
}

func TestExactEveryRune(t *testing.T) {
	step := rune(1)
	if !*long {
		step = 61 // beyond the basic plane, and with no factor in common with the width of a block
	}
	inChunks(t, "runes", func(add func(string)) {
		for r := rune(0); r <= utf8.MaxRune; r++ {
			if r > 0xffff && r < utf8.MaxRune-1000 {
				r += step - 1
			}
			add(string(r))
		}
	})
}

// The bytes that UTF-8 is decided by: both ends of each range that a leading
// or a following byte may be in, and what JSON escapes.
var (
	leads     = []byte("a\"\\<\x00\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xe2\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xf8\xfc\xfe\xff")
	followers = []byte("a\"\x00\x7f\x80\x8f\x90\x9f\xa0\xa7\xa8\xa9\xaa\xbf\xc0\xc2\xe2\xed\xf0\xf4\xff")
)

func TestExactInvalidUTF8(t *testing.T) {
	inChunks(t, "two bytes", func(add func(string)) {
		for i := range 1 << 16 {
			add(string([]byte{byte(i >> 8), byte(i)}))
		}
	})
	inChunks(t, "three bytes", func(add func(string)) {
		if *long {
			for i := range 1 << 24 {
				add(string([]byte{byte(i >> 16), byte(i >> 8), byte(i)}))
			}
			return
		}
		for lead := range 256 {
			for _, second := range followers {
				for _, third := range followers {
					add(string([]byte{byte(lead), second, third}))
				}
			}
		}
	})
	inChunks(t, "four bytes and what follows", func(add func(string)) {
		for _, lead := range leads {
			for _, second := range followers {
				for _, third := range followers {
					for _, fourth := range followers {
						add(string([]byte{lead, second, third, fourth, 'z'}))
					}
				}
			}
		}
	})
}

// Wherever strings are read in words or vectors, what needs care may be in any
// place of one, and the rest of a string shorter than one.
func TestExactEveryByteAtEveryOffset(t *testing.T) {
	single := func(b byte) string { return string([]byte{b}) }
	few := append(mapTo(leads, single), "é", "\u2028", "\u2029", "\u202a", "世", "😀", "\xe2\x80", "\xf0\x9f\x98", "\b\f", "\\\"", "<>&", "\ufffd")
	all := append(mapTo(allBytes(), single), few...)
	for _, row := range []struct {
		of      string
		longest int
		marks   []string
	}{{"x", 70, few}, {"é", 35, few}, {"x", 34, all}} {
		if hurried() && len(row.marks) == len(all) {
			continue
		}
		if *long {
			row.longest, row.marks = 140, all
		}
		inChunks(t, "in a row of "+row.of, func(add func(string)) {
			for n := range row.longest + 1 {
				for at := range n + 1 {
					for _, mark := range row.marks {
						add(strings.Repeat(row.of, at) + mark + strings.Repeat(row.of, n-at))
					}
				}
			}
		})
	}
	inChunks(t, "two at a time", func(add func(string)) {
		for _, first := range leads {
			for at := range 33 {
				for _, second := range leads {
					add("x" + string([]byte{first}) + strings.Repeat("y", at) + string([]byte{second}))
				}
			}
		}
	})
}

// A long string may be cut anywhere: between the bytes of a rune, or of what
// only looks like one.
func TestExactLongStringsCutAnywhere(t *testing.T) {
	var unit strings.Builder
	for _, s := range stringTexts() {
		unit.WriteString(s)
	}
	for _, q := range []int{1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 127} {
		vt := newVariant(t, fmt.Sprintf("quantum %d", q), encoder.WithQuantum(q), encoder.WithWriteSize(q), encoder.WithHold(0))
		for shift := range min(q, 8) {
			text := strings.Repeat("x", shift) + unit.String()
			for _, v := range []any{text, []byte(text), map[string]string{text: text}, []any{textString(text), 1}, quoted[string]{text}} {
				if !vt.check(t, fmt.Sprintf("shifted by %d", shift), v, jsonOutcome(v)) {
					return
				}
			}
		}
	}
}
