package encoder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"
)

var (
	// ErrOverloaded is returned when as many encodes wait for a worker as
	// WithQueue allows, or when one has waited for as long as WithQueueTimeout
	// allows without a turn. Nothing has been written then.
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
	p, err := newPool(cfg.workers, cfg.queue)
	if err != nil {
		return nil, err
	}
	return &Encoder{
		cfg:  cfg,
		pool: p,
		// Escaping makes a quantum half as long again, in a buffer that doubles
		// when it is full.
		firsts: newSegmentPool(minBuffer, 4*cfg.quantum),
		// A write is due once its size is reached, and the quantum that reaches
		// it goes beyond.
		segments: newSegmentPool(cfg.writeSize+cfg.quantum+cfg.quantum/2, 2*(cfg.writeSize+cfg.quantum)),
	}, nil
}

// Close refuses the pool to new values with ErrClosed, waits for those being
// encoded on it, and ends the workers. If ctx ends first, its error is returned
// and the rest goes on; Close may be called again.
func (e *Encoder) Close(ctx context.Context) error { return e.pool.close(ctx) }

// Stats are an Encoder's counters since New, and what it is doing now.
type Stats struct {
	Values     int64 // encoded or failed, in all
	Pooled     int64 // of those, too large to be encoded in their first quantum
	Bytes      int64 // of JSON
	Overloaded int64 // refused with ErrOverloaded
	Failed     int64 // ended by an error of the value, the writer or the context
	Waiting    int   // in the queue now
	Inline     int64 // large values being encoded on their callers' goroutines now
	Workers    int   // the most that encode at the same time on the pool
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
		Workers:    e.cfg.workers,
	}
}

// Backlog is how many values wait for a turn: those queued for a worker, and
// those on their callers' goroutines beyond the first few, one per worker. Of
// these only who gives way counts: one whose marshaler waits for a lock or a
// database needs no processor, and may need none for long.
func (e *Encoder) Backlog() int {
	beyond := int(e.stats.inline.Load()) - e.cfg.workers
	return e.pool.waiting() + max(0, min(beyond, int(e.stats.yielding.Load())))
}

// Marshal returns v as JSON: the bytes, or the error, of encoding/json.Marshal.
// A value larger than a quantum is encoded on the pool, and may meet
// ErrOverloaded or ErrClosed; if ctx ends, its error is returned as soon as the
// quantum being encoded is finished. No goroutine reads v after the return.
func (e *Encoder) Marshal(ctx context.Context, v any) ([]byte, error) {
	return e.marshal(ctx, v, e.onPool)
}

// MarshalInline is Marshal on the caller's goroutine. It gives way after every
// quantum and never meets ErrOverloaded or ErrClosed, for callers that have no
// way to tell anybody of them.
func (e *Encoder) MarshalInline(ctx context.Context, v any) ([]byte, error) {
	return e.marshal(ctx, v, e.onCaller)
}

func (e *Encoder) marshal(ctx context.Context, v any, rest func(context.Context, *job, *sink) error) (b []byte, err error) {
	err = errInterrupted
	defer func() { e.count(int64(len(b)), err) }()
	return e.gather(ctx, v, rest)
}

// gather encodes v into one slice.
func (e *Encoder) gather(ctx context.Context, v any, rest func(context.Context, *job, *sink) error) ([]byte, error) {
	first := e.firsts.get()
	defer first.free()
	c := e.cursor(v)
	complete, err := c.fill(first)
	if err != nil {
		return nil, err
	}
	if complete {
		return bytes.Clone(first.buf), nil
	}
	j := e.newJob(v)
	j.cursor = c
	j.whole = true
	j.open = &segment{buf: append(j.cursor.grow(nil, len(first.buf)), first.buf...)}
	if err := rest(ctx, j, nil); err != nil {
		return nil, err
	}
	return j.open.buf, nil
}

// Encode writes v as JSON to w, without the newline that json.Encoder adds,
// and returns how many bytes w has taken. Only the calling goroutine touches
// w. Up to WithHold bytes are kept back before the first write; an error until
// then, ErrOverloaded and ErrClosed among them, leaves w untouched.
//
// If all of the output is known before the first write and w has a method
// SetSize(int64), it is called with the length first.
func (e *Encoder) Encode(ctx context.Context, w io.Writer, v any, opts ...EncodeOption) (n int64, err error) {
	var f format
	for _, o := range opts {
		o(&f)
	}
	s := sink{w: w, hold: e.cfg.hold}
	err = errInterrupted
	defer func() {
		s.discard()
		n = s.written
		e.count(n, err)
	}()
	return 0, e.stream(ctx, v, f, &s)
}

// stream encodes v into s.
func (e *Encoder) stream(ctx context.Context, v any, f format, s *sink) error {
	first := e.firsts.get()
	c := e.cursor(v)
	c.format = f
	complete, err := c.fill(first)
	if err != nil {
		first.free()
		return err
	}
	if complete {
		return s.finish(first)
	}
	j := e.newJob(v)
	j.cursor = c
	j.open = e.segments.get()
	j.open.buf = append(j.open.buf, first.buf...)
	first.free()
	if err := e.onPool(ctx, j, s); err != nil {
		// Above all if many are refused: each would leave a segment to the
		// garbage collector.
		if j.open != nil {
			j.open.free()
		}
		return err
	}
	return s.finish(j.open)
}

// cursor returns the beginning of v. It stays on the stack for all that is
// complete within a quantum.
func (e *Encoder) cursor(v any) cursor {
	return cursor{root: v, quantum: e.cfg.quantum, trusted: true}
}

func (e *Encoder) newJob(v any) *job {
	return &job{
		cursor:    e.cursor(v),
		segments:  e.segments,
		writeSize: e.cfg.writeSize,
	}
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
	j.wake = make(chan struct{}, 1)
	j.cursor.trusted = false
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
		j.cursor.trusted = true
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
		ready, ended := e.pool.take(j)
		for i, seg := range ready {
			if err := s.put(seg); err != nil {
				freeAll(ready[i+1:])
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
	for {
		e.stats.yielding.Add(1)
		runtime.Gosched()
		e.stats.yielding.Add(-1)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		full, complete, err := j.advance()
		if err != nil || complete {
			return err
		}
		if full == nil {
			continue
		}
		if err := e.putIdle(s, full); err != nil {
			return err
		}
	}
}

// putIdle is put on the caller's goroutine. A writer may wait for its client:
// that is no work.
func (e *Encoder) putIdle(s *sink, full *segment) error {
	e.stats.inline.Add(-1)
	defer e.stats.inline.Add(1) // also when the writer panics
	return s.put(full)
}

// Held is about how many bytes of output Encode holds for a value that can be
// cut, once it streams: the segment being written, and the one that is ready.
func (e *Encoder) Held() int64 {
	return int64((maxReady + 1) * (e.cfg.writeSize + e.cfg.quantum))
}

// MaxHeld is about how many bytes of output Encode holds at the most for a
// value that can be cut, which is while the first write goes on: the hold, the
// segment that went beyond it, and those that became ready since.
func (e *Encoder) MaxHeld() int64 {
	return int64(e.cfg.hold + (maxReady+1)*(e.cfg.writeSize+e.cfg.quantum))
}
