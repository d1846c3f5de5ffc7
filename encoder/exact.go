package encoder

import (
	"encoding"
	"encoding/json"
	"net/netip"
	"reflect"
	"unsafe"
)

// This file says what the encoder does not write by itself, and who does.
//
//	a type's own MarshalJSON or MarshalText,   encoding/json, which calls it,
//	json.RawMessage, netip, math/big           checks and compacts the result
//	json.Number that is no number, NaN, times  encoding/json, for its error
//	out of range, chan, func, complex, maps
//	with keys that are no names
//
// These are leaves: each is encoded in one piece, and copied out in quanta.

var (
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	isZeroerType      = reflect.TypeFor[interface{ IsZero() bool }]()
	rawMessageType    = reflect.TypeFor[json.RawMessage]()
	rawMessagePointer = reflect.TypeFor[*json.RawMessage]()
)

// trustedMarshalers have marshalers of the standard library, which neither
// lock nor call back; they may run on a worker.
var trustedMarshalers = map[reflect.Type]bool{
	timeType:                          true,
	rawMessageType:                    true,
	reflect.TypeFor[netip.Addr]():     true,
	reflect.TypeFor[netip.AddrPort](): true,
	reflect.TypeFor[netip.Prefix]():   true,
}

func trusted(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return trustedMarshalers[t]
}

// callsUser reports whether a leaf may not run on a worker: because the user's
// methods would, which can take locks or call the encoder, or because it would
// keep the worker for more than a quantum.
func (p *plan) callsUser(x unsafe.Pointer, quantum int) bool {
	switch p.typ {
	case rawMessagePointer:
		return len(**(**json.RawMessage)(x)) > quantum
	case rawMessageType:
		return (*sliceHeader)(x).len > quantum
	case numberType:
		return len(*(*string)(x)) > quantum
	}
	return p.user
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

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }
