package encoder

import (
	"encoding"
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"time"

	"github.com/bytedance/sonic/encoder"
)

// This file is the one place that says when sonic's bytes are those of
// encoding/json and when they are not. Everything here was found by comparing
// sonic v1.15.5 with encoding/json of Go 1.26, by table and by random types
// and values; FuzzExact keeps looking.

// sonicOptions make sonic agree with encoding/json wherever it can. HTML is
// escaped afterwards by escapeHTML: with encoder.EscapeHTML sonic would
// abandon the buffer it was given.
const sonicOptions = encoder.SortMapKeys | encoder.CompactMarshaler |
	encoder.ValidateString | encoder.NoEncoderNewline

// maxSonicArray is the longest array that sonic may see. It unrolls an array
// when it compiles the type: [65536]byte takes 3.5 s, [100000]float64 7.6 s.
const maxSonicArray = 64

// unrolled is how many elements an array has in all its dimensions.
func unrolled(t reflect.Type) int {
	n := 1
	for ; t.Kind() == reflect.Array && n <= maxSonicArray; t = t.Elem() {
		n *= t.Len()
	}
	return n
}

// traits say what must be known of a type before it is encoded. Those of a
// type include those of everything it contains.
type traits uint8

const (
	// needsStd: sonic's bytes may differ, so encoding/json does the work.
	needsStd traits = 1 << iota
	// callsUser: methods that users wrote may run. They can take locks or
	// call the encoder, so they never run on a worker.
	callsUser
	// addressable: the bytes depend on whether the value is addressable,
	// because a marshaler has a pointer receiver.
	addressable
	// dynamicType: interfaces hold who knows what, with traits of its own.
	dynamicType
)

var (
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	isZeroerType      = reflect.TypeFor[interface{ IsZero() bool }]()
	timeType          = reflect.TypeFor[time.Time]()
	anyMapType        = reflect.TypeFor[map[string]any]()
	rawMessageType    = reflect.TypeFor[json.RawMessage]()
	numberType        = reflect.TypeFor[json.Number]()
)

// trustedMarshalers have marshalers of the standard library, which neither
// lock nor call back; they may run on a worker.
var trustedMarshalers = map[reflect.Type]bool{
	timeType:                          true,
	rawMessageType:                    true,
	reflect.TypeFor[netip.Addr]():     true,
	reflect.TypeFor[netip.AddrPort](): true,
	reflect.TypeFor[netip.Prefix]():   true,
	reflect.TypeFor[big.Int]():        true,
	reflect.TypeFor[big.Float]():      true,
	reflect.TypeFor[big.Rat]():        true,
}

// marshals reports whether t has a marshaler of its own, and whether
// encoding/json finds it only on addressable values.
func marshals(t reflect.Type) (own, byAddress bool) {
	if t.Implements(marshalerType) || t.Implements(textMarshalerType) {
		return true, false
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false, false
	}
	p := reflect.PointerTo(t)
	return false, p.Implements(marshalerType) || p.Implements(textMarshalerType)
}

// marshalerTraits are the traits of a type with a marshaler of its own.
func marshalerTraits(t reflect.Type, byAddress bool) traits {
	if t == timeType {
		// The one marshaler common enough to matter, and its output is
		// plain ASCII: sonic calls it just as encoding/json does.
		return 0
	}
	tr := needsStd
	if byAddress {
		tr |= addressable
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !trustedMarshalers[t] {
		tr |= callsUser
	}
	return tr
}

// fieldTraits are those that a struct field's tag adds to its type's.
func fieldTraits(f *field) traits {
	var tr traits
	k := f.typ.Kind()
	if f.quoted && stringKind(f.typ) {
		tr |= needsStd // sonic escapes <, >, & and U+2028 once, encoding/json twice
	}
	if f.omitEmpty && (k == reflect.Float32 || k == reflect.Float64) {
		tr |= needsStd // sonic keeps -0
	}
	if f.isZero != nil {
		tr |= needsStd | callsUser | addressable // it may have a pointer receiver, and write
	}
	return tr
}

// stringKind reports whether t is a string or an unnamed pointer to one.
func stringKind(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	return t.Kind() == reflect.String
}

// sonicKey reports whether sonic writes and sorts keys of type t as
// encoding/json does.
func sonicKey(t reflect.Type) bool {
	if t.Implements(textMarshalerType) {
		return false
	}
	return t.Kind() == reflect.String || isInteger(t.Kind())
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

// kindTraits are those of a kind. What encoding/json refuses must fail with its
// own error.
func kindTraits(k reflect.Kind) traits {
	switch k {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return needsStd
	case reflect.Interface:
		return dynamicType
	}
	return 0
}
