package encoder

import (
	"reflect"
	"unsafe"
)

// Warm prepares to encode values of the types of these, and of all types that
// they lead to, so that the first response of a process need not: that takes
// some 10 µs for each type, and milliseconds for those of numbers in slices,
// which sonic compiles. What interfaces will hold cannot be known; name it, too.
// It is safe to call at any time, and no Encoder is needed.
func Warm(values ...any) {
	for _, v := range values {
		if v != nil {
			planFor(reflect.TypeOf(v)).warm(map[*plan]bool{})
		}
	}
}

// WarmFor is Warm for a type of which there is no value yet.
func WarmFor[T any]() { planFor(reflect.TypeFor[T]()).warm(map[*plan]bool{}) }

// warm has sonic compile what it will be given of p and of all that p leads to.
func (p *plan) warm(seen map[*plan]bool) {
	if p == nil || seen[p] {
		return
	}
	seen[p] = true
	if (p.op == opSlice || p.op == opArray) && p.elem.width > 0 && sonicNumbers() {
		zero := reflect.MakeSlice(p.elem.slice, minRun+1, minRun+1)
		c := cursor{limit: zero.Len() * p.elem.width}
		c.numbers(nil, p.elem, unsafe.Pointer(zero.Pointer()), 0, zero.Len())
	}
	p.elem.warm(seen)
	p.bare.warm(seen)
	for i := range p.fields {
		p.fields[i].plan.warm(seen)
	}
}
