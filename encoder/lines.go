package encoder

import (
	"reflect"
	"unsafe"
)

// lines begins the root as newline-delimited JSON: newlines stand where an
// array has commas and its bracket.
func (c *cursor) lines(dst []byte) []byte {
	c.format.newline = false
	p := planFor(reflect.TypeOf(c.root))
	x, addr := dataOf(c.root, p), false
	for hops := 0; p.op == opPointer && hops < maxDepth; hops++ {
		if x = *(*unsafe.Pointer)(x); x == nil {
			break
		}
		p, addr = p.elem, true
	}
	switch {
	case x == nil:
	case p.op == opSlice:
		h := (*sliceHeader)(x)
		return c.lineElements(dst, p, h.data, 0, h.len, true)
	case p.op == opArray:
		return c.lineElements(dst, p, x, 0, p.len, addr)
	case p.op == opSequence && c.lazy && !p.isNil(x):
		s := c.openSequence(p, x)
		s.lines = true
		return c.rows(dst, s, false)
	}
	c.format.newline = true // the only line
	return c.boxed(dst, c.root)
}

// lineElements is elements for lines.
func (c *cursor) lineElements(dst []byte, p *plan, x unsafe.Pointer, i, n int, addr bool) []byte {
	for ; i < n; i++ {
		if c.full(dst) {
			return c.pause(dst, frame{at: atLines, plan: p, x: x, i: i, n: n, addr: addr})
		}
		if i > 0 {
			dst = append(dst, '\n')
		}
		dst = c.value(dst, p.elem, unsafe.Add(x, uintptr(i)*p.elem.size), addr)
	}
	if c.full(dst) {
		return c.pause(dst, frame{at: atLines, plan: p, x: x, i: n, n: n, addr: addr})
	}
	if n > 0 {
		dst = append(dst, '\n')
	}
	return dst
}
