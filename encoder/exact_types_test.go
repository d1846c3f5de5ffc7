package encoder_test

import (
	"bytes"
	"database/sql"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// sample is a value with the name of what is particular about it.
type sample struct {
	name  string
	value any
}

func ptr[T any](v T) *T { return &v }

// Structs with one field and one tag option each, so that a difference in one
// kind is not hidden by another field of the same struct.
type (
	plain[T any]     struct{ V T }
	omitEmpty[T any] struct {
		V T `json:",omitempty"`
		Z int
	}
	omitZero[T any] struct {
		V T `json:",omitzero"`
		Z int
	}
	omitBoth[T any] struct {
		V T `json:"v,omitempty,omitzero"`
	}
	quoted[T any] struct {
		V T `json:"v,string"`
	}
	quotedOmit[T any] struct {
		V T `json:",omitempty,string"`
	}
)

// tagged gives every value under every tag option, and as a pointer.
func tagged[T any](name string, values ...T) []sample {
	var out []sample
	add := func(how string, i int, v any) {
		out = append(out, sample{fmt.Sprintf("%s %s %d", how, name, i), v})
	}
	for i, v := range values {
		add("bare", i, v)
		add("field", i, plain[T]{v})
		add("omitempty", i, omitEmpty[T]{V: v})
		add("omitzero", i, omitZero[T]{V: v})
		add("both omits", i, omitBoth[T]{v})
		add("quoted", i, quoted[T]{v})
		add("quoted omitempty", i, quotedOmit[T]{v})
		add("quoted pointer", i, quoted[*T]{&v})
		add("omitempty pointer", i, omitEmpty[*T]{V: &v})
	}
	add("nil quoted pointer", 0, quoted[*T]{})
	add("nil omitempty pointer", 0, omitEmpty[*T]{})
	add("nil omitzero pointer", 0, omitZero[*T]{})
	add("nil pointer", 0, (*T)(nil))
	return out
}

// Named types of every kind, without methods.
type (
	myBool   bool
	myInt    int
	myInt8   int8
	myUint16 uint16
	myFloat  float64
	myString string
	myBytes  []byte
	myByte   byte
	myIntPtr *int
	myAny    any
)

func kindSamples() []sample {
	return join(
		tagged("bool", false, true),
		tagged("int", 0, -1, math.MinInt, math.MaxInt),
		tagged("int8", int8(0), math.MinInt8, math.MaxInt8),
		tagged("int16", int16(0), math.MinInt16, math.MaxInt16),
		tagged("int32", int32(0), math.MinInt32, math.MaxInt32),
		tagged("int64", int64(0), math.MinInt64, math.MaxInt64),
		tagged("uint", uint(0), math.MaxUint),
		tagged("uint8", uint8(0), math.MaxUint8),
		tagged("uint16", uint16(0), math.MaxUint16),
		tagged("uint32", uint32(0), math.MaxUint32),
		tagged("uint64", uint64(0), math.MaxUint64),
		tagged("uintptr", uintptr(0), math.MaxUint),
		tagged("float32", 0, float32(math.Copysign(0, -1)), 1.5),
		tagged("float64", 0, math.Copysign(0, -1), 1.5),
		tagged("string", "", "plain", `<a href="x">&`, "\u2028\u2029", "bad \xff utf8", "\b\f\n\r\t\x00", `back\slash`, "世界😀"),
		tagged("named bool", myBool(false), true),
		tagged("named int", myInt(0), 7),
		tagged("named int8", myInt8(0), -7),
		tagged("named uint16", myUint16(0), 7),
		tagged("named float", myFloat(0), 0.1),
		tagged("named string", myString(""), "<named>\xfe"),
		tagged("named pointer", myIntPtr(nil), ptr(3)),
		tagged[any]("any", any(nil), any(0), any(""), any("<&>"), any([]int{}), any(map[string]int{}), any((*int)(nil)), any(quoted[string]{"<"})),
		tagged[myAny]("named any", myAny(nil), 1),
		tagged("struct", plain[int]{}, plain[int]{1}),
		tagged("empty struct", struct{}{}),
		tagged("slice", []int(nil), []int{}, []int{1, 2}),
		tagged("slice of strings", []string{"a", "<b>", "\xff"}),
		tagged("array", [2]int{}, [2]int{1, 2}),
		tagged("empty array", [0]int{}),
		tagged("map", map[string]int(nil), map[string]int{}, map[string]int{"b": 1, "a": 2}),
		tagged("bytes", []byte(nil), []byte{}, []byte("some bytes <>")),
		tagged("named bytes", myBytes(nil), myBytes{}, myBytes("x")),
		tagged("slice of named bytes", []myByte(nil), []myByte{}, []myByte{1, 2, 255}),
		tagged("byte array", [3]byte{}, [3]byte{1, 2, 3}),
		tagged("pointer to pointer", ptr((*int)(nil)), ptr(ptr(1))),
		tagged("Number", json.Number(""), "0", "-0", "1e5", "123456789012345678901234567890", "-1.5E-3", "0e0", "-0.0e-0", "1E+400", "0.10"),
		tagged("bad Number", json.Number("abc"), "1.", "+1", "01", " 1", "1 ", "<", "\xff", "1e", "NaN", "0x1", "-",
			"1e+", ".5", "00", "-01", "--1", "0.", "1_0", "١", "Infinity", "1e5e", "null", "true", "\"1\"", "1,2"),
		tagged("RawMessage", json.RawMessage(nil), json.RawMessage("null"), json.RawMessage(` { "a" : [ 1 , "<&>" ] } `)),
		tagged("time", time.Time{}, time.Unix(1, 5).UTC(), time.Unix(0, 0).In(time.FixedZone("here", 5400))),
		tagged("value marshaler", valueJSON{}, valueJSON{3}),
		tagged("pointer marshaler", pointerJSON{}, pointerJSON{3}),
		tagged("value text marshaler", valueText{}, valueText{3}),
		tagged("pointer text marshaler", pointerText{}, pointerText{3}),
		tagged("text over string", textString(""), "a<b"),
		tagged("pointer text over string", pointerTextString(""), "a<b"),
		tagged("text over int", textInt(0), 5),
		tagged("pointer text over int", pointerTextInt(0), 5),
		tagged("JSON over map", jsonMap(nil), jsonMap{"a": 1}),
		tagged("JSON over slice", jsonSlice(nil), jsonSlice{1}),
		tagged("JSON over bool", jsonBool(false), true),
		tagged("text over float", textFloat(0), 0.5),
		tagged("IsZero by value", zeroByValue{}, zeroByValue{1}, zeroByValue{2}),
		tagged("IsZero by pointer", zeroByPointer{}, zeroByPointer{1}, zeroByPointer{2}),
		tagged("IsZero over string", zeroString(""), "none", "some"),
		tagged("IsZero over map", zeroMap(nil), zeroMap{}, zeroMap{"a": 1}),
		tagged("IsZero of another shape", zeroWrongShape{}, zeroWrongShape{1}),
		tagged[zeroer]("interface with IsZero", nil, zeroByValue{1}, zeroByValue{2}, (*zeroByPointer)(nil), &zeroByPointer{1}, zeroString("none")),
		tagged("IsZero with marshaler", zeroJSON{}, zeroJSON{1}, zeroJSON{2}),
		tagged[fmt.Stringer]("Stringer", fmt.Stringer(nil), fmt.Stringer(time.Second), fmt.Stringer((*url.URL)(nil))),
		tagged[json.Marshaler]("Marshaler", json.Marshaler(nil), json.Marshaler(valueJSON{1}),
			&valueJSON{2}, (*valueJSON)(nil), &pointerJSON{3}, (*pointerJSON)(nil), json.RawMessage("1")),
		tagged[encoding.TextMarshaler]("TextMarshaler", encoding.TextMarshaler(nil), encoding.TextMarshaler(valueText{1}),
			&valueText{2}, (*valueText)(nil), &pointerText{3}, textString("s")),
	)
}

// Marshalers.
type (
	valueJSON         struct{ N int }
	pointerJSON       struct{ N int }
	valueText         struct{ N int }
	pointerText       struct{ N int }
	mixedMarshaler    struct{ N int } // JSON by pointer, text by value
	bothMarshaler     struct{ N int }
	textString        string
	pointerTextString string
	textInt           int
	pointerTextInt    int
	textFloat         float64
	jsonBool          bool
	jsonMap           map[string]int
	jsonSlice         []int
	jsonFunc          func()
	textChan          chan int
	jsonByte          byte
	textByte          byte
	pointerByte       byte
	pointerTextByte   byte
	textArray         [16]byte
	verbatim          string // MarshalJSON returns it as it is
	verbatimText      string // MarshalText returns it as it is
	verbatimPtr       struct{ S string }
	nilJSON           struct{}
	nilText           struct{}
	failing           struct{ Err error }
	failingText       struct{ Err error }
	failingPtr        struct{ Err error }
	nested            struct{ V any } // MarshalJSON calls json.Marshal
)

func (v valueJSON) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"value": %d}`, v.N), nil }
func (p *pointerJSON) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"pointer": %d}`, p.N), nil
}
func (v valueText) MarshalText() ([]byte, error) { return fmt.Appendf(nil, `<value %d>`, v.N), nil }
func (p *pointerText) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, `<pointer %d>`, p.N), nil
}
func (m *mixedMarshaler) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `["mixed JSON", %d]`, m.N), nil
}
func (m mixedMarshaler) MarshalText() ([]byte, error)     { return []byte("mixed text"), nil }
func (bothMarshaler) MarshalJSON() ([]byte, error)        { return []byte(`"both JSON"`), nil }
func (bothMarshaler) MarshalText() ([]byte, error)        { return []byte("both text"), nil }
func (s textString) MarshalText() ([]byte, error)         { return []byte("text:" + s), nil }
func (s *pointerTextString) MarshalText() ([]byte, error) { return []byte("pointer text:" + *s), nil }
func (i textInt) MarshalText() ([]byte, error)            { return fmt.Appendf(nil, "text<%d>", int(i)), nil }
func (i *pointerTextInt) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "pointer text %d", int(*i)), nil
}
func (f textFloat) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(f), 'x', -1, 64), nil
}
func (b jsonBool) MarshalJSON() ([]byte, error) {
	if b {
		return []byte(`"yes"`), nil
	}
	return []byte(`"no"`), nil
}
func (m jsonMap) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(len(m)), 10), nil }
func (s jsonSlice) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(len(s)), 10), nil
}
func (f jsonFunc) MarshalJSON() ([]byte, error) { return strconv.AppendBool(nil, f == nil), nil }
func (c textChan) MarshalText() ([]byte, error) { return strconv.AppendBool(nil, c == nil), nil }
func (b jsonByte) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(b)*2, 10), nil }
func (b textByte) MarshalText() ([]byte, error) { return []byte{'#', byte(b)}, nil }
func (b *pointerByte) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(*b)*3, 10), nil
}
func (b *pointerTextByte) MarshalText() ([]byte, error) { return []byte{'&', byte(*b)}, nil }
func (a textArray) MarshalText() ([]byte, error)        { return fmt.Appendf(nil, "%x", [16]byte(a)), nil }
func (v verbatim) MarshalJSON() ([]byte, error)         { return []byte(v), nil }
func (v verbatimText) MarshalText() ([]byte, error)     { return []byte(v), nil }
func (v *verbatimPtr) MarshalJSON() ([]byte, error)     { return []byte(v.S), nil }
func (nilJSON) MarshalJSON() ([]byte, error)            { return nil, nil }
func (nilText) MarshalText() ([]byte, error)            { return nil, nil }
func (f failing) MarshalJSON() ([]byte, error)          { return []byte("1"), f.Err }
func (f failingText) MarshalText() ([]byte, error)      { return []byte("1"), f.Err }
func (f *failingPtr) MarshalJSON() ([]byte, error)      { return []byte("1"), f.Err }
func (n nested) MarshalJSON() ([]byte, error)           { return json.Marshal(n.V) }

