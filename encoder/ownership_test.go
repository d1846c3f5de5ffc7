package encoder

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"
	"time"
)

// bad is a value that cannot be encoded to its end.
type bad struct {
	Rows []traced
	End  float64
}

// encodes are the calls that may leave a value with a worker.
var encodes = []struct {
	name  string
	start func(context.Context, *Encoder, any) <-chan result
}{
	{"Marshal", func(ctx context.Context, e *Encoder, v any) <-chan result { return startMarshal(ctx, e, v) }},
	{"Encode", func(ctx context.Context, e *Encoder, v any) <-chan result { return startEncode(ctx, e, io.Discard, v) }},
}

// at returns a writer that takes all writes but number k, which is for do, as
// soon as a worker is filling the next segment.
func at(e *Encoder, k int, do func(b []byte) (int, error)) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		if k--; k == 0 {
			until(func() bool {
				e.pool.mu.Lock()
				defer e.pool.mu.Unlock()
				return e.pool.starting == 0 // or it has filled it already
			})
			return do(b)
		}
		return len(b), nil
	})
}

// TestAValueIsItsCallersAgainOnceTheCallHasReturned leaves an encode by every
// way out there is, and changes all of the value at once. It is for the race
// detector, which sees every read of it; without one it only shows that each way
// out is taken.
func TestAValueIsItsCallersAgainOnceTheCallHasReturned(t *testing.T) {
	const length = 6_000 // about 300 quanta, and 8 writes
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	exits := []struct {
		name string
		opts []Option
		ok   func(result) bool
		// exit ends one encode of v. It has the encoder to itself.
		exit func(t *testing.T, e *Encoder, round int, v []traced) result
	}{
		{"the context has ended before", nil, func(r result) bool { return r.err == errLeft },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errLeft)
				return <-encodes[round%2].start(ctx, e, v)
			}},
		{"the context ends in the queue", nil, func(r result) bool { return r.err == errLeft },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				release := occupy(e)
				defer release()
				ctx, cancel := context.WithCancelCause(t.Context())
				end := encodes[round%2].start(ctx, e, v)
				waiting(e, 1)
				cancel(errLeft)
				return <-end
			}},
		{"the context ends when the queue does", nil, func(r result) bool { return r.err == errLeft || r.err == nil },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				release := occupy(e)
				ctx, cancel := context.WithCancelCause(t.Context())
				end := encodes[round%2].start(ctx, e, v)
				waiting(e, 1)
				release()
				cancel(errLeft)
				return <-end
			}},
		{"the context ends in a write", nil, func(r result) bool { return r.err == errLeft },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				ctx, cancel := context.WithCancelCause(t.Context())
				return <-startEncode(ctx, e, at(e, 1+round%6, func(b []byte) (int, error) { cancel(errLeft); return len(b), nil }), v)
			}},
		{"the queue is full", []Option{WithQueue(1)}, func(r result) bool { return r.err == ErrOverloaded },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				release := occupy(e)
				first := startMarshal(t.Context(), e, traceds(length))
				waiting(e, 1)
				r := <-encodes[round%2].start(t.Context(), e, v)
				release()
				<-first
				return r
			}},
		{"it has waited for too long", []Option{WithQueueTimeout(time.Nanosecond)}, func(r result) bool { return r.err == ErrOverloaded },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				defer occupy(e)()
				return <-encodes[round%2].start(t.Context(), e, v)
			}},
		{"it waits for as long as its turn takes to come", []Option{WithQueueTimeout(30 * time.Microsecond)},
			func(r result) bool { return r.err == nil || r.err == ErrOverloaded },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-encodes[round%2].start(t.Context(), e, v)
			}},
		{"the writer fails", nil, func(r result) bool { return r.err == errBroken },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-startEncode(t.Context(), e, at(e, 1+round%6, func(b []byte) (int, error) { return 0, errBroken }), v)
			}},
		{"the writer takes too little", nil, func(r result) bool { return r.err == io.ErrShortWrite },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-startEncode(t.Context(), e, at(e, 1+round%6, func(b []byte) (int, error) { return 1, nil }), v)
			}},
		{"the writer panics", nil, func(r result) bool { return r.panicked == errBroken },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-startEncode(t.Context(), e, at(e, 1+round%6, func(b []byte) (int, error) { panic(errBroken) }), v)
			}},
		{"the writer ends the goroutine", nil, func(r result) bool { return r.exited },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-startEncode(t.Context(), e, at(e, 1+round%6, func(b []byte) (int, error) { runtime.Goexit(); return 0, nil }), v)
			}},
		{"the value cannot be encoded", nil, func(r result) bool { return r.err != nil },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-encodes[round%2].start(t.Context(), e, bad{v, math.NaN()})
			}},
		{"a marshaler fails after the workers' part", nil, func(r result) bool { return errors.Is(r.err, errBroken) },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				fails := marshalerFunc(func() ([]byte, error) { return nil, errBroken })
				return <-encodes[round%2].start(t.Context(), e, []any{v, fails, v})
			}},
		{"a marshaler panics after the workers' part", nil, func(r result) bool { return r.panicked == errBroken },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				panics := marshalerFunc(func() ([]byte, error) { panic(errBroken) })
				return <-encodes[round%2].start(t.Context(), e, []any{v, panics, v})
			}},
		{"the encoder closes meanwhile", nil, func(r result) bool { return r.err == nil || r.err == ErrClosed },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				end := encodes[round%2].start(t.Context(), e, v)
				if err := e.Close(context.Background()); err != nil {
					t.Error(err)
				}
				return <-end
			}},
		{"Close gives up on it", nil, func(r result) bool { return r.err == nil },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				return <-startEncode(t.Context(), e, at(e, 1, func(b []byte) (int, error) {
					if err := e.Close(ended); err != context.Canceled {
						t.Errorf("Close: %v", err)
					}
					return len(b), nil
				}), v)
			}},
		{"the encoder is closed", nil, func(r result) bool { return r.err == ErrClosed },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				if err := e.Close(t.Context()); err != nil {
					t.Error(err)
				}
				return <-encodes[round%2].start(t.Context(), e, v)
			}},
		{"all is well", nil, func(r result) bool { return r.err == nil },
			func(t *testing.T, e *Encoder, round int, v []traced) result {
				return <-encodes[round%2].start(t.Context(), e, v)
			}},
	}
	for _, tt := range exits {
		t.Run(tt.name, func(t *testing.T) {
			for round := range rounds {
				e := made(t, append([]Option{WithWorkers(2), WithQuantum(1 << 10), WithWriteSize(32 << 10), WithHold(0)}, tt.opts...)...)
				v := traceds(length)
				r := tt.exit(t, e, round, v)
				overwrite(v)
				if !tt.ok(r) {
					t.Fatalf("round %d: %v, panic %v, Goexit %v", round, r.err, r.panicked, r.exited)
				}
			}
		})
	}
}
