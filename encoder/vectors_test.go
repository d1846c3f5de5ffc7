package encoder_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"image"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The values with which encoding/json's tests of encoding were written, in our
// own types: each remembers a way in which an encoder went wrong once. See
// encode_test.go, decode_test.go, stream_test.go, tagkey_test.go and
// number_test.go of Go 1.26; TestPublished runs those as they are. What the
// other tables of this package have already is not repeated here.

// A field that encoding/json's rules of dominance decide about.
type (
	level0 struct {
		Level0 int
		Embed0
		*Embed1
		*Embed2  `json:"e,omitempty"` // a field, by its name
		Embed3   `json:"-"`           // left out
		Embedded *Embed1
		Loop
		embedPoint // two fields X, Y by way of image.Point …
		embedZ     // … and Z
		hidden
	}
	Embed0 struct {
		A int // hidden by Embed1's, which has a tag
		B int // not hidden by Embed1's, which has another name
		C int // Embed1's is left out
		D int // annihilated by Embed1's
		E int `json:"x"` // annihilated by Embed1's
	}
	Embed1 struct {
		A int `json:"A,omitempty"`
		B int `json:"BB,omitempty"`
		C int `json:"-"`
		D int
		F int `json:"x"`
	}
	Embed2     Embed0
	Embed3     Embed0
	embedPoint struct{ image.Point }
	embedZ     struct{ Coordinate }
	Coordinate struct{ Z int }
	hidden     struct{ Q int }

	// X of OneX and OtherX annihilate each other, and block the deeper one.
	annihilated struct {
		OneX
		OtherX
		DeepXY
	}
	OneX   struct{ X int }
	OtherX OneX
	DeepXY struct{ TwoXY }
	TwoXY  struct{ X, Y int }
	// The same one level down, where the two are one type met twice.
	annihilatedTwice struct {
		ViaOne
		ViaOther
		ViaDeep
	}
	ViaOne   struct{ OneX }
	ViaOther struct{ OneX }
	ViaDeep  struct{ DeepXY }

	sText struct{ S string }
	sOver struct {
		sText
		S string
	}
	sOther struct{ S string }
	sTag   struct {
		X string `json:"S"`
	}
	sTagged struct {
		sText
		sTag
	}
	sTaggedDeeper struct {
		sText
		sOther
		sTagged // its tagged S is too deep to decide
	}
	sTwice struct {
		A int
		sText
		sOver
	}
)

func dominanceVectors() []sample {
	type (
		anInt   int
		AnInt   int
		xs      struct{ x, X int }
		Ys      struct{ y, Y int }
		byInt   struct{ anInt }
		byAnInt struct{ AnInt }
		toInt   struct{ *anInt }
		toAnInt struct{ *AnInt }
		mixture struct {
			xs
			Ys
		}
		mixtureByPointer struct {
			*xs
			*Ys
		}
		ownX struct {
			xs
			x, X int
		}
		inner struct {
			AnInt
			anInt
		}
		nested struct {
			inner
			anInt
		}
	)
	n := anInt(5)
	return []sample{
		{"fields at all levels", level0{
			Level0: 1, Embed0: Embed0{1, 2, 3, 4, 5}, Embed1: &Embed1{6, 7, 8, 9, 10}, Embed2: &Embed2{11, 12, 13, 14, 15}, Embed3: Embed3{B: 16},
			Loop: Loop{17, &Loop{18, nil}}, embedPoint: embedPoint{image.Point{X: 19, Y: 20}}, embedZ: embedZ{Coordinate{21}}, hidden: hidden{22},
		}},
		{"fields at all levels, nothing set", level0{}},
		{"annihilated", annihilated{}},
		{"annihilated twice", annihilatedTwice{}},
		{"outer field over embedded", sOver{sText{"a"}, "b"}},
		{"tag over none", sTagged{sText{"a"}, sTag{"b"}}},
		{"tag too deep", sTaggedDeeper{}},
		{"one field at two depths", sTwice{A: 23}},
		{"embedded unexported int", byInt{5}},
		{"embedded exported int", byAnInt{5}},
		{"embedded pointer to unexported int", toInt{&n}},
		{"embedded pointer to exported int", toAnInt{new(AnInt)}},
		{"embedded nil pointer to exported int", toAnInt{}},
		{"embedded exported and unexported structs", mixture{xs{1, 2}, Ys{3, 4}}},
		{"embedded pointers to them", mixtureByPointer{&xs{1, 2}, &Ys{3, 4}}},
		{"embedded nil pointers to them", mixtureByPointer{}},
		{"own field over embedded unexported", ownX{xs{1, 2}, 3, 4}},
		{"ints at two levels", nested{inner{1, 2}, 3}},
		{"names beyond ASCII", struct{ A0, À, Aβ int }{1, 2, 3}},
	}
}

