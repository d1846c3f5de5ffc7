package encoder

import (
	"iter"
	"reflect"
	"unsafe"
)

// sequence is an iter.Seq or iter.Seq2 being encoded.
type sequence struct {
	plan *plan
}

var _ iter.Seq[int]
var errorType = reflect.TypeFor[error]()

func (pl *planner) sequence(p *plan, t reflect.Type) {}
func (c *cursor) sequence(dst []byte, p *plan, x unsafe.Pointer, addr bool) []byte {
	return c.leaf(dst, p, x, addr)
}
func (c *cursor) rows(dst []byte, s *sequence, any bool) []byte { return dst }
func (c *cursor) lines(dst []byte) []byte                       { return dst }

type numbers struct{}
