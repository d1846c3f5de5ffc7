package encoder

import (
	"sync"
	"sync/atomic"
)

// state is where a job stands. Whoever moves it holds the pool's mu.
type state uint8

const (
	parked  state = iota // not the pool's: new, ended, or waiting for its client
	outside              // accepted, waiting for room
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
	first       *segment // what the first quantum became, until the first turn
	open        *segment // nil until there is something to put in
	whole       *whole   // nil unless the output is to be one slice
	writeSize   int
	written     int // bytes of JSON encoded
	rest        int // bytes that are expected to follow

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
	room         int64 // bytes set aside for what it is going to hold
	prev, next   *job
	short        bool // was nearly done when it was queued
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
		if j.first == nil {
			j.cursor.emptied()
		}
	}
	if j.first != nil {
		j.begin()
		if j.cursor.flush && j.compression == nil {
			j.open.book()
			return j.handOver(), false, nil // before the next row is waited for
		}
	}
	if j.whole != nil {
		complete, err = j.extend()
		return nil, complete, err
	}
	if j.compression != nil {
		complete, err = j.compression.fill(j.open, &j.cursor)
		j.written = int(j.compression.done)
	} else {
		before := len(j.open.buf)
		j.open.buf, complete, err = j.cursor.next(j.open.buf)
		j.written += len(j.open.buf) - before
	}
	j.open.book()
	if err != nil || complete || len(j.open.buf) < j.writeSize && !j.cursor.flush {
		return nil, complete, err
	}
	return j.handOver(), false, nil
}

// handOver takes the segment that others are going to follow. A parked job has
// no use for the next one yet.
func (j *job) handOver() *segment {
	s := j.last()
	s.flush, j.cursor.flush = j.cursor.flush, false
	return s
}

// begin moves what the first quantum became to where the rest is going to be.
// That is not done sooner, so that a job which waits for its first turn holds
// no more than it must.
func (j *job) begin() {
	if j.compression != nil {
		j.compression.json, j.first = j.first, nil
		return
	}
	if j.whole != nil {
		j.beginWhole()
		return
	}
	j.open.buf = append(j.open.buf, j.first.buf...)
	j.first.free()
	j.first = nil
}

// reckon estimates what is still to come. Like advance it is for whoever has
// the cursor.
func (j *job) reckon() {
	if j.whole != nil && j.whole.complete {
		j.rest = j.written - len(j.open.buf)
		return
	}
	j.rest = min(j.cursor.ahead(j.written), believed(j.written))
}

// last takes the segment that has stayed open.
func (j *job) last() *segment {
	s := j.open
	j.open = nil
	return s
}

// free gives back what the caller has not taken.
func (j *job) free() {
	j.first.free()
	j.open.free()
	j.first, j.open = nil, nil
	if j.whole != nil {
		j.whole.old.free()
		j.whole.old = nil
	}
}

// booked is how much of the ledger is for what j has encoded and not handed
// over.
func (j *job) booked() (n int64) {
	if j.open != nil {
		n = j.open.booked
	}
	if j.whole != nil && j.whole.old != nil {
		n += j.whole.old.booked
	}
	return n
}

// turn is advance on a worker.
func (j *job) turn() (full *segment, done, callsUser bool) {
	defer func() {
		if r := recover(); r != nil {
			j.panicked, done = r, true
		}
	}()
	full, done, err := j.advance()
	j.reckon()
	if err == errCallsUser {
		return nil, false, true
	}
	j.err = err
	return full, done || err != nil, false
}

// segment is a piece of output on its way to a writer.
type segment struct {
	buf    []byte
	json   int64 // if it is compressed: bytes of JSON until its end
	home   *segmentPool
	flush  bool  // once it has been written
	booked int64 // bytes on the ledger
}

// segmentPool keeps segments of one size for reuse.
type segmentPool struct {
	pool   sync.Pool
	most   int           // capacity of what is kept: a value that cannot be cut stretches its segment
	ledger *atomic.Int64 // bytes of all segments in use, whichever pool they are from
}

func newSegmentPool(size, most int, ledger *atomic.Int64) *segmentPool {
	p := &segmentPool{most: most, ledger: ledger}
	p.pool.New = func() any { return &segment{buf: make([]byte, 0, size), home: p} }
	return p
}

// fill is next into a segment.
func (c *cursor) fill(s *segment) (complete bool, err error) {
	s.buf, complete, err = c.next(s.buf)
	if len(s.buf) > minBuffer {
		s.book()
	}
	return complete, err
}

func (p *segmentPool) get() *segment { return p.pool.Get().(*segment) }

// book puts s on the ledger with the memory it takes now. Whoever fills s calls
// it afterwards, but not for the smallest values: all processors share the
// ledger, and a connection has buffers as large.
func (s *segment) book() {
	if n := int64(cap(s.buf)); n != s.booked {
		s.home.ledger.Add(n - s.booked)
		s.booked = n
	}
}

// give takes the bytes out of s, for somebody who keeps them.
func (s *segment) give() []byte {
	b := s.buf
	s.buf = nil
	s.free()
	return b
}

// free gives s, if it is any, back. Nobody may use it afterwards.
func (s *segment) free() {
	if s == nil {
		return
	}
	if s.booked > 0 {
		s.home.ledger.Add(-s.booked)
		s.booked = 0
	}
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
