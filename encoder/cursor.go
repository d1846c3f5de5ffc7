package encoder

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"unsafe"
)

// errCallsUser says that what comes next may run the user's code, which has
// to happen on the caller's goroutine. The cursor waits in front of it.
var errCallsUser = errors.New("encoder: user code ahead")

// cursor is a place in a value. next moves it on by about a quantum of JSON.
// No goroutine lives in it, and only one may use it at a time.
//
// A value is walked by plain recursion (value.go), which is the fastest way
// there is. Once a quantum is full, every function on the Go stack puts down
// where it stands as a frame, and returns: the recursion becomes data. The next
// quantum takes up the innermost frame, and works outwards from there. So a cut
// is paid for by the levels that were entered since the last one, and by
// nothing else.
type cursor struct {
	root     any
	format   format
	quantum  int
	started  bool
	onCaller bool // the caller's goroutine runs it: user code may be called
	lazy     bool // sequences are encoded; encoding/json refuses them

	stack []frame // containers entered and left unfinished, the outermost first
	depth int     // those, and the ones on the Go stack
	err   error   // what ended the walk, or errCallsUser
	// limit is the length of output at which the quantum is full. It is zero
	// from the moment that anybody stops, so that all those below notice by the
	// one comparison that they make anyway.
	limit int

	recent [4]struct { // plans by the address of their types
		typ  uintptr
		plan *plan
	}
	memory *memory     // for its maps, once it has met one
	opened []*sequence // that have to be closed
	flush  bool        // what was appended so far should not wait any longer

	mark      place // where the search for cycles looks back to
	markDepth int
	acyclic   bool // encoding/json has found none
}

// place is what encoding/json takes for the same value met again.
type place struct {
	plan *plan
	x    unsafe.Pointer
	n    int
}

// maxDepth is how many levels encoding/json enters before it looks for cycles.
// So do we.
const maxDepth = 1000

// frame is where one function of the walk stands. Which one it is says at.
type frame struct {
	at      stage
	plan    *plan
	x       unsafe.Pointer
	i, n    int  // next element, field or byte, and how many there are
	addr    bool // the value is addressable
	more    bool // something was written since the bracket
	entries *entries
	seq     *sequence
	raw     []byte
}

type stage uint8

const (
	atValue    stage = iota // in front of it: user code ahead
	atElements              // of a slice or an array
	atFields
	atEntries
	atNamed // entries whose names are known
	atText
	atBytes
	atLines // elements on lines of their own
	atRaw   // JSON that is there already
	atRows  // of a sequence
)

// next appends about a quantum of JSON to dst. It reports whether the value is
// complete. On errCallsUser everything before the user's code was appended;
// after any other error dst holds nothing of use.
func (c *cursor) next(dst []byte) (_ []byte, done bool, err error) {
	return c.part(dst, c.quantum)
}

// part is next for another quantum.
func (c *cursor) part(dst []byte, quantum int) (_ []byte, done bool, err error) {
	c.limit = len(dst) + quantum
	c.err = nil
	if !c.started {
		c.started = true
		dst = c.begin(dst)
	}
	for len(c.stack) > 0 && len(dst) < c.limit {
		last := len(c.stack) - 1
		f := c.stack[last]
		c.stack[last] = frame{}
		c.stack = c.stack[:last]
		c.depth = last
		dst = c.resume(dst, &f)
		slices.Reverse(c.stack[last:]) // they were put down from the inside out
	}
	if c.err != nil {
		return dst, false, c.err
	}
	if len(c.stack) > 0 {
		return dst, false, nil
	}
	c.release()
	if c.format.newline {
		dst = append(dst, '\n')
	}
	return dst, true, nil
}

// begin appends the root.
func (c *cursor) begin(dst []byte) []byte {
	if c.root == nil {
		c.format.newline = c.format.newline || c.format.lines
		return append(dst, "null"...)
	}
	if c.format.lines {
		dst = c.lines(dst)
	} else {
		dst = c.boxed(dst, c.root)
	}
	slices.Reverse(c.stack)
	return dst
}

