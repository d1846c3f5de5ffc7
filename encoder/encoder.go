package encoder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"
)

var (
	// ErrOverloaded is returned when as many encodes wait as WithQueue and
	// WithQueueBytes allow, or when one has waited for as long as
	// WithQueueTimeout allows without a turn. Nothing has been written then.
	ErrOverloaded = errors.New("encoder: too many encodes are waiting")
	// ErrClosed is returned for values that are larger than a quantum and come
	// after Close.
	ErrClosed = errors.New("encoder: closed")

	// errInterrupted stands for a panic or Goexit in the counters.
	errInterrupted = errors.New("encoder: interrupted")
)

// An Encoder encodes values as JSON, many at a time, on a bounded number of
// workers. It is safe for concurrent use. New starts it and Close ends it;
// while nothing is encoded it costs two sleeping goroutines.
type Encoder struct {
	cfg      config
	pool     *pool
	firsts   *segmentPool // for the first quantum, which is all of most values
	segments *segmentPool // for those that are longer
	wholes   *segmentPool // for those of any length in one piece; keeps none
	held     atomic.Int64 // bytes of all segments in use
	stats    struct {
		values, pooled, bytes, overloaded, failed atomic.Int64
		inline                                    atomic.Int64 // now running on their callers' goroutines
		yielding                                  atomic.Int64 // of those, giving way
	}
}

// New returns an Encoder that is ready to use. It fails if an option is out of
// its range.
func New(opts ...Option) (*Encoder, error) {
	cfg := defaults()
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p, err := newPool(&cfg)
	if err != nil {
		return nil, err
	}
	e := &Encoder{cfg: cfg, pool: p}
	// A quantum is what a piece of text goes beyond it, in a buffer that doubles
	// when it is full.
	e.firsts = newSegmentPool(minBuffer, 4*cfg.quantum, &e.held)
	e.segments = newSegmentPool(cfg.segmentSize(), 2*(cfg.writeSize+cfg.quantum), &e.held)
	e.wholes = newSegmentPool(0, 0, &e.held)
	return e, nil
}

// SetWorkers changes how many values are encoded at the same time on the pool,
// also while it is at work: more workers start at once on what waits, and those
// that are too many finish the quantum they are in. It fails if n is below one.
func (e *Encoder) SetWorkers(n int) error {
	if n < 1 {
		return fmt.Errorf("encoder: SetWorkers(%d): at least one worker is needed", n)
	}
	e.pool.resize(n)
	return nil
}

// Close refuses the pool to new values with ErrClosed, waits for those being
// encoded on it, and ends the workers. If ctx ends first, its error is returned
// and the rest goes on; Close may be called again.
func (e *Encoder) Close(ctx context.Context) error { return e.pool.close(ctx) }

// Stats are an Encoder's counters since New, and what it is doing now.
type Stats struct {
	Values     int64 // encoded or failed, in all
	Pooled     int64 // of those, too large for their first quantum: begun on the pool, or refused there
	Bytes      int64 // of JSON
	Overloaded int64 // refused with ErrOverloaded
	Failed     int64 // ended by an error of the value, the writer or the context
	Waiting    int   // in the queue now
	Inline     int64 // large values being encoded on their callers' goroutines now
	Workers    int   // the most that encode at the same time on the pool
	Held       int64 // bytes of memory that output takes now, but for values of less than 4 KB

	// Numbers is who encodes slices and arrays of numbers: "sonic" where that
	// was found to be exact and faster, otherwise "strconv". Stats or the first
	// of them tries, which takes a millisecond.
	Numbers string
}

// Stats returns the counters.
func (e *Encoder) Stats() Stats {
	return Stats{
		Values:     e.stats.values.Load(),
		Pooled:     e.stats.pooled.Load(),
		Bytes:      e.stats.bytes.Load(),
		Overloaded: e.stats.overloaded.Load(),
		Failed:     e.stats.failed.Load(),
		Waiting:    e.pool.waiting(),
		Inline:     e.stats.inline.Load(),
		Workers:    int(e.pool.most.Load()),
		Held:       e.held.Load(),
		Numbers:    numbersBy(),
	}
}

// Backlog is how many values wait for a processor: those queued for a worker,
// and those on their callers' goroutines beyond the first few, one per worker.
// Those that wait for room under WithHeldLimit do not, and of those on their
// callers' goroutines only who gives way counts: one whose marshaler waits for a
// lock or a database needs no processor, and may need none for long.
func (e *Encoder) Backlog() int {
	beyond := int(e.stats.inline.Load() - e.pool.most.Load())
	return e.pool.queued() + max(0, min(beyond, int(e.stats.yielding.Load())))
}