// IsZero methods that disagree with the zero value: 1 counts as zero.
type (
	zeroer         interface{ IsZero() bool }
	zeroByValue    struct{ N int }
	zeroByPointer  struct{ N int }
	zeroString     string
	zeroMap        map[string]int
	zeroWrongShape struct{ N int }
	zeroJSON       struct{ N int }
	zeroWriter     struct{ N int }
)

func (z zeroByValue) IsZero() bool               { return z.N == 1 }
func (z *zeroByPointer) IsZero() bool            { return z.N == 1 }
func (z zeroString) IsZero() bool                { return z == "none" }
func (z zeroMap) IsZero() bool                   { return len(z) == 1 }
func (z *zeroWriter) IsZero() bool               { z.N++; return z.N > 100 }
func (zeroWrongShape) IsZero() int               { return 1 }
func (z zeroJSON) IsZero() bool                  { return z.N == 1 }
func (z *zeroJSON) MarshalJSON() ([]byte, error) { return []byte(`"zero"`), nil }

var errSentinel = errors.New("sentinel <error> \xff")

type customError struct{ Code int }

func (e *customError) Error() string { return fmt.Sprintf("custom %d", e.Code) }

// rawTexts are what a marshaler or a RawMessage may give back.
var rawTexts = []string{
	"", " ", "null", "nul", "true", " \t\r\n1 ", "1 2", "{}", "{", "[1,]", `{"a":}`, `{a:1}`, "NaN", "01", "1e400", "-", "'x'",
	` { "a" : [ 1 , 2 ] , "b" : { } } `, `"<script>&amp;"`, "\"\u2028\u2029\"", `"\u2028"`, `"\ud800"`, `"\x"`, "\"\b\"",
	"\"\xff\"", "\"a\xed\xa0\x80b\"", "\xef\xbb\xbf1", "\"\x7f\"", "\"\n\"", "{\"<\":\"\xc0\x80\"}", `"unterminated`,
	`{"dup":1,"dup":2}`, `"\b\f\/\u003c"`, "[[[]]]", "1.0", "-0", "1E5", "/**/1", "\x001", `"\u0008\u000c"`,
}

func rawSamples() []sample {
	var out []sample
	add := func(name string, v any) { out = append(out, sample{name, v}) }
	deep := strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)
	for _, s := range append(rawTexts, deep, "["+deep+"]", "[["+deep+"]]") {
		name := s
		if len(name) > 40 {
			name = fmt.Sprintf("%d brackets", len(s))
		}
		add(fmt.Sprintf("RawMessage %q", name), json.RawMessage(s))
		add(fmt.Sprintf("RawMessage field %q", name), plain[json.RawMessage]{json.RawMessage(s)})
		add(fmt.Sprintf("RawMessage pointer %q", name), plain[*json.RawMessage]{ptr(json.RawMessage(s))})
		add(fmt.Sprintf("marshaler giving %q", name), verbatim(s))
		add(fmt.Sprintf("marshaler in a struct giving %q", name), plain[verbatim]{verbatim(s)})
		add(fmt.Sprintf("text marshaler giving %q", name), plain[verbatimText]{verbatimText(s)})
		add(fmt.Sprintf("pointer marshaler giving %q", name), &verbatimPtr{s})
		add(fmt.Sprintf("pointer marshaler by value %q", name), plain[verbatimPtr]{verbatimPtr{s}})
	}
	return append(out, []sample{
		{"nil RawMessage", json.RawMessage(nil)},
		{"nil RawMessage pointer", (*json.RawMessage)(nil)},
		{"RawMessages", []json.RawMessage{nil, json.RawMessage("1"), json.RawMessage(` [ "<" ]`)}},
		{"RawMessage map", map[string]json.RawMessage{"a": nil, "b": json.RawMessage(` { } `)}},
		{"RawMessage omitempty", []omitEmpty[json.RawMessage]{{}, {V: json.RawMessage{}}, {V: json.RawMessage("2")}}},
		{"marshaler giving nil", plain[nilJSON]{}},
		{"text marshaler giving nil", plain[nilText]{}},
	}...)
}

