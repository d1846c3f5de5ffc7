package encoder

import (
	"errors"
	"iter"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	// flushAfter is how long what a sequence has produced may lie in a buffer.
	// The next row after that is sent at once, with all before it: who reads rows
	// as they come does not notice a tenth of a second, and at full speed a write
	// is full long before.
	flushAfter = 100 * time.Millisecond
	// slowRows is how many rows are sent each by itself within flushAfter, once
	// one has come late: nobody knows how long the next takes. A flush takes some
	// 15 µs, so that these are 1 % of the time.
	slowRows = 64
)

// A Sequence is a sequence of values that Encode writes as an array. Rows and
// RowsErr make it.
type Sequence struct {
	elem reflect.Type
	open func() (row unsafe.Pointer, next func() (error, bool), stop func())
}

// Rows makes a Sequence of seq. Encode takes seq itself as well, but has to call
// it by reflection, which costs about half a microsecond for each element.
func Rows[T any](seq iter.Seq[T]) Sequence {
	return RowsErr(func(yield func(T, error) bool) {
		for v := range seq {
			if !yield(v, nil) {
				return
			}
		}
	})
}

// RowsErr is Rows for a sequence whose elements come with an error. The first
// one that is not nil ends the encoding.
func RowsErr[T any](seq iter.Seq2[T, error]) Sequence {
	return Sequence{reflect.TypeFor[T](), func() (unsafe.Pointer, func() (error, bool), func()) {
		row := new(T)
		next, stop := iter.Pull2(seq)
		return unsafe.Pointer(row), func() (err error, ok bool) {
			*row, err, ok = next()
			return err, ok
		}, stop
	}}
}

// MarshalJSON fails: only Encode writes sequences.
func (Sequence) MarshalJSON() ([]byte, error) { return nil, errSequence }

var errSequence = errors.New("encoder: a Sequence can only be written by Encode")

// sequence is one that is being encoded.
type sequence struct {
	elem *plan
	row  unsafe.Pointer // the element that next has produced
	next func() (error, bool)
	stop func()
	due  atomic.Bool // what was produced has been waiting for flushAfter
	wait *time.Timer
	slow bool // the last row that came late has not been followed by slowRows yet
	rows int  // since then
	sent bool // all that was produced is on its way
	open bool // the row that was begun last is not known to be complete

	lines bool // newlines in place of an array
}

var (
	errorType    = reflect.TypeFor[error]()
	sequenceType = reflect.TypeFor[Sequence]()
)

// sequence plans t if it is an iter.Seq or an iter.Seq2 with errors, whatever
// its name.
func (pl *planner) sequence(p *plan, t reflect.Type) {
	if t.NumIn() != 1 || t.NumOut() != 0 || t.IsVariadic() || t.In(0).Kind() != reflect.Func {
		return
	}
	yield := t.In(0)
	if yield.NumOut() != 1 || yield.Out(0) != reflect.TypeFor[bool]() || yield.IsVariadic() {
		return
	}
	if n := yield.NumIn(); n == 1 || n == 2 && yield.In(1) == errorType {
		p.op = opSequence
		p.elem = pl.plan(yield.In(0))
	}
}

// sequence begins to append what the function of plan p at x produces.
func (c *cursor) sequence(dst []byte, p *plan, x unsafe.Pointer, addr bool) []byte {
	switch {
	case !c.lazy || c.err != nil:
		return c.leaf(dst, p, x, addr)
	case p.isNil(x):
		return append(dst, "null"...)
	case c.stopForUser():
		return c.pause(dst, frame{at: atValue, plan: p, x: x, addr: addr})
	}
	return c.rows(c.bracket(dst, '['), c.openSequence(p, x), false)
}

// isNil reports whether the sequence at x is.
func (p *plan) isNil(x unsafe.Pointer) bool {
	if p.typ == sequenceType {
		return (*Sequence)(x).open == nil
	}
	return *(*unsafe.Pointer)(x) == nil
}

func (c *cursor) openSequence(p *plan, x unsafe.Pointer) *sequence {
	s := &sequence{elem: p.elem, sent: true}
	if p.typ == sequenceType {
		q := (*Sequence)(x)
		s.elem = planFor(q.elem)
		s.row, s.next, s.stop = q.open()
	} else {
		s.row, s.next, s.stop = pull(p, reflect.NewAt(p.typ, x).Elem())
	}
	s.wait = time.AfterFunc(flushAfter, func() { s.due.Store(true) })
	c.opened = append(c.opened, s)
	return s
}

var proceed = [2][]reflect.Value{{reflect.ValueOf(false)}, {reflect.ValueOf(true)}}

// pull calls a function of a type that is known to reflect alone.
func pull(p *plan, seq reflect.Value) (unsafe.Pointer, func() (error, bool), func()) {
	row := reflect.New(p.elem.typ)
	next, stop := iter.Pull(func(yield func(error) bool) {
		seq.Call([]reflect.Value{reflect.MakeFunc(p.typ.In(0), func(in []reflect.Value) []reflect.Value {
			row.Elem().Set(in[0])
			var err error
			if len(in) == 2 {
				err, _ = in[1].Interface().(error)
			}
			if yield(err) {
				return proceed[1]
			}
			return proceed[0]
		})})
	})
	return row.UnsafePointer(), next, stop
}

// rows appends what is still to come of a sequence, and the bracket.
func (c *cursor) rows(dst []byte, s *sequence, more bool) []byte {
	c.depth++
	for {
		if s.open && c.limit > 0 { // the row is complete, now if not before
			s.open = false
			if s.lines {
				dst = append(dst, '\n')
			}
		}
		if !s.open && !s.sent && s.late() {
			s.sent, c.flush = true, true
			return c.pause(dst, frame{at: atRows, seq: s, more: more})
		}
		if c.full(dst) {
			return c.pause(dst, frame{at: atRows, seq: s, more: more})
		}
		if c.stopForUser() {
			return c.pause(dst, frame{at: atRows, seq: s, more: more})
		}
		err, ok := s.next()
		if err != nil {
			return c.fail(dst, err)
		}
		if !ok {
			break
		}
		if more && !s.lines {
			dst = append(dst, ',')
		}
		more = true
		s.open, s.sent = true, false
		dst = c.value(dst, s.elem, s.row, true)
	}
	c.close(s)
	c.depth--
	if s.lines {
		return dst
	}
	return append(dst, ']')
}

// late reports whether the row that has come should not wait for the next.
func (s *sequence) late() bool {
	if s.due.CompareAndSwap(true, false) {
		s.slow, s.rows = true, 0
		s.wait.Reset(flushAfter)
		return true
	}
	s.rows++
	s.slow = s.slow && s.rows < slowRows
	return s.slow
}

// emptied says that all output until here is on its way, which may have taken
// long: that is not the sequence's doing.
func (c *cursor) emptied() {
	for _, s := range c.opened {
		s.sent = s.sent || !s.open
		if !s.slow {
			s.wait.Reset(flushAfter)
			s.due.Store(false)
		}
	}
}

// close ends a sequence.
func (c *cursor) close(s *sequence) {
	s.wait.Stop()
	c.opened = slices.DeleteFunc(c.opened, func(o *sequence) bool { return o == s })
	s.stop()
}

// closeAll ends the sequences that were left unfinished, also if one of them
// panics on its way out.
func (c *cursor) closeAll() {
	if len(c.opened) > 0 {
		defer c.closeAll()
		c.close(c.opened[len(c.opened)-1])
	}
}