// NearlyDone is how many values of the Backlog wait on the pool for their last
// few quanta. They do not wait for the others, and a value that is no longer than
// that waits for these alone.
func (e *Encoder) NearlyDone() int { return e.pool.queue.short.len() }

// Marshal returns v as JSON: the bytes, or the error, of encoding/json.Marshal.
// A value larger than a quantum is encoded on the pool, and may meet
// ErrOverloaded or ErrClosed; if ctx ends, its error is returned as soon as the
// quantum being encoded is finished. No goroutine reads v after the return.
func (e *Encoder) Marshal(ctx context.Context, v any, opts ...EncodeOption) ([]byte, error) {
	return e.marshal(ctx, v, opts, e.onPool)
}

// MarshalInline is Marshal on the caller's goroutine. It gives way after every
// quantum and never meets ErrOverloaded or ErrClosed, for callers that have no
// way to tell anybody of them.
func (e *Encoder) MarshalInline(ctx context.Context, v any, opts ...EncodeOption) ([]byte, error) {
	return e.marshal(ctx, v, opts, e.onCaller)
}

func (e *Encoder) marshal(ctx context.Context, v any, opts []EncodeOption, rest func(context.Context, *job, *sink) error) (b []byte, err error) {
	err = errInterrupted
	defer func() { e.count(int64(len(b)), err) }()
	return e.gather(ctx, v, formatOf(opts), rest)
}

// gather encodes v into one slice.
func (e *Encoder) gather(ctx context.Context, v any, f format, rest func(context.Context, *job, *sink) error) ([]byte, error) {
	first := e.firsts.get()
	defer func() { first.free() }() // unless it becomes the job's
	c := e.cursor(v)
	c.format = f
	complete, err := c.fill(first)
	if err != nil {
		return nil, err
	}
	if complete {
		return bytes.Clone(first.buf), nil
	}
	j := e.newJob(c, first)
	first = nil
	defer j.free()
	j.whole, j.segments = new(whole), e.wholes
	j.room = int64(j.expected())
	if err := rest(ctx, j, nil); err != nil {
		return nil, err
	}
	return j.result(), nil
}

// Encode writes v as JSON to w, without the newline that json.Encoder adds,
// and returns how many bytes w has taken. Only the calling goroutine touches
// w. Up to WithHold bytes are kept back before the first write; an error until
// then, ErrOverloaded and ErrClosed among them, leaves w untouched.
//
// If all of the output is known before the first write and w has a method
// SetSize(int64), it is called with the length first.
//
// The options are Lines, TrailingNewline and PlainHTML, which change what is
// written, and Compressed.
//
// What a sequence produces may be all or a part of v. If its rows come slowly
// and w has a method Flush(), it is called after they have been written.
func (e *Encoder) Encode(ctx context.Context, w io.Writer, v any, opts ...EncodeOption) (n int64, err error) {
	s := sink{w: w, hold: e.cfg.hold}
	err = errInterrupted
	defer func() {
		s.discard()
		n = s.written
		if s.compressed {
			e.count(s.json, err)
		} else {
			e.count(n, err)
		}
	}()
	return 0, e.stream(ctx, v, formatOf(opts), &s)
}

// stream encodes v into s.
func (e *Encoder) stream(ctx context.Context, v any, f format, s *sink) error {
	first := e.firsts.get()
	s.first = first // to be given back if the value panics
	c := e.cursor(v)
	c.format, c.lazy = f, true
	defer func() { c.closeAll() }()
	complete, err := c.fill(first)
	if err != nil {
		return err
	}
	s.first = nil
	s.compressed = f.compression != 0 && (!complete || len(first.buf) >= f.least)
	if complete && !s.compressed {
		return s.finish(first)
	}
	j := e.newJob(c, first)
	c.opened = nil // j's now
	defer j.cursor.closeAll()
	defer j.free() // above all if many are refused
	j.room = e.MaxHeld()
	if s.compressed {
		j.compression = &compression{kind: f.compression, most: e.maxTurn(), pool: e.firsts, complete: complete}
		defer j.compression.release()
		j.segments, j.writeSize = e.firsts, min(j.writeSize, compressedWriteSize)
		if complete && len(first.buf) <= e.maxTurn() {
			if _, _, err := j.advance(); err != nil {
				return err
			}
			return s.finish(j.last())
		}
	}
	rest := e.onPool
	if j.cursor.flush {
		rest = e.onCaller // rows that come slowly need no turn, and must not wait for one
	}
	if err := rest(ctx, j, s); err != nil {
		return err
	}
	return s.finish(j.last())
}

// cursor returns the beginning of v. It stays on the stack for all that is
// complete within a quantum.
func (e *Encoder) cursor(v any) cursor {
	return cursor{root: v, quantum: e.cfg.quantum, onCaller: true}
}

