package encoder

import "github.com/bytedance/gopkg/lang/dirtmake"

// whole is output on its way to being one slice, of any length. There is to be
// one piece, as long as the output is expected to become, which is then the
// slice. What does not fit goes into others, and all are joined in the end: a
// quantum at a time, as it is encoded.
type whole struct {
	full    []*segment // pieces before the open one
	joining bool       // the value is complete, the open segment is the result
	mapped  int        // how much of the open piece is
}

const (
	// headroom is the part of what is expected to follow that is added to it. Numbers
	// get longer along a list: the payloads of package benchmarks turn out up to a
	// sixteenth longer than they begin. Memory that is not reached is not touched.
	headroom = 16
	// populateLeast is from which length on it is worth asking about a piece's
	// memory.
	populateLeast = 2 << 20
	// populateStep is how much is mapped at a time: 0.2 ms where a trap takes
	// 15 µs.
	populateStep = 256 << 10
	// minPage is the smallest of all pages.
	minPage = 4 << 10
	// joined is how much is copied in a quantum.
	joined = populateStep
)

// expected is how long the whole output may become.
func (j *job) expected() int { return j.written + j.rest + j.rest/headroom + 2*j.cursor.quantum }

// makeRoom sees to it that the open piece has room for a quantum, and some for
// what a rough measure misses. It makes room for all that is likely still to
// come. The room is not cleared: that would cost as much as half of the
// encoding.
func (j *job) makeRoom() {
	n := j.cursor.quantum + j.cursor.quantum/2
	if b := j.open.buf; cap(b)-len(b) < n {
		if len(b) > 0 {
			j.whole.full = append(j.whole.full, j.open)
			j.open = j.segments.get()
		}
		j.reckon()
		j.openPiece(j.expected() - j.written)
	}
	j.mapAhead(n)
}

func (j *job) openPiece(size int) {
	j.open.buf = dirtmake.Bytes(0, size)
	j.whole.mapped = 0
	j.open.book()
}

// mapAhead has the next n bytes of the open piece mapped.
func (j *job) mapAhead(n int) {
	b := j.open.buf
	if cap(b) < populateLeast {
		return
	}
	for m := &j.whole.mapped; *m < min(len(b)+n, cap(b)); *m += populateStep {
		populate(b[*m:min(*m+populateStep, cap(b))])
	}
}

// extend is advance for a whole output.
func (j *job) extend() (complete bool, err error) {
	if j.whole.joining {
		return j.join(), nil
	}
	j.makeRoom()
	before := len(j.open.buf)
	j.open.buf, complete, err = j.cursor.next(j.open.buf)
	j.written += len(j.open.buf) - before
	j.open.book()
	if err != nil || !complete || len(j.whole.full) == 0 {
		return complete, err
	}
	j.whole.full = append(j.whole.full, j.open)
	j.whole.joining = true
	j.open = j.segments.get()
	j.openPiece(j.written)
	return false, nil
}

// join copies some of the pieces into the result. It reports whether that is
// all of them.
func (j *job) join() bool {
	n := min(joined, len(j.whole.full[0].buf))
	j.mapAhead(n)
	piece := j.whole.full[0]
	j.open.buf = append(j.open.buf, piece.buf[:n]...)
	if piece.buf = piece.buf[n:]; len(piece.buf) > 0 {
		return false
	}
	piece.free()
	j.whole.full = j.whole.full[1:]
	return len(j.whole.full) == 0
}
