package encoder

import (
	"reflect"
	"unsafe"
)

// maxWeighDepth is how deep a value may nest and still be given to sonic
// whole. Sonic gives up at about 2,000 levels; what nests deeper than this is
// entered by the cursor, which has no limit.
const maxWeighDepth = 64

// part is something in a struct whose weight varies: a string, a slice, a
// pointer. Nested structs have their parts listed in the outermost one, and
// neighbours of one type are one part, so that weighing 40,000 objects is a
// loop over offsets.
type part struct {
	offset uintptr
	n      int // how many of them, one behind the other
	plan   *plan
	via    *field // set if an embedded pointer leads to it
}

// addPart adds q to the parts of p, or to the last of them.
func (p *plan) addPart(q part) {
	if n := len(p.parts); n > 0 && q.via == nil {
		last := &p.parts[n-1]
		if last.via == nil && last.plan == q.plan && last.offset+uintptr(last.n)*last.plan.size == q.offset {
			last.n += q.n
			return
		}
	}
	p.parts = append(p.parts, q)
}

// scale weighs values: roughly how many bytes of JSON they will be. It stops
// as soon as they are heavier than it can bear, so it costs no more than a
// quantum's worth of looking. On the way it collects the traits of whatever
// interfaces hold.
type scale struct {
	left   int // bytes that may still come; below zero: too heavy
	depth  int
	traits traits
}

func newScale(bytes int) scale { return scale{left: bytes} }

// weigh puts the value at x on the scale and reports whether it still holds.
func (s *scale) weigh(p *plan, x unsafe.Pointer) bool {
	s.left -= p.fixed
	if p.variable && s.left >= 0 {
		s.vary(p, x)
	}
	return s.left >= 0
}

// vary adds what a value weighs beyond its plan's fixed weight.
func (s *scale) vary(p *plan, x unsafe.Pointer) {
	switch p.kind {
	case text:
		s.left -= len(*(*string)(x))
	case slice:
		h := (*sliceHeader)(x)
		s.elems(p.elem, h.data, h.len)
	case array:
		// The fixed weight counts the fixed weight of the elements.
		if s.deeper() {
			for i := 0; i < p.len && s.left >= 0; i++ {
				s.vary(p.elem, unsafe.Add(x, uintptr(i)*p.elem.size))
			}
			s.depth--
		}
	case structure:
		s.parts(p.parts, x)
	case pointer:
		if q := *(*unsafe.Pointer)(x); q != nil && s.deeper() {
			s.weigh(p.elem, q)
			s.depth--
		}
	case iface:
		if s.deeper() {
			s.any(dynamic(p.typ, x))
			s.depth--
		}
	case mapping:
		if s.deeper() {
			s.entries(p, x)
			s.depth--
		}
	case leaf:
		s.left -= leafLen(p.typ, x)
	}
}

// deeper goes down a level; where it reports false the value nests too deep.
func (s *scale) deeper() bool {
	if s.depth == maxWeighDepth {
		s.left = -1
		return false
	}
	s.depth++
	return true
}

func (s *scale) parts(parts []part, x unsafe.Pointer) {
	for i := range parts {
		pt := &parts[i]
		y := unsafe.Add(x, pt.offset)
		switch {
		case pt.via != nil:
			if z, _ := pt.via.at(y, false); z != nil {
				s.weigh(pt.plan, z)
			}
		case pt.plan.kind == pointer && pt.plan.elem.kind == text:
			// Nullable strings, most frequent of all, without a call.
			s.left -= nullable(unsafe.Slice((**string)(y), pt.n))
		default:
			for n := range pt.n {
				s.vary(pt.plan, unsafe.Add(y, uintptr(n)*pt.plan.size))
			}
		}
		if s.left < 0 {
			return
		}
	}
}

// nullable is the length of all strings that there are. Often there are none,
// which is found out without a branch for each.
func nullable(ptrs []*string) (n int) {
	var set uintptr
	for _, q := range ptrs {
		set |= uintptr(unsafe.Pointer(q))
	}
	if set == 0 {
		return 0
	}
	for _, q := range ptrs {
		if q != nil {
			n += len(*q)
		}
	}
	return n
}

