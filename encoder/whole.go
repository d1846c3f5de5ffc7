package encoder

import (
	"bytes"

	"github.com/bytedance/gopkg/lang/dirtmake"
)

// whole is output on its way to being one slice, of any length. It is encoded
// into a piece of memory as long as the output is expected to become. What does
// not fit goes on in a longer piece, once that has what is there already. Such
// moves take their turns as encoding does.
//
// What is expected to be short goes on where it began, in memory that is kept, and
// is copied once it is complete.
type whole struct {
	old      *segment // what is to be moved into the open piece, if anything
	at       int      // how much of that has been
	mapped   int      // how much of the open piece is
	fresh    bool     // the last of that was not mapped before
	complete bool     // the value is, and only the move is left
}

const (
	// headroom is the part of what is expected to follow that is added to it. Numbers
	// get longer along a list: the payloads of package benchmarks turn out up to a
	// sixteenth longer than they begin. Memory that is not reached is not touched.
	headroom = 16
	// moved is how much is moved in a turn.
	moved = populateStep
	// populateStep is how much is mapped at a time: 0.15 ms where a page takes 9 µs.
	populateStep = 64 << 10
	// minPage is the smallest of all pages.
	minPage = 4 << 10
)

// expected is how long the whole output may become.
func (j *job) expected() int { return j.written + j.rest + j.rest/headroom + 2*j.cursor.quantum }

// pieceSize is expected, unless much more is, but not believed yet. Then it is
// as much as has to be there for that.
func (j *job) pieceSize() int {
	ahead := j.cursor.ahead(j.written)
	if ahead <= believed(j.written) {
		return j.expected()
	}
	return min(max(2*j.written, (j.written+ahead)/sure), max(2*j.written, farthest)) + 2*j.cursor.quantum
}

// beginWhole takes what the first quantum became.
func (j *job) beginWhole() {
	if j.small() {
		j.open.free()
		j.open = j.first
		j.whole.mapped = cap(j.open.buf)
	} else {
		j.openPiece(j.pieceSize())
		j.whole.old = j.first
	}
	j.first = nil
}

// small reports whether the whole output is expected to be. To copy as much takes
// a tenth of what encoding it does; room for what an estimate may miss would be
// most of a piece.
func (j *job) small() bool { return j.written+j.rest <= 2*j.cursor.quantum }

// result takes the whole output.
func (j *job) result() []byte {
	s := j.last()
	if s.home == j.segments {
		return s.give()
	}
	defer s.free()
	return bytes.Clone(s.buf)
}

// openPiece begins a piece. It is not cleared: that would cost as much as half of
// the encoding.
func (j *job) openPiece(size int) {
	j.open.buf = dirtmake.Bytes(0, size)
	j.whole.mapped, j.whole.fresh = 0, false
	j.open.book()
}

// replace begins a piece in the open one's place.
func (j *job) replace(size int) {
	j.whole.old = j.open
	j.open = j.segments.get()
	j.openPiece(size)
}

// mapAhead has the next n bytes of the open piece mapped.
func (j *job) mapAhead(n int) {
	b := j.open.buf
	for m := &j.whole.mapped; *m < min(len(b)+n, cap(b)); {
		var n int
		n, j.whole.fresh = populate(b[*m:cap(b)])
		*m += n
	}
}

// wholeQuantum is how much is encoded in a turn. Memory that was not mapped takes
// as long as the encoding, and once more when it is written to for the first time
// if the host of a virtual machine has page tables of its own: 5 µs a page.
func (j *job) wholeQuantum() int {
	if j.whole.fresh {
		return (j.cursor.quantum + 1) / 2
	}
	return j.cursor.quantum
}

// extend is advance for a whole output.
func (j *job) extend() (complete bool, err error) {
	// Room for a quantum, and some for what a rough measure misses.
	n := j.cursor.quantum + j.cursor.quantum/2
	if b := j.open.buf; j.whole.old == nil && cap(b)-len(b) < n {
		j.reckon()
		if j.open.home == j.segments || !j.small() {
			j.replace(j.pieceSize())
		}
	}
	if j.whole.old != nil {
		j.move()
		return j.whole.complete && j.whole.old == nil, nil
	}
	j.mapAhead(n)
	before := len(j.open.buf)
	j.open.buf, complete, err = j.cursor.part(j.open.buf, j.wholeQuantum())
	j.written += len(j.open.buf) - before
	j.open.book()
	if complete && cap(j.open.buf) > 2*j.written+4*j.cursor.quantum {
		// Whoever keeps the result would keep all of that.
		j.whole.complete = true
		j.replace(j.written)
		return false, nil
	}
	return complete, err
}

// move copies some of the old piece into the open one.
func (j *job) move() {
	m := j.whole
	rest := m.old.buf[m.at:]
	n := min(moved, len(rest))
	j.mapAhead(n)
	j.open.buf = append(j.open.buf, rest[:n]...)
	if m.at += n; n == len(rest) {
		m.old.free()
		m.old, m.at = nil, 0
	}
}