// Options with each kind of field, of which some are named like an option.
type (
	optional[T any] struct {
		Plain   T `json:"plain"`
		Omitted T `json:"omitted,omitempty"`
		Zero    T `json:"zero,omitzero"`
		Both    T `json:",omitempty,omitzero"`
		Named   T `json:"omitempty"`
		Named2  T `json:"omitzero"`
		Unknown T `json:"unknown,random"`
		Hidden  T `json:"-"`
	}
	neverZero  struct{}
	zeroUnless struct {
		N int `json:"n,omitzero"`
	}
)

func (neverZero) IsZero() bool     { return false }
func (z *zeroUnless) IsZero() bool { return z.N != 0 }

func all[T any](v T) optional[T] { return optional[T]{v, v, v, v, v, v, v, v} }

func optionVectors() []sample {
	var none zeroer
	return mapTo([]any{
		all(""), all("x"), all(0), all(1), all(uint(0)), all(0.0), all(math.Copysign(0, -1)), all(float32(math.Copysign(0, -1))), all(false), all(true),
		all([]string(nil)), all([]string{}), all([]string{""}), all(map[string]any(nil)), all(map[string]any{}), all(map[string]any{"": nil}),
		all([0]int{}), all([1]int{}), all([2]float64{0, math.Copysign(0, -1)}), all(struct{}{}), all(time.Time{}), all(time.Time{}.Local()),
		all(neverZero{}), all(&neverZero{}), all((*neverZero)(nil)), all(none), all(zeroer(time.Time{})), all(zeroer(neverZero{})),
		all(zeroer((*zeroUnless)(nil))), all(zeroer(&zeroUnless{})), all(zeroer(&zeroUnless{1})), all((*zeroUnless)(nil)), all(&zeroUnless{}), all(&zeroUnless{1}),
		all(zeroUnless{}), all(zeroUnless{1}), all(any(nil)), all(any(0)), all(any("")), all(any([]int(nil))), all((*int)(nil)), all(new(int)),
		all(json.Number("")), all(json.Number("0")), all(json.RawMessage(nil)), all(json.RawMessage("0")), all(json.RawMessage{}),
	}, func(v any) sample { return sample{fmt.Sprintf("options on %T", v), v} })
}

// A struct with a field of every kind, a pointer to each, and containers of a
// small struct in all combinations.
type (
	small      struct{ Tag string }
	everyField struct {
		Bool           bool
		Int            int
		Int8           int8
		Int16          int16
		Int32          int32
		Int64          int64
		Uint           uint
		Uint8          uint8
		Uint16         uint16
		Uint32         uint32
		Uint64         uint64
		Uintptr        uintptr
		Float32        float32
		Float64        float64
		Renamed        string  `json:"bar"`
		Dummy          string  `json:"bar2,dummyopt"`
		IntText        int64   `json:",string"`
		UintptrText    uintptr `json:",string"`
		PBool          *bool
		PInt           *int
		PInt8          *int8
		PInt64         *int64
		PUint8         *uint8
		PUint64        *uint64
		PUintptr       *uintptr
		PFloat32       *float32
		PFloat64       *float64
		String         string
		PString        *string
		Map            map[string]small
		MapOfPointers  map[string]*small
		PMap           *map[string]small
		PMapOfPointers *map[string]*small
		EmptyMap       map[string]small
		NilMap         map[string]small
		Slice          []small
		Pointers       []*small
		PSlice         *[]small
		PPointers      *[]*small
		EmptySlice     []small
		NilSlice       []small
		Strings        []string
		Bytes          []byte
		Small          small
		PSmall         *small
		PPSmall        **small
		Interface      any
		PInterface     *any
		unexported     int
	}
)

func everyFieldVectors() []sample {
	full := everyField{
		true, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14.1, 15.1, "foo", "foo2", 42, 44,
		ptr(true), ptr(2), ptr(int8(3)), ptr(int64(6)), ptr(uint8(8)), ptr(uint64(11)), ptr(uintptr(12)), ptr(float32(14.1)), ptr(15.1), "16", ptr("16"),
		map[string]small{"17": {"tag17"}, "18": {"tag18"}}, map[string]*small{"19": {"tag19"}, "20": nil}, nil, nil, map[string]small{}, nil,
		[]small{{"tag20"}, {"tag21"}}, []*small{{"tag22"}, nil, {"tag23"}}, nil, nil, []small{}, nil, []string{"str24", "str25"}, []byte{27, 28, 29},
		small{"tag30"}, &small{"tag31"}, ptr(&small{"tag32"}), 5.2, ptr(any("5.3")), 1,
	}
	full.PMap, full.PMapOfPointers, full.PSlice, full.PPointers = &full.Map, &full.MapOfPointers, &full.Slice, &full.Pointers
	return []sample{
		{"every kind of field", full},
		{"every kind of field, nothing set", everyField{}},
		{"pointer to every kind of field", &full},
		{"every kind of field in a slice", []everyField{full, {}, full}},
		{"every kind of field in a map", map[string]*everyField{"<": &full, "": nil}},
	}
}

// Methods on nil pointers: behind an interface with the method they are
// called, behind any they are not.
type (
	nilSafeJSON string
	nilSafeText string
)

func (n *nilSafeJSON) MarshalJSON() ([]byte, error) {
	if n == nil {
		return []byte(`"nil JSON"`), nil
	}
	return json.Marshal("JSON " + string(*n))
}

func (n *nilSafeText) MarshalText() ([]byte, error) {
	if n == nil {
		return []byte("nil text"), nil
	}
	return []byte("text " + *n), nil
}

// Methods with which bytes, ints and floats write themselves.
type (
	jsonInt  int
	textNum  float64
	refJSON  int
	refText  int
	pairText struct{ A, B string }
	u8Text   uint8
)

func (i jsonInt) MarshalJSON() ([]byte, error)  { return fmt.Appendf(nil, `{"JI":%d}`, int(i)), nil }
func (f textNum) MarshalText() ([]byte, error)  { return fmt.Appendf(nil, "TF:%0.2f", float64(f)), nil }
func (*refJSON) MarshalJSON() ([]byte, error)   { return []byte(`"ref"`), nil }
func (*refText) MarshalText() ([]byte, error)   { return []byte(`"ref"`), nil }
func (p pairText) MarshalText() ([]byte, error) { return []byte(p.A + ":" + p.B), nil }
func (u u8Text) MarshalText() ([]byte, error)   { return fmt.Appendf(nil, "u%d", uint8(u)), nil }