func (s *scale) elems(p *plan, x unsafe.Pointer, n int) {
	if !p.variable {
		s.left -= n * (p.fixed + 1)
		return
	}
	if !s.deeper() {
		return
	}
	for i := 0; i < n && s.left >= 0; i++ {
		s.left--
		s.weigh(p, unsafe.Add(x, uintptr(i)*p.size))
	}
	s.depth--
}

// any weighs what an interface holds. The types of a decoded JSON document
// are spelled out: they are most of what is ever behind an interface.
func (s *scale) any(v any) {
	switch v := v.(type) {
	case nil:
	case string:
		s.left -= len(v) + 2
	case bool, float64, int, int64:
		s.left -= 8
	case map[string]any:
		s.left -= 2
		for k, e := range v {
			if s.left -= len(k) + 4; s.left < 0 || !s.deeper() {
				return
			}
			s.any(e)
			s.depth--
		}
	case []any:
		s.left -= 2
		for _, e := range v {
			if s.left--; s.left < 0 || !s.deeper() {
				return
			}
			s.any(e)
			s.depth--
		}
	default:
		p := planFor(reflect.TypeOf(v))
		s.traits |= p.traits
		s.weigh(p, dataOf(v, p))
	}
}

func (s *scale) entries(p *plan, x unsafe.Pointer) {
	switch {
	case p.typ.Key().Kind() == reflect.String && p.elem.kind == text:
		// Maps of strings to strings have one layout, whatever their names.
		for k, v := range *(*map[string]string)(x) {
			if s.left -= len(k) + len(v) + 6; s.left < 0 {
				return
			}
		}
		return
	case p.typ == anyMapType:
		s.any(*(*map[string]any)(x))
		return
	}
	m := reflect.NewAt(p.typ, x).Elem()
	if !p.elem.variable && m.Len()*(p.elem.fixed+8) > s.left {
		s.left = -1
		return
	}
	w := p.walkers.Get().(*mapWalker)
	w.iter.Reset(m)
	for w.iter.Next() && s.left >= 0 {
		w.key.SetIterKey(&w.iter)
		s.left -= keyLen(w.key)
		if p.elem.variable {
			w.elem.Elem().SetIterValue(&w.iter)
		}
		s.weigh(p.elem, w.elem.UnsafePointer())
	}
	w.iter.Reset(reflect.Value{})
	w.key.SetZero()
	w.elem.Elem().SetZero()
	p.walkers.Put(w)
}

// mapWalker is what it takes to look at the entries of a map.
type mapWalker struct {
	iter reflect.MapIter
	key  reflect.Value
	elem reflect.Value // a pointer to one
}

func keyLen(k reflect.Value) int {
	if k.Kind() == reflect.String {
		return k.Len() + 4
	}
	return 12
}

// leafLen is the variable weight of what is never cut.
func leafLen(t reflect.Type, x unsafe.Pointer) int {
	switch t.Kind() {
	case reflect.String:
		return len(*(*string)(x))
	case reflect.Slice:
		n := (*sliceHeader)(x).len
		if t.Elem().Kind() == reflect.Uint8 {
			return n * 4 / 3
		}
		return n * int(t.Elem().Size())
	case reflect.Map:
		return reflect.NewAt(t, x).Elem().Len() * 16
	}
	return 0
}

// fixedWeight is roughly how many bytes of JSON every value of a type takes.
// Containers add theirs in the planner.
func fixedWeight(t reflect.Type) int {
	switch t.Kind() {
	case reflect.Bool, reflect.Pointer, reflect.Interface:
		return 4 // null
	case reflect.String, reflect.Slice, reflect.Map:
		return 2
	case reflect.Float32, reflect.Float64:
		return 16
	case reflect.Int64, reflect.Uint64, reflect.Int, reflect.Uint:
		return 8
	case reflect.Struct, reflect.Array:
		return int(t.Size()) // of those with a marshaler
	}
	return 4
}

// sliceHeader is a slice as the runtime lays it out.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}
