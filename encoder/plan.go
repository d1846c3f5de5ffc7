package encoder

import (
	"encoding/json"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

// op says how the values of a type are written.
type op uint8

const (
	opLeaf op = iota // encoding/json does it, see exact.go
	opMarshaler
	opBool
	opInt
	opInt8
	opInt16
	opInt32
	opInt64
	opUint
	opUint8
	opUint16
	opUint32
	opUint64
	opUintptr
	opFloat32
	opFloat64
	opString
	opNumber // json.Number
	opTime   // time.Time
	opTimePointer
	opBytes // []byte
	opSlice
	opArray
	opMap
	opStruct
	opPointer
	opAny   // interface{}
	opIface // with methods
	opSequence
)

// plan is what is known of a type. It is made once per type and never changes
// afterwards.
type plan struct {
	typ    reflect.Type
	op     op
	size   uintptr
	len    int   // of arrays
	elem   *plan // of slices, arrays, maps, pointers and sequences
	fields []field
	slice  reflect.Type // of this type

	user   bool  // its marshaler is the user's
	bare   *plan // without its marshaler, which is for addressable values only
	isByte bool  // a slice of it is written as a string
	width  int   // the most bytes that a value takes, if it is all numbers

	// Of maps.
	userKeys bool   // the user's methods give the keys' texts
	batch    int    // how many entries are collected at a time
	layout   layout // which maps of Go look like it
	kept     sync.Pool
}

// layout tells maps that can be read as if they had another type.
type layout uint8

const (
	other layout = iota
	stringToString
	stringToAny
)

// plans caches every plan by its reflect.Type. Types are finite in a program,
// so it needs no bound.
var plans sync.Map

func planFor(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	pl := planner{made: map[reflect.Type]*plan{}}
	p := pl.plan(t)
	for t, p := range pl.made {
		plans.LoadOrStore(t, p)
	}
	return p
}

// planner makes the plans of a type and of all it leads to. Recursive types
// find their own unfinished plan in made.
type planner struct {
	made map[reflect.Type]*plan
}

// newPlan returns what the plan of every type has.
func newPlan(t reflect.Type) *plan {
	return &plan{typ: t, size: t.Size(), slice: reflect.SliceOf(t)}
}

func (pl *planner) plan(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	if p, ok := pl.made[t]; ok {
		return p
	}
	p := newPlan(t)
	pl.made[t] = p
	own, byAddress := marshals(t)
	switch {
	case t == sequenceType:
		p.op = opSequence
		return p
	case !own && !byAddress || isTime(t):
		pl.fill(p, t)
		return p
	case !own:
		p.bare = newPlan(t)
		pl.fill(p.bare, t)
	}
	p.op, p.user = opMarshaler, !trusted(t)
	return p
}

// isTime reports whether t is written as time.Time is.
func isTime(t reflect.Type) bool {
	return t == timeType || t.Kind() == reflect.Pointer && t.Elem() == timeType
}

var scalarOps = map[reflect.Kind]op{
	reflect.Bool: opBool,
	reflect.Int:  opInt, reflect.Int8: opInt8, reflect.Int16: opInt16, reflect.Int32: opInt32, reflect.Int64: opInt64,
	reflect.Uint: opUint, reflect.Uint8: opUint8, reflect.Uint16: opUint16, reflect.Uint32: opUint32, reflect.Uint64: opUint64,
	reflect.Uintptr: opUintptr, reflect.Float32: opFloat32, reflect.Float64: opFloat64,
}

// fill plans t by its kind.
func (pl *planner) fill(p *plan, t reflect.Type) {
	p.op = scalarOps[t.Kind()]
	if width, ok := numeric(t); ok && !isByte(t) {
		p.width = width
	}
	switch t.Kind() {
	case reflect.Uint8:
		p.isByte = isByte(t)
	case reflect.String:
		p.op = opString
		if t == numberType {
			p.op = opNumber
		}
	case reflect.Slice:
		p.op = opSlice
		if isByte(t.Elem()) {
			p.op = opBytes
		}
		p.elem = pl.plan(t.Elem())
	case reflect.Array:
		p.op, p.len = opArray, t.Len()
		p.elem = pl.plan(t.Elem())
	case reflect.Map:
		stringKey := t.Key().Kind() == reflect.String
		switch {
		case stringKey || isInteger(t.Key().Kind()):
			p.op = opMap
			p.userKeys = !stringKey && t.Key().Implements(textMarshalerType)
		case t.Key().Implements(textMarshalerType):
			p.op, p.userKeys = opMap, true
		}
		switch {
		case stringKey && t.Elem().Kind() == reflect.String:
			p.layout = stringToString
		case stringKey && t.Elem() == anyType:
			p.layout = stringToAny
		}
		p.batch = batchOf(t.Elem().Size())
		p.kept.New = func() any { return new(entries) }
		p.elem = pl.plan(t.Elem())
	case reflect.Pointer:
		p.op = opPointer
		if t.Elem() == timeType {
			p.op = opTimePointer
		}
		p.elem = pl.plan(t.Elem())
	case reflect.Interface:
		p.op = opIface
		if t.NumMethod() == 0 {
			p.op = opAny
		}
	case reflect.Struct:
		p.op = opStruct
		if t == timeType {
			p.op = opTime
			return
		}
		p.fields = fieldsOf(t)
		for i := range p.fields {
			p.fields[i].plan = pl.plan(p.fields[i].typ)
		}
		groupAbsent(p.fields)
	case reflect.Func:
		pl.sequence(p, t)
	}
}

// isByte reports whether encoding/json writes a slice of t as a string.
func isByte(t reflect.Type) bool {
	if t.Kind() != reflect.Uint8 {
		return false
	}
	pt := reflect.PointerTo(t)
	return !pt.Implements(marshalerType) && !pt.Implements(textMarshalerType)
}

// dataOf returns where the value that v holds is stored. The value is not
// addressable: it may be read, never written.
func dataOf(v any, p *plan) unsafe.Pointer {
	e := (*[2]unsafe.Pointer)(unsafe.Pointer(&v))
	switch p.typ.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		// The interface's data word is the value itself.
		word := e[1]
		return unsafe.Pointer(&word)
	case reflect.Struct, reflect.Array:
		if p.size == unsafe.Sizeof(e[1]) {
			// The data word is the value if that is nothing but a pointer, and
			// points to it otherwise. Which of the two is the compiler's
			// business: ask reflect for a copy.
			c := reflect.New(p.typ)
			c.Elem().Set(reflect.ValueOf(v))
			return c.UnsafePointer()
		}
	}
	return e[1]
}

// sliceHeader is a slice as the runtime lays it out.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

var (
	anyType    = reflect.TypeFor[any]()
	timeType   = reflect.TypeFor[time.Time]()
	numberType = reflect.TypeFor[json.Number]()
)