func marshalerSamples() []sample {
	v, p, vt, pt := valueJSON{1}, pointerJSON{2}, valueText{3}, pointerText{4}
	m := mixedMarshaler{5}
	type fields struct {
		V   valueJSON
		P   pointerJSON
		VT  valueText
		PT  pointerText
		M   mixedMarshaler
		B   bothMarshaler
		PV  *valueJSON
		PP  *pointerJSON
		PVT *valueText
		PPT *pointerText
		PM  *mixedMarshaler
		A   any
		AP  any
	}
	full := fields{v, p, vt, pt, m, bothMarshaler{}, &v, &p, &vt, &pt, &m, p, &p}
	type viaPointer struct{ P *plain[pointerJSON] }
	type viaArray struct{ A [2]pointerJSON }
	type viaMap struct{ M map[string]pointerJSON }
	return []sample{
		{"value marshaler", v},
		{"value marshaler by pointer", &v},
		{"nil value marshaler", (*valueJSON)(nil)},
		{"pointer marshaler by value", p},
		{"pointer marshaler", &p},
		{"nil pointer marshaler", (*pointerJSON)(nil)},
		{"value text", vt}, {"value text by pointer", &vt}, {"nil value text", (*valueText)(nil)},
		{"pointer text by value", pt}, {"pointer text", &pt}, {"nil pointer text", (*pointerText)(nil)},
		{"mixed by value", m}, {"mixed by pointer", &m}, {"both", bothMarshaler{}},
		{"pointer to pointer to marshaler", ptr(&p)}, {"pointer to pointer to value marshaler", ptr(&v)},
		{"fields by value", full},
		{"fields by pointer", &full},
		{"zero fields", fields{}},
		{"pointer to zero fields", &fields{}},
		{"fields in a slice", []fields{full, {}}}, {"fields in an array", [1]fields{full}},
		{"fields in an array by pointer", &[1]fields{full}},
		{"fields in a map", map[string]fields{"a": full}},
		{"fields in any", []any{full, &full}},
		{"slice of pointer marshalers", []pointerJSON{p, p}},
		{"array of pointer marshalers", [2]pointerJSON{p, p}},
		{"pointer to array of pointer marshalers", &[2]pointerJSON{p, p}},
		{"map of pointer marshalers", map[string]pointerJSON{"a": p}},
		{"map of pointers", map[string]*pointerJSON{"a": &p, "n": nil}},
		{"any of pointer marshaler", []any{p, &p, (*pointerJSON)(nil)}},
		{"slice of arrays", [][2]pointerJSON{{p, p}}}, {"array of slices", [1][]pointerJSON{{p}}},
		{"map of slices", map[string][]pointerJSON{"a": {p}}},
		{"map of arrays", map[string][1]pointerJSON{"a": {p}}},
		{"slice of maps", []map[string]pointerJSON{{"a": p}}},
		{"via pointer", viaPointer{&plain[pointerJSON]{p}}},
		{"array in a struct by value", viaArray{[2]pointerJSON{p, p}}},
		{"array in a struct by pointer", &viaArray{}},
		{"map in a struct by pointer", &viaMap{map[string]pointerJSON{"a": p}}},
		{"slice of structs", []plain[pointerJSON]{{p}}},
		{"map of structs", map[string]plain[pointerText]{"a": {pt}}},
		{"anonymous struct", struct{ P pointerJSON }{p}},
		{"slice of mixed", []mixedMarshaler{m}},
		{"array of mixed", [1]mixedMarshaler{m}},
		{"nil marshaler interfaces", plain[[]json.Marshaler]{[]json.Marshaler{nil, v, &v, (*valueJSON)(nil), &p}}},
		{"func with marshaler", []jsonFunc{nil, func() {}}},
		{"chan with text", []textChan{nil, make(textChan)}},
		{"map kinds with marshalers", []jsonMap{nil, {}, {"a": 1}}},
		{"slices with marshalers", []jsonSlice{nil, {}, {1}}},
		{"bytes with JSON", []jsonByte{1, 200}}, {"bytes with text", []textByte{'a', '<', 0xff}},
		{"bytes with pointer JSON", []pointerByte{1, 2}},
		{"array of bytes with pointer JSON", [2]pointerByte{1, 2}},
		{"pointer to array of bytes with pointer JSON", &[2]pointerByte{1, 2}},
		{"bytes with pointer text", []pointerTextByte{'x', 0xff}},
		{"nil bytes with JSON", []jsonByte(nil)}, {"empty bytes with text", []textByte{}},
		{"array with text", []textArray{{}, {1, 2, 3}}},
		{"array with text as a key", map[textArray]int{{1}: 1, {2}: 2}},
		{"marshaler calling Marshal", nested{nested{map[string]any{"<": nested{1}}}}},
		{"marshaler calling Marshal that fails", nested{nested{math.NaN()}}},
		{"failing marshaler", failing{errSentinel}},
		{"failing field", plain[failing]{failing{errSentinel}}},
		{"failing pointer", &failing{&customError{7}}},
		{"failing text", []failingText{{}, {&customError{8}}}},
		{"failing pointer receiver", []failingPtr{{}, {errSentinel}}},
		{"failing pointer receiver by value", failingPtr{errSentinel}},
		{"failing in any", []any{1, failing{errSentinel}}},
		{"failing in a map", map[string]any{"a": 1, "b": failing{errors.Join(errSentinel, &customError{9})}}},
		{"failing late", append(make([]any, 500), failing{errSentinel})},
		{"failing by a JSON error", failing{&json.UnsupportedTypeError{Type: reflect.TypeFor[int]()}}},
	}
}

// Embedding.
type (
	Inner       struct{ A, B int }
	inner       struct{ A, B int }
	InnerTagged struct {
		A int `json:"A"`
		X int `json:"x"`
	}
	Other  struct{ A, C int }
	Deeper struct {
		Inner
		D int
	}
	Count  int
	count  int
	Names  []string
	Table  map[string]int
	unseen interface{ unseen() }
	Twice1 struct{ Inner }
	Twice2 struct{ Inner }
	Loop   struct {
		N int
		*Loop
	}
	Ping struct {
		P int
		*Pong
	}
	Pong struct {
		Q int
		*Ping
	}
	ValueJSON      = valueJSON
	secretJSON     struct{ N int }
	GenericString  = Generic[string]
	Generic[T any] struct{ G T }
)

func (secretJSON) MarshalJSON() ([]byte, error) { return []byte(`"secret"`), nil }