// minBuffer is what a pooled buffer begins with. Most values are small, and
// each buffer grows to what it is used for.
const minBuffer = 4 << 10

// newJob returns the rest of a value, from c on, behind first.
func (e *Encoder) newJob(c cursor, first *segment) *job {
	j := &job{
		cursor:    c,
		segments:  e.segments,
		first:     first,
		writeSize: e.cfg.writeSize,
		written:   len(first.buf),
	}
	j.reckon()
	return j
}

func (e *Encoder) count(n int64, err error) {
	e.stats.values.Add(1)
	e.stats.bytes.Add(n)
	switch {
	case err == nil:
	case errors.Is(err, ErrOverloaded):
		e.stats.overloaded.Add(1)
	default:
		e.stats.failed.Add(1)
	}
}

// onPool encodes the rest of j by turns on the pool, and passes to s what is
// filled on the way. The last segment stays open.
func (e *Encoder) onPool(ctx context.Context, j *job, s *sink) error {
	e.stats.pooled.Add(1)
	// The first quantum is over, and a worker that is woken gets its turn next.
	runtime.Gosched()
	j.wake = make(chan struct{}, 1)
	j.cursor.onCaller = false
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := e.pool.begin(j); err != nil {
		return err
	}
	defer e.pool.end(j) // also when the writer panics
	callsUser, err := e.await(ctx, j, s)
	if err != nil {
		return err
	}
	if callsUser {
		e.pool.vacate(j)
		j.cursor.onCaller = true
		return e.onCaller(ctx, j, s)
	}
	return nil
}

// await takes from the pool what j has become there until it is done or has to
// go on in this goroutine.
func (e *Encoder) await(ctx context.Context, j *job, s *sink) (callsUser bool, err error) {
	var timeout <-chan time.Time
	if e.cfg.queueTimeout > 0 {
		t := time.NewTimer(e.cfg.queueTimeout)
		defer t.Stop()
		timeout = t.C
	}
	var ready []*segment
	defer func() { freeAll(ready) }() // the rest, if the writer fails or panics
	for {
		select {
		case <-j.wake:
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-timeout:
			if e.pool.withdraw(j) {
				return false, ErrOverloaded
			}
			timeout = nil
			continue
		}
		timeout = nil
		var ended bool
		for ready, ended = e.pool.take(j); len(ready) > 0; {
			seg := ready[0]
			ready = ready[1:]
			if err := s.put(seg); err != nil {
				return false, err
			}
		}
		if !ended {
			continue
		}
		if j.panicked != nil {
			panic(j.panicked)
		}
		return j.callsUser, j.err
	}
}

// onCaller encodes the rest of j on this goroutine.
func (e *Encoder) onCaller(ctx context.Context, j *job, s *sink) error {
	e.stats.inline.Add(1)
	defer e.stats.inline.Add(-1)
	slow := j.cursor.flush
	for {
		e.stats.yielding.Add(1)
		runtime.Gosched()
		e.stats.yielding.Add(-1)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		full, complete, err := e.advance(j, slow)
		if err != nil || complete {
			return err
		}
		if full == nil {
			continue
		}
		if slow = full.flush; slow {
			// Most of the time there is next to nothing in a segment.
			j.segments, j.writeSize = e.firsts, min(j.writeSize, e.cfg.quantum)
		}
		if err := e.putIdle(s, full); err != nil {
			return err
		}
	}
}

// advance is the job's on the caller's goroutine. If rows come slowly it waits
// for them, for a database perhaps, and that is no work.
func (e *Encoder) advance(j *job, slow bool) (full *segment, complete bool, err error) {
	if slow {
		e.stats.inline.Add(-1)
		defer e.stats.inline.Add(1) // also when the sequence panics
	}
	return j.advance()
}

// putIdle is put on the caller's goroutine. A writer may wait for its client:
// that is no work.
func (e *Encoder) putIdle(s *sink, full *segment) error {
	e.stats.inline.Add(-1)
	defer e.stats.inline.Add(1) // also when the writer panics
	return s.put(full)
}

// Held is about how many bytes of memory Encode takes for the output of a value
// that can be cut, once it streams: the segment being written, and the one that
// is ready. Compressed output comes in shorter segments, which with the
// compressor are no more at the default settings.
func (e *Encoder) Held() int64 {
	return int64(maxReady+1) * int64(e.cfg.segmentSize())
}

// MaxHeld is about how many bytes Encode takes at the most, which is while the
// first write goes on: the segments of the hold, the one that went beyond it,
// and those that became ready since.
func (e *Encoder) MaxHeld() int64 {
	return int64(e.cfg.hold/e.cfg.writeSize+1+maxReady) * int64(e.cfg.segmentSize())
}