// resume goes on in a frame that was put down.
func (c *cursor) resume(dst []byte, f *frame) []byte {
	switch f.at {
	case atValue:
		return c.value(dst, f.plan, f.x, f.addr)
	case atElements:
		return c.elements(dst, f.plan, f.x, f.i, f.n, f.addr)
	case atLines:
		return c.lineElements(dst, f.plan, f.x, f.i, f.n, f.addr)
	case atFields:
		return c.fields(dst, f.plan, f.x, f.i, f.addr, f.more)
	case atEntries:
		return c.entries(dst, f.entries, f.more)
	case atNamed:
		return c.named(dst, f.entries, f.more)
	case atText:
		return c.text(dst, unsafe.String((*byte)(f.x), f.n), f.i)
	case atBytes:
		return c.base64(dst, unsafe.Slice((*byte)(f.x), f.n), f.i)
	case atRaw:
		return c.copyRaw(dst, f.raw)
	default:
		return c.rows(dst, f.seq, f.more)
	}
}

// full reports whether the quantum is, or the walk has ended.
func (c *cursor) full(dst []byte) bool { return len(dst) >= c.limit }

// pause puts down where the caller stands, which returns then.
func (c *cursor) pause(dst []byte, f frame) []byte {
	c.limit = 0
	c.stack = append(c.stack, f)
	return dst
}

// fail ends the walk. Only the first error counts.
func (c *cursor) fail(dst []byte, err error) []byte {
	c.limit = 0
	if c.err == nil {
		c.err = err
	}
	return dst
}

// stopForUser reports whether the walk has to stop here because it is not on the
// caller's goroutine, and the caller then pauses.
func (c *cursor) stopForUser() bool {
	if !c.onCaller {
		c.err = errCallsUser
	}
	return !c.onCaller
}

// cyclic reports whether the value at x, whose way leads through very many
// others, is one of those. It compares with a single one of them, which it
// moves on whenever the depth has doubled: who runs in a circle comes past
// wherever that is.
func (c *cursor) cyclic(p *plan, x unsafe.Pointer, n, depth int) bool {
	here := place{p, x, n}
	switch {
	case c.acyclic:
		return false
	case depth <= c.markDepth: // the mark is on a way that was left
	case here == c.mark:
		return true
	case depth < 2*c.markDepth:
		return false
	}
	c.mark, c.markDepth = here, depth
	return false
}

// cycle ends the walk with encoding/json's error. That names the type at which
// encoding/json notices, which depends on where it began.
func (c *cursor) cycle(dst []byte, p *plan, x unsafe.Pointer, addr bool) []byte {
	if c.stopForUser() {
		return c.pause(dst, frame{at: atValue, plan: p, x: x, addr: addr})
	}
	if _, err := json.Marshal(c.root); err != nil {
		return c.fail(dst, err)
	}
	c.acyclic = true // the mark was on a way that was left
	return c.value(dst, p, x, addr)
}

const (
	// fewEntries is how many entries a map has of which one may well be nearly
	// all, as with the fields around a list.
	fewEntries = 16
	// counted is how many levels an estimate counts. Each is a guess, and they
	// multiply.
	counted = 3
	// looked is how many levels it looks through for those.
	looked = 64
	// farthest is how much is expected to follow at the most, and sure how many
	// times what there is already if that is more: values may be made so that all
	// guesses are wrong.
	farthest = 64 << 20
	sure     = 16
	// endless is more than any output.
	endless = math.MaxInt / 4
)

// believed is how much is expected to follow at the most.
func believed(written int) int { return max(farthest, sure*written) }

// ahead is about how much output is to follow, given how much of it there is. It
// takes it that the rest of a container is like what came before, and without a
// container that as much is to come.
func (c *cursor) ahead(written int) int {
	if len(c.stack) == 0 {
		return 0
	}
	outermost := c.stack[:min(len(c.stack), looked)]
	if part := past(outermost, counted); part > 0 && part < 1 {
		return int(min(float64(written)/part-float64(written), endless))
	}
	return written
}

// past is the part of the outermost frame that is past, as far as some levels
// tell.
func past(stack []frame, levels int) float64 {
	for i := range stack {
		f := &stack[i]
		done, all := f.i, f.n
		switch f.at {
		case atElements, atLines, atText, atBytes:
		case atEntries, atNamed:
			if done, all = f.entries.taken, f.entries.len; all < fewEntries {
				continue
			}
		default:
			continue
		}
		if all < 2 {
			continue
		}
		within := 1.0 // the last of those done may not be past
		if levels > 1 && i+1 < len(stack) {
			within = past(stack[i+1:], levels-1)
		}
		return max(float64(done)-1+within, 0) / float64(all)
	}
	return 1
}