func methodVectors() []sample {
	type refs struct {
		R0 refJSON
		R1 *refJSON
		R2 refText
		R3 *refText
		V0 verbatim
		V1 *verbatim
		V2 verbatimText
		V3 *verbatimText
	}
	r := refs{12, new(refJSON), 14, new(refText), `"val"`, ptr(verbatim(`"<&>"`)), `"val"`, ptr(verbatimText(`"<&>"`))}
	return []sample{
		{"nil Marshaler in a field", struct{ M json.Marshaler }{}},
		{"nil pointer in a Marshaler", struct{ M json.Marshaler }{(*nilSafeJSON)(nil)}},
		{"nil pointer with MarshalJSON in any", struct{ M any }{(*nilSafeJSON)(nil)}},
		{"nil TextMarshaler in a field", struct{ M encoding.TextMarshaler }{}},
		{"nil pointer in a TextMarshaler", struct{ M encoding.TextMarshaler }{(*nilSafeText)(nil)}},
		{"nil pointer with MarshalText in any", struct{ M any }{(*nilSafeText)(nil)}},
		{"slice of Marshalers with nil pointers", []json.Marshaler{(*nilSafeJSON)(nil), nil, ptr(nilSafeJSON("x"))}},
		{"map of TextMarshalers with nil pointers", map[int]encoding.TextMarshaler{1: (*nilSafeText)(nil), 2: nil, 3: ptr(nilSafeText("<"))}},
		{"nil pointer with MarshalText as a key", map[*pairText]int{nil: 1, {"A", "B"}: 2}},
		{"text keys are sorted as they are written", map[pairText]int{{"x", "y"}: 1, {"y", "x"}: 2, {"a", "z"}: 3, {"z", "a"}: 4}},
		{"uint8 keys with text", map[u8Text]int{42: 1, 9: 2, 100: 3}},
		{"keys that are not equal to themselves", map[textNum]string{textNum(math.NaN()): "1", textNum(math.Inf(1)): "1"}},
		{"two keys that are written alike", map[textNum]string{textNum(math.NaN()): "1", textNum(-math.NaN()): "1"}},
		{"methods on values and pointers", r},
		{"methods on values and pointers, addressable", &r},
		{"ints with JSON", []jsonInt{5, 4}},
		{"floats with text", []textNum{12, 3}},
		{"bytes with JSON in slices", [][]jsonByte{{0, 1}, {3}, nil, {}}},
		{"bytes with text in slices", [][]textByte{{'2', '<'}, nil}},
		{"renamed bytes in a renamed slice", []any{renamedBytes("abc"), myBytes("abc"), []myByte("abc")}},
		{"one pointer twice", func() any { p := &sameTwice{}; return &sameTwice{p, p} }()},
	}
}

type (
	renamedBytes []myByte
	sameTwice    struct{ A, B *sameTwice }
)

// RawMessage by value and by pointer in everything.
func rawVectors() []sample {
	type (
		omitted struct {
			M json.RawMessage `json:",omitempty"`
		}
		omittedPointer struct {
			M *json.RawMessage `json:",omitempty"`
		}
	)
	var out []sample
	for _, raw := range []json.RawMessage{nil, {}, json.RawMessage(`"foo"`), json.RawMessage(` { "x" : [ 1 ] } `)} {
		for _, v := range []any{
			raw, &raw, []any{raw}, &[]any{raw}, []any{&raw}, &[]any{&raw}, plain[json.RawMessage]{raw}, &plain[json.RawMessage]{raw}, plain[*json.RawMessage]{&raw},
			&plain[*json.RawMessage]{&raw}, map[string]any{"M": raw}, &map[string]any{"M": raw}, map[string]any{"M": &raw}, &map[string]any{"M": &raw},
			omitted{raw}, &omitted{raw}, omittedPointer{&raw}, &omittedPointer{&raw}, omittedPointer{}, [1]json.RawMessage{raw}, map[string]json.RawMessage{"M": raw},
		} {
			out = append(out, sample{fmt.Sprintf("RawMessage %q in %T", raw, v), v})
		}
	}
	// Valid JSON with something behind it.
	for _, s := range []string{"[]<", "[]>", "[]&", "[]\u2028", "[]\u2029", "{}<", "{}&", "{}\u2029", "foo", "}{", "{]", `{"X": "foo", "Y"}`, `{"X": "foo" "Y": "bar"}`} {
		out = append(out, sample{fmt.Sprintf("marshaler giving %q", s), verbatim(s)}, sample{fmt.Sprintf("RawMessage %q", s), []json.RawMessage{json.RawMessage(s)}})
	}
	return out
}

