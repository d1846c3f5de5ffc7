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
// job is parked: with the one being written, a client that stops reading holds
// two.
const maxReady = 1

// job is one value that is more than a quantum. While it runs on the pool, the
// cursor and the open segment belong to the worker, otherwise to the caller.
type job struct {
	cursor      cursor
	compression *compression // nil if the output is the JSON itself
	segments    *segmentPool
	open        *segment // nil until there is something to put in
	whole       bool     // into one segment of any length
	writeSize   int

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
	if j.open == nil {
		j.open = j.segments.get()
	}
	if j.whole {
		j.open.buf = j.cursor.grow(j.open.buf, j.cursor.quantum)
	}
	if j.compression != nil {
		complete, err = j.compression.fill(j.open, &j.cursor)
	} else {
		complete, err = j.cursor.fill(j.open)
	}
	if err != nil || complete || j.whole || len(j.open.buf) < j.writeSize && !j.cursor.flush {
		return nil, complete, err
	}
	j.open.flush, j.cursor.flush = j.cursor.flush, false
	full, j.open = j.open, nil // a parked job has no use for the next one yet
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
type segment struct {
	buf   []byte
	json  int64 // if it is compressed: bytes of JSON until its end
	home  *segmentPool
	flush bool // once it has been written
}

// segmentPool keeps segments of one size for reuse.
type segmentPool struct {
	pool sync.Pool
	most int // capacity of what is kept: a value that cannot be cut stretches its segment
}

func newSegmentPool(size, most int) *segmentPool {
	p := &segmentPool{most: most}
	p.pool.New = func() any { return &segment{buf: make([]byte, 0, size), home: p} }
	return p
}

// fill is next into a segment.
func (c *cursor) fill(s *segment) (complete bool, err error) {
	s.buf, complete, err = c.next(s.buf)
	return complete, err
}

func (p *segmentPool) get() *segment { return p.pool.Get().(*segment) }

// free gives s back. Nobody may use it afterwards.
func (s *segment) free() {
	if cap(s.buf) <= s.home.most {
		s.buf, s.json, s.flush = s.buf[:0], 0, false
		s.home.pool.Put(s)
	}
}

func freeAll(segs []*segment) {
	for _, s := range segs {
		s.free()
	}
}