func embeddingSamples() []sample {
	type (
		byValue struct {
			Inner
			Z int
		}
		byPointer struct {
			*Inner
			Z int
		}
		unexported struct {
			inner
			Z int
		}
		unexportedPointer struct {
			*inner
			Z int
		}
		named struct {
			Inner `json:"in"`
			Z     int
		}
		namedUnexported struct {
			inner `json:"in"`
			Z     int
		}
		namedUnexportedPointer struct {
			*inner `json:"in,omitempty"`
			Z      int
		}
		namedSecret struct {
			secretJSON `json:"s"`
			*inner
			Z int
		}
		skipped struct {
			Inner `json:"-"`
			Z     int
		}
		omitted struct {
			Inner `json:",omitempty"`
			Z     int
		}
		shadowed struct {
			Inner
			A string
		}
		shadowedByTag struct {
			Inner
			Z string `json:"A"`
		}
		ambiguous struct {
			Inner
			Other
		}
		ambiguousTagged struct {
			Inner
			InnerTagged
		}
		ambiguousThree struct {
			Inner
			InnerTagged
			Other
		}
		ambiguousDeep struct {
			Twice1
			Twice2
			D int
		}
		deepWins struct {
			Deeper
			Other
		}
		sameTwice struct {
			*Deeper
			Inner
		}
		scalar struct {
			Count
			*Names
			Table
		}
		scalarPointer struct {
			*Count
			Names `json:"names,omitempty"`
		}
		scalarUnexported struct {
			count
			*inner
			Z int
		}
		iface struct {
			fmt.Stringer
			error
			Z int
		}
		ifaceTagged struct {
			fmt.Stringer `json:"s"`
			Z            int
		}
		ifaceUnexported struct {
			unseen
			Z int
		}
		promoted struct {
			valueJSON
			Z int
		}
		promotedPointer struct {
			*pointerJSON
			Z int
		}
		promotedByAddress struct {
			pointerJSON
			Z int
		}
		promotedAmbiguous struct {
			valueJSON
			bothMarshaler
			Z int
		}
		promotedText struct {
			valueText
			Z int
		}
		promotedTime struct {
			time.Time
			Z int
		}
		promotedInterface struct {
			json.Marshaler
			Z int
		}
		byAddressInside struct {
			P pointerJSON
			T pointerText `json:",omitempty"`
			A [2]pointerJSON
		}
		throughPointer struct {
			*byAddressInside
			Z int
		}
		throughValue struct {
			byAddressInside
			Z int
		}
		generic struct {
			Generic[int]
			*GenericString
		}
		quotedInner struct {
			Inner `json:",string"`
			*Deeper
		}
		chain3 struct{ *Deeper }
		chain4 struct{ chain3 }
		chain5 struct {
			*chain4
			A bool
		}
	)
	in := Inner{1, 2}
	loop := Loop{1, &Loop{2, &Loop{N: 3}}}
	return []sample{
		{"embedded struct", byValue{in, 3}},
		{"embedded pointer", byPointer{&in, 3}},
		{"nil embedded pointer", byPointer{nil, 3}},
		{"embedded unexported", unexported{inner(in), 3}},
		{"embedded unexported pointer", unexportedPointer{ptr(inner(in)), 3}},
		{"nil embedded unexported pointer", unexportedPointer{Z: 3}},
		{"embedded with a name", named{in, 3}},
		{"embedded unexported with a name", namedUnexported{inner(in), 3}},
		{"embedded unexported pointer with a name", namedUnexportedPointer{ptr(inner(in)), 3}},
		{"nil embedded unexported pointer with a name", namedUnexportedPointer{Z: 3}},
		{"embedded and skipped", skipped{in, 3}},
		{"embedded unexported marshaler with a name", namedSecret{secretJSON{1}, nil, 2}},
		{"embedded omitempty", omitted{Inner{}, 3}},
		{"shadowed", shadowed{in, "a"}},
		{"shadowed by a tag", shadowedByTag{in, "a"}},
		{"ambiguous", ambiguous{in, Other{3, 4}}},
		{"ambiguous but tagged", ambiguousTagged{in, InnerTagged{5, 6}}},
		{"ambiguous of three, one tagged", ambiguousThree{in, InnerTagged{5, 6}, Other{7, 8}}},
		{"ambiguous by the same type twice", ambiguousDeep{Twice1{in}, Twice2{in}, 1}},
		{"depth decides", deepWins{Deeper{in, 3}, Other{4, 5}}},
		{"same type at two depths", sameTwice{&Deeper{in, 3}, Inner{8, 9}}},
		{"same type at two depths, nil", sameTwice{nil, Inner{8, 9}}},
		{"embedded scalars", scalar{1, &Names{"a"}, Table{"t": 1}}}, {"zero embedded scalars", scalar{}},
		{"embedded scalar pointer", scalarPointer{ptr(Count(4)), nil}},
		{"nil embedded scalar pointer", scalarPointer{}},
		{"embedded unexported scalar", scalarUnexported{5, nil, 6}},
		{"embedded interfaces", iface{time.Second, errSentinel, 1}},
		{"nil embedded interfaces", iface{}},
		{"embedded interface with a name", ifaceTagged{time.Minute, 1}},
		{"embedded unexported interface", ifaceUnexported{nil, 1}},
		{"promoted marshaler", promoted{valueJSON{1}, 2}},
		{"promoted pointer marshaler", promotedPointer{&pointerJSON{1}, 2}},
		{"promoted from a nil pointer", promotedPointer{nil, 2}},
		{"promoted from a nil interface", promotedInterface{nil, 5}},
		{"promoted by address", promotedByAddress{pointerJSON{1}, 2}},
		{"promoted by address, addressable", &promotedByAddress{pointerJSON{1}, 2}},
		{"promoted ambiguously", promotedAmbiguous{valueJSON{1}, bothMarshaler{2}, 3}},
		{"promoted text", promotedText{valueText{1}, 2}},
		{"promoted time", promotedTime{time.Unix(0, 0).UTC(), 3}},
		{"promoted from an interface", promotedInterface{valueJSON{4}, 5}},
		{"marshalers through an embedded pointer", throughPointer{&byAddressInside{P: pointerJSON{1}}, 2}},
		{"marshalers through a nil embedded pointer", throughPointer{}},
		{"marshalers through an embedded struct", throughValue{byAddressInside{}, 2}},
		{"marshalers through an embedded struct, addressable", &throughValue{byAddressInside{}, 2}},
		{"embedded generics", generic{Generic[int]{1}, &GenericString{"<"}}},
		{"nil embedded generics", generic{}}, {"embedded with string option", quotedInner{in, nil}},
		{"four levels of embedding", chain5{&chain4{chain3{&Deeper{in, 7}}}, true}},
		{"four levels, nil in the middle", chain5{&chain4{}, true}},
		{"four levels, nil at the top", chain5{}},
		{"recursive embedding", loop},
		{"mutually recursive embedding", Ping{1, &Pong{2, &Ping{3, nil}}}},
		{"slices of embedded", []any{[]byPointer{{nil, 1}, {&in, 2}}, []sameTwice{{nil, in}, {&Deeper{}, in}}}},
		{"unexported fields", struct {
			a int
			B int
			_ int
			c chan int
		}{1, 2, 3, nil}},
	}
}

// structOf builds a struct of one field of v's type per tag. Going through
// reflect allows tags that vet would not.
func structOf(v any, tags ...string) any {
	var fields []reflect.StructField
	for i, tag := range tags {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeOf(v), Tag: reflect.StructTag(tag)})
	}
	s := reflect.New(reflect.StructOf(fields)).Elem()
	for i := range fields {
		s.Field(i).Set(reflect.ValueOf(v))
	}
	return s.Interface()
}

func tagSamples() []sample {
	tags := []string{
		"", `json:""`, `json:"-"`, `json:"-,"`, `json:"-,omitempty"`, `json:","`, `json:",,,"`, `json:"a"`, `json:"A,"`, `json:"café"`, `json:"世界"`,
		`json:"<b>&\u2028"`, "json:\"sep\u2028\"", `json:"a b"`, `json:"!#$%&()*+-./:;<=>?@[]^_{|}~ "`, `json:"quote\""`, `json:"back\\slash"`,
		`json:"comma\,"`, `json:"tick'"`, "json:\"bad\xff\"", "json:\"ctl\x01\"", `json:"tab\t"`, `json:"x,string"`, `json:"y,omitempty,string"`,
		`json:"z, string"`, `json:"w,omitempty string"`, `json:"v,STRING"`, `json:"u,unknown"`, `json:name`, `json`, `json: "space"`, `xml:"x" json:"after"`,
		`json:"first" json:"second"`, `json:"_"`, `json:" "`, `json:"0"`, `json:"é,omitzero"`, `json:"\u00e9x"`, `json:"emoji😀"`, `json:"1<2"`,
	}
	samples := []sample{
		{"names differing in case", structOf(1, `json:"a"`, `json:"A"`, `json:"aA"`)},
		{"one name twice", structOf(1, `json:"a"`, `json:"a"`, `json:"b"`)},
		{"a name that is another field's", structOf(1, `json:"F1"`, ``, `json:"c"`)},
		{"all tags at once", structOf("<v>", tags...)},
		{"no fields left", structOf(1, `json:"-"`)},
		{"many fields", structOf("v", strings.Split(strings.Repeat(",", 199), ",")...)},
		{"many omitted fields", structOf("", strings.Split(strings.Repeat("json:\",omitempty\"\n", 199), "\n")...)},
	}
	for _, tag := range tags {
		samples = append(samples, sample{"int tagged " + tag, structOf(7, tag)}, sample{"string tagged " + tag, structOf("<v>\b", tag)})
	}
	return samples
}