// Texts of numbers, valid and not.
func numberVectors() []sample {
	valid := strings.Fields("0 -0 1 -1 0.1 -0.1 1234 -1234 12.34 -12.34 12E0 12e34 12E-0 12e+1 12e-34 -12E0 -12e-34 1.2E0 1.2e34 1.2E-0 1.2e+1 -1.2e-34 0E0 0e34 0E-0 0e+1 -0e-34")
	invalid := []string{"", "invalid", "1.0.1", "1..1", "-1-2", "012a42", "01.2", "012", "12E12.12", "1e2e3", "1e+-2", "1e--23", "1e", "e1", "1e+", "1ea", "1a", "1.a", "1.", "01", "1.e1"}
	var out []sample
	for _, s := range slices.Concat(valid, invalid) {
		out = append(out,
			sample{"Number " + s, json.Number(s)},
			sample{"Number pointer " + s, &plain[*json.Number]{ptr(json.Number(s))}},
			sample{"quoted Number " + s, quoted[json.Number]{json.Number(s)}},
			sample{"Numbers " + s, map[string]any{"": []json.Number{"1", json.Number(s)}}},
		)
	}
	return out
}

// Strings and names of fields.
func textVectors() []sample {
	type quotes struct {
		Bool   bool        `json:",string"`
		Int    int64       `json:",string"`
		Str    string      `json:",string"`
		Number json.Number `json:",string"`
		Ptr    *int64      `json:",string"`
		Slice  []int       `json:",string"`
		Map    map[int]int `json:",string"`
		Any    any         `json:",string"`
		Time   time.Time   `json:",string"`
		PPtr   **int       `json:",string"`
	}
	out := []sample{
		{"quoted fields", quotes{true, 42, "xzbit", "46", ptr(int64(42)), []int{1}, map[int]int{1: 2}, 3, time.Time{}, ptr(ptr(4))}},
		{"quoted fields, twice escaped", quotes{Str: "\b\f\n\r\t\"\\", Number: "0"}},
		{"quoted fields, HTML", []quotes{{Str: "<html>foobar</html>&\u2028", Number: "0"}}},
		{"names with HTML", structOf(0, `json:"<>&#! "`, `json:"\\"`, `json:"-,"`, `jsom:"Misnamed"`, `:"BadFormat"`, `json:" !\"#&'()*+,."`)},
		{"a stream of one of each kind", []any{0.1, "hello", nil, true, false, []any{"a", "b", "c"}, map[string]any{"K": "Kelvin", "ß": "long s"}, 3.14}},
	}
	for _, s := range []string{"hello\xffworld", "hello\xc2world", "hello\xc2\xffworld", "hello\xed\xa0\x80world", "hello\xed\xa0\x80\xed\xb0\x80world", "\xff\xff", "\"foobar\"<html> [\u2028 \u2029]"} {
		out = append(out, sample{fmt.Sprintf("string %q", s), []any{s, map[string]any{s: s}, textString(s), quoted[string]{s}}})
	}
	for _, name := range []string{"$%-/", "0123456789", "ABCDEFGHIJKLMO", "PQRSTUVWXYZ_", "abcdefghijklmno", "色は匂へど", "text/html%", "!#$%&()*+-./:;<=>?@[]^_{|}~ ", "With space", "Ελλάδα"} {
		out = append(out, sample{"a field named " + name, structOf("いろはに", fmt.Sprintf("json:%q", name), fmt.Sprintf("json:%q", name+",string"), fmt.Sprintf("json:%q", name+"2,omitempty"))})
	}
	// The mantissas and exponents around which a float changes its form.
	for digits := "1.2345678901234567890123"; len(digits) >= 2; digits = digits[:len(digits)-1] {
		var fs []any
		for exp := -30; exp <= 30; exp++ {
			var f float64
			if _, err := fmt.Sscanf(fmt.Sprintf("%se%d", digits, exp), "%g", &f); err != nil {
				panic(err)
			}
			fs = append(fs, f, -f, float32(f), ulps(f, 1), ulps(f, -1), math.Nextafter32(float32(f), 0))
		}
		out = append(out, sample{"floats of " + digits, fs})
	}
	return out
}

