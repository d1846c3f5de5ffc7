package encoder

import (
	"reflect"
	"sync"
	"unsafe"
)

// kind says how the cursor treats values of a type.
type kind uint8

const (
	leaf      kind = iota // never cut
	text                  // string
	slice                 // cut between elements
	array                 // cut between elements
	mapping               // cut between entries, in the order of their keys
	structure             // cut between fields
	pointer               // followed
	iface                 // followed to the dynamic type
)

// plan is what is known of a type: where its values may be cut, which leaf
// encoder is exact for them, and how to tell their weight. It is made once
// per type and never changes afterwards.
type plan struct {
	typ      reflect.Type
	kind     kind
	traits   traits
	fixed    int    // bytes of JSON that every value takes, roughly
	parts    []part // what varies in a value, for weighing; see weigh.go
	variable bool   // whether values differ in weight at all
	elem     *plan  // of slices, arrays, maps and pointers
	size     uintptr
	len      int     // of arrays
	fields   []field // of structures
	slice    reflect.Type
	walkers  sync.Pool // of *mapWalker, for mapping
}

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
		p.traits = traitsOf(t, map[reflect.Type]bool{})
	}
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

func (pl *planner) plan(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	if p, ok := pl.made[t]; ok {
		return p
	}
	p := &plan{typ: t, size: t.Size(), slice: reflect.SliceOf(t), fixed: fixedWeight(t)}
	pl.made[t] = p

	own, byAddress := marshals(t)
	if own || byAddress {
		p.variable = t.Kind() != reflect.Struct
		return p
	}
	switch t.Kind() {
	case reflect.String:
		p.kind, p.variable = text, true
	case reflect.Slice:
		p.variable = true
		p.elem = pl.plan(t.Elem())
		if t.Elem().Kind() != reflect.Uint8 {
			p.kind = slice
		}
	case reflect.Array:
		p.elem, p.len = pl.plan(t.Elem()), t.Len()
		p.variable = p.elem.variable
		p.fixed = 2 + p.len*(p.elem.fixed+1)
		if t.Elem().Kind() != reflect.Uint8 {
			p.kind = array
		}
	case reflect.Map:
		p.variable = true
		p.elem = pl.plan(t.Elem())
		if sonicKey(t.Key()) {
			p.kind = mapping
			p.walkers.New = func() any {
				return &mapWalker{key: reflect.New(t.Key()).Elem(), elem: reflect.New(t.Elem())}
			}
		}
	case reflect.Pointer:
		p.kind, p.variable = pointer, true
		p.elem = pl.plan(t.Elem())
	case reflect.Interface:
		p.kind, p.variable = iface, true
	case reflect.Struct:
		p.kind = structure
		p.fields = fieldsOf(t)
		p.fixed = 2
		for i := range p.fields {
			pl.addField(p, &p.fields[i])
		}
		p.variable = len(p.parts) > 0
	}
	return p
}

// addField plans a field's type and adds what varies in it to p's parts.
func (pl *planner) addField(p *plan, f *field) {
	f.plan = pl.plan(f.typ)
	p.fixed += len(f.key) + 1 + f.plan.fixed
	offset := uintptr(0)
	for _, s := range f.steps {
		offset += s.offset
		if s.deref {
			p.addPart(part{plan: f.plan, via: f})
			return
		}
	}
	if f.plan.kind == structure {
		for _, q := range f.plan.parts {
			q.offset += offset
			p.addPart(q)
		}
		return
	}
	if f.plan.variable {
		p.addPart(part{offset: offset, n: 1, plan: f.plan})
	}
}

// traitsOf collects the traits of t and of everything it contains, except
// what interfaces will hold: that is seen when a value is weighed.
func traitsOf(t reflect.Type, seen map[reflect.Type]bool) traits {
	if seen[t] {
		return 0
	}
	seen[t] = true
	if own, byAddress := marshals(t); own || byAddress {
		if t.Kind() == reflect.Pointer && t.Elem() == timeType {
			return 0
		}
		return marshalerTraits(t, byAddress)
	}
	tr := kindTraits(t.Kind())
	switch t.Kind() {
	case reflect.Array:
		if unrolled(t) > maxSonicArray {
			tr |= needsStd
		}
		tr |= traitsOf(t.Elem(), seen)
	case reflect.Slice, reflect.Pointer:
		tr |= traitsOf(t.Elem(), seen)
	case reflect.Map:
		if !sonicKey(t.Key()) {
			tr |= needsStd
			if t.Key().Implements(textMarshalerType) {
				tr |= callsUser
			}
		}
		tr |= traitsOf(t.Elem(), seen)
	case reflect.Struct:
		fields := fieldsOf(t)
		for i := range fields {
			tr |= fieldTraits(&fields[i]) | traitsOf(fields[i].typ, seen)
		}
	}
	return tr
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

// dynamic returns what the interface at x, of static type t, holds.
func dynamic(t reflect.Type, x unsafe.Pointer) any {
	if t.NumMethod() == 0 {
		return *(*any)(x)
	}
	v := reflect.NewAt(t, x).Elem()
	if v.IsNil() {
		return nil
	}
	return v.Elem().Interface()
}
