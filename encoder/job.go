package encoder

import "sync"

// state is where a job stands. Whoever moves it holds the pool's mu.
type state uint8

const (
	parked  state = iota // not the pool's: new, ended, or waiting for its client
	queued               // waiting for a worker
	running              // in a worker's hands
)

// maxReady is how many filled segments may wait for the caller before their
// job is parked: with the one being written and the one being filled, a client
// that never reads holds three.
const maxReady = 1

// job is one value that is more than a quantum. While it runs on the pool, the
// cursor and the open segment belong to the worker, otherwise to the caller.
type job struct {
	cursor    cursor
	open      *segment
	whole     bool // into one segment of any length
	writeSize int

	err      error // why it is done, if not because it is complete
	panicked any   // what the value panicked with

	wake chan struct{} // signals the caller; holds one signal

	// The rest is guarded by the pool's mu.
	state        state
	began        bool // has had a turn
	done         bool
	callsUser    bool // has to go on in the caller's goroutine
	cancelled    bool
	ready, spare []*segment
	prev, next   *job
}

func (j *job) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// advance encodes about a quantum. It returns the segment if that filled it,
// but not the last one, which stays open.
func (j *job) advance() (full *segment, complete bool, err error) {
	if j.whole {
		j.open.buf = j.cursor.grow(j.open.buf, j.cursor.quantum)
	}
	j.open.buf, complete, err = j.cursor.next(j.open.buf)
	if err != nil || complete || j.whole || len(j.open.buf) < j.writeSize {
		return nil, complete, err
	}
	full, j.open = j.open, newSegment()
	return full, false, nil
}

// turn is advance on a worker.
func (j *job) turn() (full *segment, done, callsUser bool) {
	defer func() {
		if r := recover(); r != nil {
			j.panicked, done = r, true
		}
	}()
	full, done, err := j.advance()
	if err == errCallsUser {
		return nil, false, true
	}
	j.err = err
	return full, done || err != nil, false
}

// segment is a piece of output on its way to a writer.
type segment struct{ buf []byte }

// segments are of the default write size and a quantum over: a write is due
// once its size is reached, and the quantum that reaches it goes beyond.
var segments = sync.Pool{New: func() any {
	return &segment{buf: make([]byte, 0, DefaultWriteSize+DefaultQuantum+DefaultQuantum/2)}
}}

// maxSegment bounds what the pool keeps, since a value that cannot be cut
// stretches its segment.
const maxSegment = 2 * DefaultWriteSize

func newSegment() *segment { return segments.Get().(*segment) }

func (s *segment) free() {
	if cap(s.buf) <= maxSegment {
		s.buf = s.buf[:0]
		segments.Put(s)
	}
}

func freeAll(segs []*segment) {
	for _, s := range segs {
		s.free()
	}
}