// stringTexts are strings that need some care each.
func stringTexts() []string {
	texts := []string{
		"", "a", "plain ASCII", `"`, `\`, "/", "<", ">", "&", "<script>alert('x')&amp;</script>", "\u007f", "\u0080", "é", "世界", "😀", "\U0010ffff",
		"\u2027\u2028\u2029\u202a", "\ufeff", "\ufffd", "\ufffe", "\xff", "\xfe\xff", "\x80", "\xbf\xbf", "\xc3", "\xc3(", "\xe2\x80", "\xe2(\xa1", "\xf0\x9f\x98", "\xf0\x9f\x98(",
		"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\xbd\xed\xb8\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"a\xffb\xffc", "\\u0008", `\u003c`, `\b`, `\\u000c`, "\\\b", "\\\\\f", "null", "\x00", strings.Repeat("\x00", 40), strings.Repeat("\"", 70), strings.Repeat("\xff", 70),
	}
	for c := range byte(0x20) {
		texts = append(texts, string(rune(c)), "before"+string(rune(c))+"after")
	}
	// Around the widths of vector registers.
	for _, n := range []int{7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129} {
		for _, mark := range []string{"", "<", "\b", "\"", "\xff", "\xe2\x80", "\u2028", "é", "😀", "\x01"} {
			texts = append(texts, strings.Repeat("x", n)+mark, strings.Repeat("x", n)+mark+"tail")
		}
	}
	return texts
}

func stringSamples() []sample {
	texts := stringTexts()
	named := make([]textString, len(texts))
	keys, values := map[string]int{}, map[string]string{}
	var anys []any
	for i, s := range texts {
		named[i] = textString(s)
		keys[s] = i
		values[strconv.Itoa(i)] = s
		anys = append(anys, s, []string{s}, map[string]any{s: s})
	}
	out := []sample{
		{"every odd string", texts},
		{"every odd string as text", named},
		{"every odd string as a key", keys},
		{"every odd string as a map value", values}, {"every odd string in any", anys},
		{"all bytes", string(allBytes())}, {"all bytes as bytes", allBytes()},
		{"all of latin and the separators", allRunes(0, 0x2100)},
	}
	for i, s := range texts {
		out = append(out, sample{fmt.Sprintf("string %d %q", i, s), s})
	}
	return out
}

func allBytes() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func allRunes(from, to rune) string {
	var b strings.Builder
	for r := from; r < to; r++ {
		b.WriteRune(r)
	}
	return b.String()
}

func float64s() []float64 {
	fs := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 0.2, 0.3, 1.0 / 3, 100, 1e5, 1e6, 1e20, 1e21, 9.999999999999999e20, 1e22, 1e-5, 1e-6, 1e-7, 9.99e-7, 1.5e-9, 1e-10, 1e100, -1e-100,
		math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 2.225073858507201e-308, math.MaxInt64, math.MaxUint64, 1 << 53, 1<<53 + 2, 123456789.123456789,
		5e-324, 4.35, 0.1 + 0.2, 1e23, 8.41e21, 2.109808898695963e16, 4940656458412465e-339, math.Pi, math.E,
	}
	for e := -30; e <= 30; e++ {
		f := math.Pow10(e)
		fs = append(fs, f, -f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1)), 1.2345678*f)
	}
	return fs
}

func float32s() []float32 {
	fs := []float32{math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1.1754944e-38, 1.1754942e-38, 16777216, 0.1, 3.4e38, float32(math.Copysign(0, -1))}
	for _, f := range float64s() {
		if f32 := float32(f); !math.IsInf(float64(f32), 0) {
			fs = append(fs, f32, math.Nextafter32(f32, 0), math.Nextafter32(f32, 10))
		}
	}
	return fs
}

func numberSamples() []sample {
	out := []sample{
		{"every odd float64", float64s()}, {"every odd float32", float32s()},
		{"every odd float64 quoted", mapTo(float64s(), func(f float64) quoted[float64] { return quoted[float64]{f} })},
		{"every odd float32 quoted", mapTo(float32s(), func(f float32) quoted[float32] { return quoted[float32]{f} })},
		{"every odd float64 in any", mapTo(float64s(), func(f float64) any { return f })},
		{"least ints", mapTo(make([]struct{}, 64), func(struct{}) int64 { return math.MinInt64 })},
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		name := strconv.FormatFloat(f, 'g', -1, 64)
		out = append(out, []sample{
			{name, f}, {name + " float32", float32(f)}, {name + " field", plain[float64]{f}}, {name + " quoted", quoted[float64]{f}},
			{name + " omitempty", omitEmpty[float32]{V: float32(f)}}, {name + " in any", []any{1, f}}, {name + " in a map", map[string]float64{"a": 1, "b": f}},
			{name + " after many", append(make([]float64, 1000), f)}, {name + " pointer", &f}, {name + " named", myFloat(f)},
			{name + " twice of different types", []any{float32(f), f}}, {name + " in a struct in a map", map[string]any{"x": plain[float32]{float32(f)}}},
		}...)
	}
	return out
}

func mapTo[S, T any](in []S, f func(S) T) []T {
	out := make([]T, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

func join(groups ...[]sample) []sample {
	var out []sample
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

// Maps and their keys.
type (
	failingKey  int
	structKey   struct{ A, B int }
	constantKey struct{ N int }
	ptrTextKey  struct{ N int }
)

func (k failingKey) MarshalText() ([]byte, error) {
	if k == 3 {
		return nil, errSentinel
	}
	return strconv.AppendInt(nil, int64(k), 10), nil
}
func (k structKey) MarshalText() ([]byte, error)   { return fmt.Appendf(nil, "%d<%d\b", k.A, k.B), nil }
func (constantKey) MarshalText() ([]byte, error)   { return []byte("same"), nil }
func (k *ptrTextKey) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "key %d", k.N), nil }

func keyed[K comparable](name string, keys ...K) []sample {
	m := map[K]int{}
	s := map[K][]string{}
	a := map[K]any{}
	for i, k := range keys {
		m[k], s[k], a[k] = i, []string{"<", strconv.Itoa(i)}, plain[int]{i}
	}
	return []sample{
		{"map by " + name, m},
		{"map of slices by " + name, s},
		{"map of any by " + name, a},
		{"nil map by " + name, map[K]int(nil)},
		{"empty map by " + name, map[K]int{}},
		{"omitempty map by " + name, []omitEmpty[map[K]int]{{}, {V: map[K]int{}}, {V: m}}},
		{"omitzero map by " + name, []omitZero[map[K]int]{{}, {V: map[K]int{}}, {V: m}}},
	}
}

func keySamples() []sample {
	sameKeys := map[constantKey]int{{1}: 1, {2}: 1, {3}: 1}
	return join(
		keyed("string", "b", "a", "", "<", "&", "\u2028", "\xff", "\xfe", "\ufffd",
			"\b", "\f", "\"", "\\", "\x00", "世界", "😀", "a\xffb", "aa", "B", "é", "z\u0301"),
		keyed("named string", myString("b"), "a"),
		keyed("string with text", textString("b"), "a", "<\b"),
		keyed("string with pointer text", pointerTextString("b"), "a"),
		keyed("int", 0, -1, 1, 10, 9, 2, -10, -9, math.MinInt, math.MaxInt),
		keyed("int8", int8(0), -128, 127, 12),
		keyed("int16", int16(0), -32768, 5),
		keyed("int32", int32(0), -5, 5),
		keyed("int64", int64(0), -5, 50, 6),
		keyed("uint", uint(0), 10, 9, math.MaxUint),
		keyed("uint8", uint8(0), 255, 26),
		keyed("uint16", uint16(1), 11, 2),
		keyed("uint32", uint32(3), 20),
		keyed("uint64", uint64(3), 20, math.MaxUint64),
		keyed("uintptr", uintptr(3), 20),
		keyed("named int", myInt(3), 20, -1),
		keyed("int with text", textInt(10), 9, -3),
		keyed("int with pointer text", pointerTextInt(10), 9, -3),
		keyed("struct with text", structKey{1, 2}, structKey{0, 9}),
		keyed("struct without text", plain[int]{1}),
		keyed("struct with pointer text", ptrTextKey{1}),
		keyed("pointer with text", &ptrTextKey{1}, nil, &ptrTextKey{0}),
		keyed("pointer without text", ptr(1)),
		keyed("pointer to a value with text", &structKey{3, 4}, nil),
		keyed("verbatim text", verbatimText("\xff"), "a", "\xfe", "<", "\b"),
		keyed("failing text", failingKey(1), 2, 3, 4),
		keyed("failing text that does not fail", failingKey(1), 2),
		keyed("bool", true, false),
		keyed("float", 1.5, 2),
		keyed[any]("any", any("a"), any(1)),
		keyed("array", [1]int{1}),
		keyed("text array", textArray{1}, textArray{2}),
		keyed("time", time.Unix(5, 0).UTC(), time.Unix(4, 1).UTC()),
		keyed("address", netip.MustParseAddr("::1"), netip.MustParseAddr("10.0.0.1"), netip.Addr{}),
		keyed[encoding.TextMarshaler]("text interface", encoding.TextMarshaler(textInt(3)), textString("x"), structKey{1, 2}),
		keyed[encoding.TextMarshaler]("nil text interface", encoding.TextMarshaler(nil)),
		keyed("complex", complex(1, 2)),
		keyed("float with text", textFloat(1), 0.25),
		keyed("Number", json.Number("1"), "x"),
		keyed("JSON bool", jsonBool(true)),
		keyed("both marshalers", bothMarshaler{1}),
		[]sample{
			{"keys that collide", sameKeys},
			{"map of maps", map[string]map[int]map[string]any{"a": {1: {"x": nil}, 2: nil}, "b": nil}},
			{"keys alike up to their end", map[string]int{"a": 1, "a\x00": 2, "a\x00\x00": 3, "ab": 4, "a ": 5, "a\u0000b": 6}},
			{"long keys", map[string]int{strings.Repeat("k", 5000): 1, strings.Repeat("k", 4999): 2, strings.Repeat("k", 5000) + "<": 3}},
			{"map type with any", map[string]any{"nil": nil, "map": map[string]any{}, "nilmap": map[string]any(nil), "slice": []any{}, "nilslice": []any(nil)}},
		},
	)
}

func collectionSamples() []sample {
	p := pointerJSON{1}
	return join(
		sized[int](), sized[byte](), sized[string](), sized[any](), sized[float32](), sized[bool](),
		sized[plain[string]](), sized[pointerJSON](), sized[struct{}](), sized[*int](), sized[[2]bool](), sized[json.RawMessage](),
		[]sample{
			{"array of 64", filled([64]int{}, 3)},
			{"array of 65", filled([65]int{}, 3)},
			{"array of 1,000", filled([1000]string{}, "<&>")},
			{"pointer to array of 65", ptr(filled([65]pointerJSON{}, p).([65]pointerJSON))},
			{"array of 1,000 pointer marshalers", filled([1000]pointerJSON{}, p)},
			{"slice of arrays of 65", []any{[][65]byte{{1}, {2}}}},
			{"array in a struct", plain[[65]plain[int]]{}},
			{"map of arrays of 70", map[string][70]int8{"a": {}, "b": {1}}},
			{"array of arrays", [3][70]uint8{}},
			{"array of empty arrays", [3][0]int{}},
			{"slice of empty structs", make([]struct{}, 500)},
			{"nil and empty", struct {
				A []int
				B []int
				C map[string]int
				D map[string]int
				E []byte
				F []byte
				G any
				H *int
				I []any
				J [][]int
			}{B: []int{}, D: map[string]int{}, F: []byte{}, J: [][]int{nil, {}}}},
			{"bytes of each length", mapTo(make([]struct{}, 70), func(struct{}) []byte { return []byte("\xfb\xff\xbfabc") })},
			{"named bytes in slices", []myBytes{nil, {}, {1}}},
			{"map of bytes", map[string][]byte{"a": nil, "b": {}, "c": {255}}},
			{"pointer to slice", &[]int{1}},
			{"pointer to nil slice", new([]int)},
			{"pointer to map", &map[string]int{"a": 1}},
			{"pointer to nil map", new(map[string]int)},
			{"pointer to any", ptr(any(p))},
			{"pointer to nil any", new(any)},
			{"pointers down to a marshaler", ptr(ptr(ptr(p)))},
			{"any in any", ptr(any(ptr(any(ptr(any(1))))))},
			{"slice sharing its array", func() any { s := []int{1, 2, 3}; return [][]int{s, s[:2], s[1:], s} }()},
			{"same pointer many times", func() any { n := 1; return []*int{&n, &n, nil, &n} }()},
		},
	)
}

// sized gives slices of T of several lengths.
func sized[T any]() []sample {
	name := reflect.TypeFor[T]().String()
	return []sample{
		{"nil slice of " + name, []T(nil)},
		{"empty slice of " + name, []T{}},
		{"one of " + name, make([]T, 1)},
		{"65 of " + name, make([]T, 65)},
		{"array of 2 of " + name, [2]T{}},
	}
}

// filled sets every element of an array.
func filled(array, elem any) any {
	v := reflect.New(reflect.TypeOf(array)).Elem()
	for i := range v.Len() {
		v.Index(i).Set(reflect.ValueOf(elem))
	}
	return v.Interface()
}

// Types that json cannot encode, and where it does not notice.
func unsupportedSamples() []sample {
	type chans struct {
		A int
		C chan int
	}
	type hidden struct {
		C chan int        `json:"-"`
		F func()          `json:",omitempty"`
		X complex64       `json:",omitempty"`
		D chan int        `json:",omitempty"`
		P *chans          `json:",omitempty"`
		M map[int]func()  `json:",omitempty"`
		U unsafe.Pointer  `json:",omitzero"`
		K map[bool]int    `json:",omitempty"`
		L map[float64]int `json:",omitzero"`
	}
	return join(
		tagged("chan", (chan int)(nil), make(chan int)),
		tagged("func", (func())(nil), func() {}),
		tagged("complex64", complex64(0), 1),
		tagged("complex128", complex128(0), 1i),
		tagged("unsafe pointer", unsafe.Pointer(nil)),
		tagged("map by bool", map[bool]int(nil), map[bool]int{true: 1}),
		tagged("map by struct", map[plain[int]]int(nil), map[plain[int]]int{}),
		tagged("map by any", map[any]int(nil), map[any]int{}),
		[]sample{
			{"struct with a chan", chans{}},
			{"nil pointer to a struct with a chan", (*chans)(nil)},
			{"struct with such a nil pointer", plain[*chans]{}},
			{"hidden", hidden{}},
			{"hidden, one shows", hidden{P: &chans{}}},
			{"no element of it", []chan int{}},
			{"nil slice of it", []func(){}},
			{"no element of a struct with it", []chans{}},
			{"empty map of it", map[string]chan int{}},
			{"nil map of it", map[string]complex64(nil)},
			{"array of none of it", [0]chan int{}},
			{"slice of nil pointers to it", []*chans{nil, nil}},
			{"after many", append(make([]any, 400), make(chan int))},
			{"func in any", plain[any]{func() {}}},
			{"in a map behind good ones", map[string]any{"a": 1, "b": []int{1}, "z": chans{}}},
			{"in a nested struct", plain[plain[[]plain[any]]]{plain[[]plain[any]]{[]plain[any]{{1}, {chans{}}}}}},
			{"two errors, the first counts", []any{math.NaN(), make(chan int)}},
			{"two errors in a map, the first key counts", map[string]any{"b": math.NaN(), "a": make(chan int)}},
			{"key error before the value's", map[failingKey]any{3: make(chan int), 1: math.NaN()}},
		},
	)
}

type uuid [16]byte

func (u uuid) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x-%x", u[:4], u[4:]), nil }

func librarySamples() []sample {
	u, _ := url.Parse("https://me:pw@example.com/a b?q=<1>&r=2#frag")
	_, ipnet, _ := net.ParseCIDR("10.1.0.0/16")
	var list sync.Map
	bigInt, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	year10k := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	return join(
		tagged("big.Int", big.Int{}, *bigInt),
		tagged("big.Int pointer", bigInt),
		tagged("big.Float", *big.NewFloat(1.5e300)),
		tagged("big.Rat", *big.NewRat(-3, 7)),
		tagged("big.Rat pointer", big.NewRat(22, 7)),
		tagged("time of year 10000", year10k),
		tagged("time of year -1", time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)),
		tagged("time with odd zone", time.Unix(0, 0).In(time.FixedZone("odd", 3601)), time.Unix(0, 0).In(time.FixedZone("far", 24*3600))),
		tagged("local time", time.Unix(1700000000, 123456789)),
		tagged("duration", time.Duration(0), time.Second),
		tagged("month", time.March),
		tagged("netip.Addr", netip.Addr{}, netip.MustParseAddr("fe80::1%eth0")),
		tagged("netip.AddrPort", netip.AddrPort{}, netip.MustParseAddrPort("[::1]:80")),
		tagged("netip.Prefix", netip.Prefix{}, netip.MustParsePrefix("10.0.0.0/8")),
		tagged("net.IP", net.IP(nil), net.IP{}, net.IPv4(1, 2, 3, 4), net.IP{1, 2, 3}),
		tagged("net.IPNet", *ipnet),
		tagged("hardware address", net.HardwareAddr{1, 2, 3}),
		tagged("url.URL", *u),
		tagged("url.Values", u.Query()),
		tagged("http.Header", http.Header{"X": {"<", "b"}}),
		tagged("slog.Level", slog.LevelWarn, slog.Level(3)),
		tagged("slog.LevelVar", *new(slog.LevelVar)),
		tagged("slog.Attr", slog.Int("a", 1)),
		tagged("slog.Value", slog.AnyValue("x")),
		tagged("template.HTML", template.HTML("<b>")),
		tagged("regexp", regexp.MustCompile("<a+>")),
		tagged("uuid", uuid{}, uuid{1, 2}),
		tagged("sql.NullString", sql.NullString{}, sql.NullString{String: "<", Valid: true}),
		tagged("sql.NullTime", sql.NullTime{}),
		tagged("sql.Null", sql.Null[any]{V: valueJSON{1}, Valid: true}),
		tagged("mail.Address", mail.Address{Name: "<n>", Address: "a@b"}),
		[]sample{
			{"mutex", new(sync.Mutex)}, {"struct with a mutex", &struct {
				sync.Mutex
				N int
			}{N: 1}},
			{"sync.Map", &list},
			{"atomic", new(atomic.Int64)},
			{"atomic pointer", new(atomic.Pointer[int])},
			{"atomic value", new(atomic.Value)},
			{"buffer", bytes.NewBufferString("x")},
			{"builder", new(strings.Builder)},
			{"error", errSentinel},
			{"custom error", &customError{1}},
			{"reflect.Value", reflect.ValueOf(1)},
			{"reflect.Type", reflect.TypeFor[int]()},
			{"cookie", &http.Cookie{Name: "a", Value: "<"}},
			{"slice of times", []time.Time{{}, time.Unix(1, 1).UTC()}},
			{"slice with a bad time", []time.Time{{}, year10k}},
			{"map with a bad time", map[string]any{"t": &year10k}},
			{"map of times", map[string]time.Time{"b": {}, "a": time.Unix(9, 0).UTC()}},
			{"big in any", []any{bigInt, *bigInt, big.NewFloat(math.Inf(1)), *big.NewRat(1, 2)}},
			{"nil big", []*big.Int{nil, bigInt}},
			{"location", time.UTC},
		},
	)
}

// Recursive types.
type (
	tree struct {
		Name     string  `json:"name"`
		Children []*tree `json:"children,omitempty"`
		Parent   *tree   `json:"-"`
	}
	listNode struct {
		N    int
		Next *listNode
	}
	husband struct {
		Name string
		Wife *wife `json:",omitempty"`
	}
	wife struct {
		Name    string
		Husband *husband `json:",omitempty"`
		Kids    map[string]husband
	}
	byteNode struct {
		B    byte
		C    myByte `json:",string"`
		D    pointerByte
		Next *byteNode
	}
	selfSlice []selfSlice
	selfMap   map[string]selfMap
	selfPtr   *selfPtr
	selfAny   struct{ V any }
	selfJSON  struct {
		P    pointerJSON
		Next *selfJSON
		More []selfJSON
	}
	pairOf[K, V any] struct {
		Key   K `json:"key"`
		Value V `json:"value"`
	}
	genericTree[T any] struct {
		V    T
		L, R *genericTree[T]
	}
)

func grow(depth, width int) *tree {
	t := &tree{Name: fmt.Sprintf("<%d>", depth)}
	for range width {
		if depth > 0 {
			t.Children = append(t.Children, grow(depth-1, width))
		}
	}
	return t
}

func recursiveSamples() []sample {
	return []sample{
		{"tree", grow(3, 3)},
		{"lone tree", tree{Name: "x"}},
		{"list", &listNode{1, &listNode{2, &listNode{3, nil}}}},
		{"mutual", husband{"a", &wife{"b", &husband{"c", nil}, map[string]husband{"k": {"d", nil}}}}},
		{"self slice", selfSlice{nil, {}, {{}, nil}}},
		{"self map", selfMap{"b": nil, "a": {"c": {}}}},
		{"self pointer", func() any { var p selfPtr; q := selfPtr(&p); return q }()},
		{"self with pointer marshalers", selfJSON{pointerJSON{1}, &selfJSON{P: pointerJSON{2}}, []selfJSON{{P: pointerJSON{3}}}}},
		{"self with pointer marshalers, addressable", &selfJSON{More: []selfJSON{{}}}},
		{"pair", pairOf[string, []int]{"<", []int{1}}},
		{"pair of pairs", []pairOf[pairOf[int, any], *string]{{pairOf[int, any]{1, 2.5}, ptr("s")}, {}}},
		{"generic tree", genericTree[any]{1, &genericTree[any]{V: "<"}, &genericTree[any]{V: nil}}},
		{"generic tree of marshalers", &genericTree[pointerText]{pointerText{1}, &genericTree[pointerText]{}, nil}},
	}
}

const document = `{"glossary":{"title":"<example> & \"glossary\"","n":[0,-1,1.5,1e30,123456789012345678,true,false,null],"deep":{"a":{"b":{"c":[[],{},[{}],""]}}},
"list":[{"id":1,"tags":["a","b"],"\u2028":"\u0000"},{"id":2,"tags":null},{"id":3,"tags":[]}],"":"empty","Ünïcode":"\ud83d\ude00"}}`

func anySamples() []sample {
	var doc, numbers any
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		panic(err)
	}
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&numbers); err != nil {
		panic(err)
	}
	type h = map[string]any
	return []sample{
		{"nil", nil},
		{"document", doc},
		{"document with Numbers", numbers},
		{"gin.H", h{"code": 0, "message": "ok <&>", "data": h{"items": []h{{"id": 1, "name": "a"}, {"id": 2, "name": nil}}, "total": int64(2)}}},
		{"everything", []any{
			nil, true, 1, int8(2), uint64(3), 1.5, float32(2.5), "s", []byte("b"),
			[]int{1}, [2]string{"x", "y"}, map[string]int{"a": 1}, map[int]any{2: nil}, plain[any]{h{}}, &plain[int]{1},
			valueJSON{1}, &valueJSON{2}, pointerJSON{3}, &pointerJSON{4}, valueText{5},
			time.Unix(0, 0).UTC(), json.Number("12"), json.RawMessage("[ ]"), time.Second, big.NewInt(5),
			any(any(6)), ptr(any(7)), struct{}{}, struct{ A any }{h{"z": 1}},
			netip.MustParseAddr("::"), textString("t"), myString("m"), errSentinel, tree{Name: "t"},
		}},
		{"anonymous structs", []any{struct {
			A int `json:"a"`
			B struct{ C []struct{ D string } }
		}{B: struct{ C []struct{ D string } }{[]struct{ D string }{{"<"}}}}}},
		{"interfaces with methods", struct {
			S  fmt.Stringer
			E  error
			M  json.Marshaler
			T  encoding.TextMarshaler
			Z  zeroer
			SS []fmt.Stringer
		}{time.Second, errSentinel, valueJSON{1}, valueText{2}, zeroByValue{3}, []fmt.Stringer{nil, time.Minute, reflect.ValueOf(3)}}},
	}
}

func cycleSamples() []sample {
	m := map[string]any{"a": 1}
	m["m"] = m
	s := []any{1, nil}
	s[1] = s
	short := []any{nil, 2}
	short[0] = short[:1]
	n := &listNode{N: 1}
	n.Next = &listNode{2, n}
	var x any
	x = &x
	var p selfPtr
	p = &p
	t := &tree{Name: "root"}
	t.Children = []*tree{{Name: "leaf"}, t}
	sm := selfMap{"a": nil}
	sm["b"] = sm
	ss := selfSlice{nil, nil}
	ss[1] = ss
	sa := &selfAny{}
	sa.V = []any{map[string]any{"x": sa}}
	h := &husband{Name: "h"}
	h.Wife = &wife{Name: "w", Husband: h}
	l := &Loop{N: 1}
	j := &selfJSON{}
	j.Next = j
	return []sample{
		{"map in itself", m},
		{"slice in itself", s},
		{"slice in its own part", short},
		{"list in a ring", n},
		{"any pointing to itself", x},
		{"pointer to itself", p},
		{"tree in itself", t},
		{"typed map in itself", sm},
		{"typed slice in itself", ss},
		{"pointer through slice and map", sa},
		{"mutual pointers", h},
		{"cycle behind many values", append(make([]any, 300), m)},
		{"cycle with marshalers", j},
		{"cycle under a pointer", &m},
		{"cycle under a value", plain[any]{n}},
		{"cycle in a map behind an error", map[string]any{"z": m, "a": math.NaN()}},
		{"embedded ring", func() any { l.Loop = l; return *l }()},
	}
}

var depths = []int{100, 900, 999, 1000, 1001, 1100, 2500, 5000}

func nestSamples() []sample {
	var out []sample
	for _, n := range depths {
		out = append(out, nests(n)...)
	}
	return out
}

// nests are values that are n levels deep, each in another way.
func nests(n int) []sample {
	var m, s, p, mixed, st, bad, num any = 1, "x", 2, nil, nil, math.NaN(), json.Number("")
	var list *listNode
	var bytes *byteNode
	var ss selfSlice
	sm := selfMap{}
	deep := &tree{Name: "end"}
	marshalers := &selfJSON{P: pointerJSON{9}}
	for i := range n {
		m, s, p, bad = map[string]any{"k": m}, []any{s}, ptr(p), []any{bad}
		switch i % 4 {
		case 0:
			mixed = []any{i, mixed}
		case 1:
			mixed = map[string]any{"<": mixed, "a": i}
		case 2:
			v := mixed
			mixed = &v
		case 3:
			mixed = plain[any]{mixed}
		}
		st, num = plain[any]{st}, []any{num, num}[:1]
		list = &listNode{i, list}
		bytes = &byteNode{byte(i), myByte(i), pointerByte(i), bytes}
		ss = selfSlice{ss}
		sm = selfMap{"m": sm}
		deep = &tree{Name: strconv.Itoa(i), Children: []*tree{deep}}
		marshalers = &selfJSON{P: pointerJSON{i}, Next: marshalers}
	}
	return mapTo([]sample{
		{"maps", m},
		{"slices", s},
		{"pointers", p},
		{"structs in any", st},
		{"a mixture", mixed},
		{"an error", bad},
		{"Numbers", num},
		{"a list", list},
		{"a list of bytes", bytes},
		{"typed slices", ss},
		{"typed maps", sm},
		{"a tree", deep},
		{"pointer marshalers", marshalers},
	}, func(s sample) sample { return sample{fmt.Sprintf("%d deep in %s", n, s.name), s.value} })
}

func largeSamples() []sample {
	ints := make([]int, 100_000)
	strs := make([]string, 50_000)
	keys := make(map[string]int, 10_000)
	intKeys := make(map[int]string, 10_000)
	records := make([]pairOf[string, any], 5_000)
	for i := range ints {
		ints[i] = i * i
	}
	for i := range strs {
		strs[i] = fmt.Sprintf("string <%d>", i)
	}
	for i := range 10_000 {
		keys[fmt.Sprintf("key %d", i*7919%10_000)] = i
		intKeys[i-5_000] = "v"
	}
	for i := range records {
		records[i] = pairOf[string, any]{strs[i], map[string]any{"tags": []string{"a", strs[i]}, "at": i}}
	}
	long := strings.Repeat("all plain here, ", 62_500)
	return []sample{
		{"100,000 ints", ints},
		{"50,000 strings", strs},
		{"long string", long},
		{"long string of escapes", strings.Repeat("\b<\"\x01\xff", 30_000)},
		{"long string of wide runes", strings.Repeat("é世😀\u2028", 30_000)},
		{"long string of broken runes", strings.Repeat("\xf0\x9f\x98", 30_001)},
		{"10,000 keys", keys},
		{"10,000 int keys", intKeys},
		{"5,000 records", records},
		{"one of three is large", []string{"a", strings.Repeat("0123456789abcdef", 5<<20/16), "z"}},
		{"one record of three is large", []plain[[]plain[string]]{{}, {make([]plain[string], 50_000)}, {}}},
		{"long bytes", bytes.Repeat([]byte{1, 2, 3, 254, 255}, 100_001)},
		{"long field", struct{ A, B, C any }{1, long, 2}},
		{"long key", map[string]string{long: long}},
		{"late error", append(mapTo(ints, func(i int) any { return i }), make(chan int))},
		{"late bad float", append(make([]float64, 200_000), math.NaN())},
		{"large raw", json.RawMessage("[" + strings.Repeat(" 1 ,", 50_000) + "2]")},
		{"rows", mapTo(make([]struct{}, 300), func(struct{}) []int { return ints[:300] })},
		{"array of 65,536 bytes", filled([1 << 16]byte{}, byte(7))},
		{"array of 100,000 floats", new([100_000]float64)},
		{"cube of arrays", plain[[20][20][20]int8]{}},
		{"cube of arrays in a slice", make([][30][30][30]bool, 2)},
		{"map of large arrays", map[string][40_000]int8{"a": {}}},
		{"matrix of arrays", make([][300]int16, 100)},
	}
}