// What differs between encoding/json and its second version is what an
// encoder may take for a fault of the first.
func firstVersionVectors() []sample {
	type composites struct {
		B []byte
		S []string
		M map[string]string
	}
	type caller struct {
		Ptr    pointerJSON
		Slice  []pointerJSON
		Array  [1]pointerJSON
		Map    map[string]pointerJSON
		Any    any
		Embed  struct{ pointerJSON }
		Nested struct{ P [1]struct{ Q pointerJSON } }
	}
	c := caller{Slice: make([]pointerJSON, 1), Map: map[string]pointerJSON{"": {}}, Any: pointerJSON{}}
	type quotedDeep struct {
		Map    map[string]int      `json:",string"`
		Struct struct{ Field int } `json:",string"`
		Slice  []int               `json:",string"`
		Array  [1]int              `json:",string"`
		PtrA   *int                `json:",string"`
		PtrB   **int               `json:",string"`
		Bool   *bool               `json:",string"`
		Text   *string             `json:",string"`
	}
	return []sample{
		{"nil and empty", []composites{{}, {[]byte{}, []string{}, map[string]string{}}}},
		{"byte arrays", []any{[3]byte{1, 2, 3}, [0]byte{}, [2]myByte{4, 5}, &[1]byte{255}}},
		{"pointer receivers", c},
		{"pointer receivers, addressable", &c},
		{"quoted deep", []quotedDeep{{}, {map[string]int{"a": 1}, struct{ Field int }{1}, []int{1}, [1]int{1}, ptr(1), ptr(ptr(1)), ptr(true), ptr("<")}}},
		{"durations", []any{time.Duration(0), time.Hour, -time.Nanosecond, map[time.Duration]time.Duration{time.Second: time.Minute}}},
		{"empty structs", []any{struct{}{}, &struct{}{}, struct{ a int }{}, struct {
			A int `json:"-"`
		}{}}},
		{"names alike but for case", structOf(1, `json:"NAME"`, `json:"name"`, `json:"Name"`, `json:"nAME"`)},
		{"omitted when empty or not", struct {
			S any    `json:",omitempty"`
			P *any   `json:",omitempty"`
			A [0]int `json:",omitempty"`
			B [1]int `json:",omitempty"`
			T struct {
				V string `json:",omitempty"`
			} `json:",omitempty"`
			M jsonMap `json:",omitempty"`
			N nilJSON `json:",omitempty"`
			X nilText `json:",omitempty"`
		}{S: "", P: new(any), M: jsonMap{}}},
		{"an invalid map key type", map[complex64]int{}},
		{"a nil map of an invalid key type", []map[struct{ A int }]int{nil}},
		{"reflect.Value", reflect.ValueOf([]int{1})},
	}
}

func TestExactVectors(t *testing.T) {
	for _, g := range []struct {
		name    string
		samples []sample
	}{
		{"dominance", dominanceVectors()},
		{"options", optionVectors()},
		{"every kind of field", everyFieldVectors()},
		{"methods", methodVectors()},
		{"raw JSON", rawVectors()},
		{"numbers", numberVectors()},
		{"texts", textVectors()},
		{"first version", firstVersionVectors()},
	} {
		t.Run(g.name, func(t *testing.T) {
			vs := newVariants(t)
			for i, s := range g.samples {
				if hurried() && i%3 > 0 {
					continue
				}
				want := jsonOutcome(s.value)
				for j, vt := range vs {
					if vt.check(t, s.name, s.value, want) {
						vt.checkFormat(t, s.name, s.value, formats[1+(i+j)%(len(formats)-1)])
					}
				}
				checkWrapped(t, vs, i, s, len(want.out))
			}
		})
	}
}
