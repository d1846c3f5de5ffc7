package encoder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errLeft   = errors.New("the client has left")
	errBroken = errors.New("broken")
)

func TestASmallValueNeverSeesThePool(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			e := made(t, WithWorkers(1), WithQueue(1))
			defer occupy(e)() // it would never get a turn
			v := rows(100)
			got, err := way.encode(t.Context(), e, v)
			if err != nil {
				t.Fatal(err)
			}
			want := marshal(t, v)
			wantOutput(t, way.name, got, want)
			if st := e.Stats(); st.Pooled != 0 || st.Values != 1 || st.Bytes != int64(len(want)) || st.Failed+st.Overloaded != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestALargeValueSeesThePoolUnlessInline(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			e := made(t)
			v := rows(10_000)
			got, err := way.encode(t.Context(), e, v)
			if err != nil {
				t.Fatal(err)
			}
			want := marshal(t, v)
			wantOutput(t, way.name, got, want)
			pooled := int64(0)
			if way.pooled {
				pooled = 1
			}
			if st := e.Stats(); st.Pooled != pooled || st.Values != 1 || st.Bytes != int64(len(want)) || st.Failed+st.Overloaded != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestShortValuesDoNotWaitForTheLongOneBeforeThem(t *testing.T) {
	scale := 1
	if raced {
		scale = 10
	}
	long, short := rows(220_000/scale), rows(2_000/scale)
	size := int64(len(marshal(t, long)))
	starts := []struct {
		name  string
		start func(*Encoder, *counter) <-chan result
	}{
		{"Encode", func(e *Encoder, w *counter) <-chan result { return startEncode(t.Context(), e, w, long) }},
		{"Marshal", func(e *Encoder, w *counter) <-chan result {
			return run(func() ([]byte, int64, error) {
				b, err := e.Marshal(t.Context(), long)
				w.n.Store(int64(len(b)))
				return nil, w.n.Load(), err
			})
		}},
	}
	for _, tt := range starts {
		t.Run("the long one by "+tt.name, func(t *testing.T) {
			e := made(t, WithWorkers(1), WithQuantum(DefaultQuantum/scale), WithWriteSize(DefaultWriteSize/scale))
			release := occupy(e)
			var w counter
			longEnded := tt.start(e, &w)
			waiting(e, 1)
			const shorts = 4
			shortEnded := make(chan int64, shorts) // how far the long one was by then
			for i := range shorts {
				go func() {
					if _, err := e.Marshal(t.Context(), short); err != nil {
						t.Error(err)
					}
					shortEnded <- w.n.Load()
				}()
				waiting(e, 2+i)
			}
			release()
			for range shorts {
				if n := <-shortEnded; n > size/2 {
					t.Errorf("a short value ended when %d of %d bytes of the one before it were done", n, size)
				}
			}
			if r := <-longEnded; r.err != nil || r.n != size {
				t.Errorf("%d of %d bytes: %v", r.n, size, r.err)
			}
		})
	}
}

func TestAFullQueueRefusesAndWritesNothing(t *testing.T) {
	const queue = 2
	e := made(t, WithWorkers(2), WithQueue(queue))
	release := occupy(e)
	v := rows(10_000)
	want := marshal(t, v)
	var queued []<-chan result
	for i := range queue {
		queued = append(queued, startMarshal(t.Context(), e, v))
		waiting(e, i+1)
	}
	late := traceds(10_000)
	if b, err := e.Marshal(t.Context(), late); !errors.Is(err, ErrOverloaded) || b != nil {
		t.Errorf("Marshal: %d bytes, %v, want ErrOverloaded", len(b), err)
	}
	overwrite(late)
	if n, err := e.Encode(t.Context(), untouched(t), late); !errors.Is(err, ErrOverloaded) || n != 0 {
		t.Errorf("Encode: %d bytes, %v, want ErrOverloaded", n, err)
	}
	if b, err := e.MarshalInline(t.Context(), v); err != nil || !bytes.Equal(b, want) {
		t.Errorf("MarshalInline: %d bytes, %v", len(b), err)
	}
	if st := e.Stats(); st.Overloaded != 2 || st.Failed != 0 || st.Waiting != queue || e.Backlog() != queue {
		t.Errorf("%+v, backlog %d", st, e.Backlog())
	}
	release()
	for _, q := range queued {
		r := <-q
		if r.err != nil {
			t.Error(r.err)
		}
		wantOutput(t, "queued", r.out, want)
	}
}

func TestWhatHasBegunIsRefusedNeitherByAFullQueueNorAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(1), WithQueue(1), WithQueueTimeout(time.Second), WithHold(0))
		v := rows(20_000)
		w := newStalling()
		begun := startEncode(t.Context(), e, w, v)
		<-w.begun
		synctest.Wait() // the next segment is full, and the job parked
		release := occupy(e)
		blocker := e.newJob(e.cursor(v), e.firsts.get())
		defer blocker.free()
		blocker.wake = make(chan struct{}, 1)
		if err := e.pool.begin(blocker); err != nil {
			t.Fatal(err)
		}
		w.goOn <- struct{}{}
		<-w.begun
		if n := e.Stats().Waiting; n != 2 {
			t.Errorf("%d jobs wait in a queue for one, want 2", n)
		}
		time.Sleep(time.Hour)
		release()
		r := w.pass(begun)
		e.pool.end(blocker)
		if r.err != nil {
			t.Error(r.err)
		}
		wantOutput(t, "streamed", w.Bytes(), marshal(t, v))
	})
}

func TestAnEncodeWaitsNoLongerThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(1), WithQueueTimeout(3*time.Second))
		release := occupy(e)
		defer release()
		for _, w := range []io.Writer{nil, untouched(t)} {
			v := traceds(10_000)
			begin := time.Now()
			var r result
			if w == nil {
				r = <-startMarshal(t.Context(), e, v)
			} else {
				r = <-startEncode(t.Context(), e, w, v)
			}
			overwrite(v)
			if !errors.Is(r.err, ErrOverloaded) || r.n != 0 {
				t.Errorf("%d bytes, %v, want ErrOverloaded", r.n, r.err)
			}
			if waited := time.Since(begin); waited != 3*time.Second {
				t.Errorf("after %v", waited)
			}
			if e.Stats().Waiting != 0 {
				t.Error("it is still in the queue")
			}
		}
		if st := e.Stats(); st.Overloaded != 2 || st.Failed != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWithoutAQueueTimeoutOnlyTheContextCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(1), WithQueueTimeout(0))
		release := occupy(e)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errLeft)
		defer cancel()
		v := rows(10_000)
		impatient, patient := startMarshal(ctx, e, v), startMarshal(t.Context(), e, v)
		if r := <-impatient; r.err != errLeft {
			t.Errorf("%v, want the context's cause", r.err)
		}
		release()
		if r := <-patient; r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestAContextThatHasEndedCostsNoTurn(t *testing.T) {
	e := made(t, WithWorkers(1), WithQueue(1))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errLeft)
	v := rows(10_000)
	for _, way := range ways {
		if _, err := way.encode(ctx, e, v); err != errLeft {
			t.Errorf("%s: %v, want the context's cause", way.name, err)
		}
	}
	if n, err := e.Encode(ctx, untouched(t), v); n != 0 || err != errLeft {
		t.Errorf("Encode: %d, %v", n, err)
	}
	// Nor is it told that there are too many.
	release := occupy(e)
	queued := startMarshal(t.Context(), e, v)
	waiting(e, 1)
	if _, err := e.Marshal(ctx, v); err != errLeft {
		t.Errorf("with a full queue: %v, want the context's cause", err)
	}
	release()
	if r := <-queued; r.err != nil {
		t.Error(r.err)
	}
}

func TestAContextThatEndsInTheQueueLeavesIt(t *testing.T) {
	e := made(t, WithWorkers(1))
	release := occupy(e)
	ctx, cancel := context.WithCancelCause(t.Context())
	v, others := traceds(10_000), rows(10_000)
	before := startMarshal(t.Context(), e, others)
	waiting(e, 1)
	leaver := startEncode(ctx, e, untouched(t), v)
	waiting(e, 2)
	behind := startMarshal(t.Context(), e, others)
	waiting(e, 3)
	cancel(errLeft)
	if r := <-leaver; r.err != errLeft || r.n != 0 {
		t.Errorf("%d bytes, %v, want the context's cause", r.n, r.err)
	}
	overwrite(v)
	waiting(e, 2)
	release()
	for _, r := range []result{<-before, <-behind} {
		if r.err != nil {
			t.Error(r.err)
		}
		wantOutput(t, "others", r.out, marshal(t, others))
	}
	if st := e.Stats(); st.Failed != 1 || st.Overloaded != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAContextThatEndsWhileAWorkerEncodes(t *testing.T) {
	e := made(t, WithWorkers(1))
	v := traceds(200_000)
	for range 5 {
		ctx, cancel := context.WithCancelCause(t.Context())
		pooled := e.Stats().Pooled
		ended := startMarshal(ctx, e, v)
		until(func() bool { return e.Stats().Pooled > pooled && e.Stats().Waiting == 0 })
		cancel(errLeft)
		if r := <-ended; r.err != errLeft || r.out != nil {
			t.Errorf("%d bytes, %v, want the context's cause", len(r.out), r.err)
		}
		overwrite(v)
	}
}

func TestAContextThatEndsWhileStreaming(t *testing.T) {
	e := made(t, WithWorkers(1), WithHold(0))
	v := traceds(50_000)
	want := marshal(t, v)
	ctx, cancel := context.WithCancelCause(t.Context())
	var out bytes.Buffer
	writes := 0
	n, err := e.Encode(ctx, writerFunc(func(b []byte) (int, error) {
		if writes++; writes == 2 {
			cancel(errLeft)
		}
		return out.Write(b)
	}), v)
	overwrite(v)
	if err != errLeft || writes != 2 || n != int64(out.Len()) || !bytes.HasPrefix(want, out.Bytes()) {
		t.Errorf("%d writes, %d bytes of %d, %v", writes, n, out.Len(), err)
	}
}

func TestAContextThatEndsBetweenQuantaOnTheCallersGoroutine(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			e := made(t, WithQuantum(1000))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			calls := 0
			v := make([]marshalerFunc, 10_000)
			for i := range v {
				v[i] = func() ([]byte, error) {
					if calls++; calls == 3_000 {
						cancel(errLeft)
					}
					return []byte("1"), nil
				}
			}
			if _, err := way.encode(ctx, e, v); err != errLeft {
				t.Errorf("%v, want the context's cause", err)
			}
			if calls > 4_000 {
				t.Errorf("%d marshalers ran, of which the 3000th ended the context", calls)
			}
		})
	}
}

func TestAClientThatNeverReadsHoldsNoWorker(t *testing.T) {
	for _, hold := range []int{0, 64 << 10} {
		t.Run(fmt.Sprintf("hold %d", hold), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := made(t, WithWorkers(1), WithQueue(1), WithQuantum(smallQuantum), WithWriteSize(16<<10), WithHold(hold))
				v := rows(4_000)
				want := marshal(t, v)
				const stalled = 5
				var writers []*stalling
				var ends []<-chan result
				for range stalled {
					w := newStalling()
					writers, ends = append(writers, w), append(ends, startEncode(t.Context(), e, w, v))
					<-w.begun
					synctest.Wait() // until it is parked, and out of the queue
				}
				if st := e.Stats(); st.Waiting != 0 || e.Backlog() != 0 {
					t.Errorf("%+v, backlog %d", st, e.Backlog())
				}
				for _, way := range ways {
					b, err := way.encode(t.Context(), e, v)
					if err != nil {
						t.Error(err)
					}
					wantOutput(t, way.name, b, want)
				}
				for i, w := range writers {
					if r := w.pass(ends[i]); r.err != nil {
						t.Error(r.err)
					}
					wantOutput(t, "stalled", w.Bytes(), want)
				}
			})
		})
	}
}

func TestWhatAWriterDoesIsNotTheEncodersFault(t *testing.T) {
	failures := []struct {
		name string
		fail func([]byte) (int, error)
		ok   func(result) bool
	}{
		{"an error", func([]byte) (int, error) { return 0, errBroken },
			func(r result) bool { return r.err == errBroken }},
		{"an error after some bytes", func([]byte) (int, error) { return 7, errBroken },
			func(r result) bool { return r.err == errBroken }},
		{"a short write", func([]byte) (int, error) { return 7, nil },
			func(r result) bool { return r.err == io.ErrShortWrite }},
		{"a panic", func([]byte) (int, error) { panic(errBroken) },
			func(r result) bool { return r.panicked == errBroken }},
		{"runtime.Goexit", func([]byte) (int, error) { runtime.Goexit(); return 0, nil },
			func(r result) bool { return r.exited }},
	}
	values := []struct {
		name string
		made func() (v any, overwritten func())
	}{
		{"on the pool", func() (any, func()) {
			v := traceds(4_000)
			return v, func() { overwrite(v) }
		}},
		{"on the caller's goroutine", func() (any, func()) {
			v := append([]any{marshalerFunc(func() ([]byte, error) { return []byte("1"), nil })}, anys(4_000)...)
			for i := range 10 { // one ahead at all times
				v[400*i] = v[0]
			}
			return v, func() { clear(v[1:]) }
		}},
	}
	for _, f := range failures {
		for _, value := range values {
			for _, hold := range []int{0, 100 << 10} {
				for _, last := range []int{1, 2, 6} {
					t.Run(fmt.Sprintf("%s in write %d, hold %d, %s", f.name, last, hold, value.name), func(t *testing.T) {
						e := made(t, WithWorkers(1), WithQuantum(1<<10), WithWriteSize(16<<10), WithHold(hold))
						v, overwritten := value.made()
						want := marshal(t, v)
						var out bytes.Buffer
						writes := 0
						r := <-startEncode(t.Context(), e, writerFunc(func(b []byte) (int, error) {
							if writes++; writes < last {
								return out.Write(b)
							}
							n, err := f.fail(b)
							out.Write(b[:n])
							return n, err
						}), v)
						overwritten()
						if !f.ok(r) {
							t.Errorf("%+v", r)
						}
						if writes != last {
							t.Errorf("%d writes, although number %d failed", writes, last)
						}
						if returned := r.panicked == nil && !r.exited; returned && r.n != int64(out.Len()) {
							t.Errorf("returned %d, the writer took %d bytes", r.n, out.Len())
						}
						if !bytes.HasPrefix(want, out.Bytes()) {
							t.Errorf("%d bytes that are not the output's first", out.Len())
						}
						if st := e.Stats(); st.Failed != 1 || st.Values != 1 || st.Bytes != int64(out.Len()) {
							t.Errorf("%+v, although %d bytes were written and the encode failed", st, out.Len())
						}
						wantIdle(t, e)
						// The encoder is as good as new.
						again, err := e.Marshal(t.Context(), v)
						if err != nil {
							t.Error(err)
						}
						wantOutput(t, "afterwards", again, marshal(t, v))
					})
				}
			}
		}
	}
}

// places are where a marshaler can be in a value, which is large if a quantum
// is smallQuantum.
var places = []struct {
	name string
	put  func(json.Marshaler) any
}{
	{"alone", func(m json.Marshaler) any { return m }},
	{"in the first quantum", func(m json.Marshaler) any { return append(anys(10), m) }},
	{"far into a large value", func(m json.Marshaler) any {
		return struct {
			Rows []row
			M    json.Marshaler
			More []row
		}{rows(1_000), m, rows(1_000)}
	}},
	{"far into a large value, behind any", func(m json.Marshaler) any { return append(append(anys(1_000), m), anys(100)...) }},
	{"behind any in a map in a pointer", func(m json.Marshaler) any {
		return &map[string]any{"a": rows(1_000), "b": []any{map[string]any{"c": m}}, "c": rows(1_000)}
	}},
	{"between its like", func(m json.Marshaler) any {
		list := make([]json.Marshaler, 3_000)
		for i := range list {
			list[i] = marshalerFunc(func() ([]byte, error) { return []byte("[1]"), nil })
		}
		list[len(list)-1] = m
		return list
	}},
}

const smallQuantum = 4 << 10

func anys(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = "a text of some length that takes its place"
	}
	return out
}

func TestWhatAMarshalerDoesSurfacesInTheCallersGoroutine(t *testing.T) {
	outcomes := []struct {
		name string
		m    marshalerFunc
		ok   func(result) bool
	}{
		{"an error", func() ([]byte, error) { return nil, errBroken },
			func(r result) bool {
				var m *json.MarshalerError
				return errors.As(r.err, &m) && errors.Is(r.err, errBroken)
			}},
		{"a panic", func() ([]byte, error) { panic(errBroken) },
			func(r result) bool { return r.panicked == errBroken }},
		{"a panic with nil", func() ([]byte, error) { panic(nil) },
			func(r result) bool { _, ok := r.panicked.(*runtime.PanicNilError); return ok }},
		{"a panic at run time", func() ([]byte, error) { var none []byte; return none[len(none):1], nil },
			func(r result) bool { _, ok := r.panicked.(runtime.Error); return ok }},
		{"runtime.Goexit", func() ([]byte, error) { runtime.Goexit(); return nil, nil },
			func(r result) bool { return r.exited }},
	}
	for _, o := range outcomes {
		for _, place := range places {
			for _, way := range ways {
				t.Run(o.name+" "+place.name+" "+way.name, func(t *testing.T) {
					e := made(t, WithWorkers(1), WithQuantum(smallQuantum), WithWriteSize(smallQuantum))
					r := <-run(func() ([]byte, int64, error) {
						b, err := way.encode(t.Context(), e, place.put(o.m))
						return b, 0, err
					})
					if !o.ok(r) {
						t.Errorf("%v, panic %v, Goexit %v", r.err, r.panicked, r.exited)
					}
					if st := e.Stats(); st.Failed != 1 || st.Values != 1 {
						t.Errorf("%+v", st)
					}
					wantIdle(t, e)
					if _, err := e.Marshal(t.Context(), rows(1_000)); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// watched are all kinds of methods that encoding may call.
type (
	watchedKey  struct{ id string }
	watchedZero struct{ N int }
	watchedText struct{}
	watchedAddr struct{ N int }
)

// callers is where the methods leave the goroutines they were called on.
var callers struct {
	sync.Mutex
	ids map[string]int
}

func called() {
	callers.Lock()
	defer callers.Unlock()
	callers.ids[goid()]++
}

func (k watchedKey) MarshalText() ([]byte, error)   { called(); return []byte(k.id), nil }
func (watchedZero) IsZero() bool                    { called(); return false }
func (watchedText) MarshalText() ([]byte, error)    { called(); return []byte("text"), nil }
func (w *watchedAddr) MarshalJSON() ([]byte, error) { called(); return []byte("1"), nil }

func TestUsersMethodsRunOnTheCallersGoroutine(t *testing.T) {
	values := map[string]any{
		"IsZero": struct {
			A []row
			B []struct {
				Z watchedZero `json:",omitzero"`
			}
		}{rows(1_000), make([]struct {
			Z watchedZero `json:",omitzero"`
		}, 1_000)},
		"keys":              []any{rows(1_000), map[watchedKey]int{{"a"}: 1, {"b"}: 2}},
		"keys at once":      []any{strings.Repeat("x", smallQuantum-len(`["",{`)), map[watchedKey]int{{"a"}: 1, {"b"}: 2}},
		"texts":             []any{rows(1_000), make([]watchedText, 1_000)},
		"pointer receivers": []any{rows(1_000), make([]watchedAddr, 1_000), &watchedAddr{}},
		"late behind any in any": []any{rows(1_000), []any{anys(1_000), map[string]any{
			"a": anys(1_000), "b": [1]any{watchedText{}}}}, rows(1_000)},
	}
	for _, place := range places {
		values[place.name] = place.put(marshalerFunc(func() ([]byte, error) { called(); return []byte("2"), nil }))
	}
	for name, v := range values {
		want := func() []byte { callers.ids = map[string]int{}; return marshal(t, v) }()
		calls := callers.ids[goid()]
		for _, way := range ways {
			t.Run(name+" "+way.name, func(t *testing.T) {
				e := made(t, WithWorkers(4), WithQuantum(smallQuantum), WithWriteSize(smallQuantum))
				callers.ids = map[string]int{}
				got, err := way.encode(t.Context(), e, v)
				if err != nil {
					t.Fatal(err)
				}
				wantOutput(t, way.name, got, want)
				if len(callers.ids) != 1 || callers.ids[goid()] < calls {
					t.Errorf("called on %v, want %d calls on %s", callers.ids, calls, goid())
				}
			})
		}
	}
}

func TestAMarshalerMayUseTheEncoderWhoeverElseDoes(t *testing.T) {
	e := made(t, WithWorkers(1), WithQuantum(smallQuantum))
	inner := rows(300)
	nested := marshalerFunc(func() ([]byte, error) { return e.Marshal(t.Context(), inner) })
	outer := []any{rows(300), nested, rows(300), nested}
	text := json.RawMessage(marshal(t, inner))
	want := marshal(t, []any{rows(300), text, rows(300), text})
	var ends []<-chan result
	for range 8 {
		ends = append(ends, startMarshal(t.Context(), e, outer))
	}
	for _, end := range ends {
		r := <-end
		if r.err != nil {
			t.Error(r.err)
		}
		wantOutput(t, "nested", r.out, want)
	}
}

func TestManyValuesOnTheirCallersGoroutinesAreABacklog(t *testing.T) {
	e := made(t, WithWorkers(1), WithQuantum(smallQuantum))
	one := marshalerFunc(func() ([]byte, error) { return []byte("1"), nil })
	ctx, cancel := context.WithCancelCause(t.Context())
	var ends []<-chan result
	for range 5 {
		ends = append(ends, startEncode(ctx, e, io.Discard, []any{rows(1_000), one, make([]struct{}, 1<<30)}))
	}
	until(func() bool { return e.Stats().Inline == 5 && e.Backlog() > 0 })
	cancel(errLeft)
	for _, end := range ends {
		if r := <-end; r.err != errLeft {
			t.Errorf("%v, want the context's cause", r.err)
		}
	}
}

func TestMarshalersThatWaitAreNoBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(2))
		goOn := make(chan struct{})
		v := []any{rows(5_000), marshalerFunc(func() ([]byte, error) { <-goOn; return []byte("1"), nil })}
		var ends []<-chan result
		for range 5 {
			ends = append(ends, startMarshal(t.Context(), e, v))
		}
		synctest.Wait()
		if st := e.Stats(); st.Inline != 5 || st.Waiting != 0 || e.Backlog() != 0 {
			t.Errorf("%+v, backlog %d, want none", st, e.Backlog())
		}
		close(goOn)
		for _, end := range ends {
			if r := <-end; r.err != nil {
				t.Error(r.err)
			}
		}
	})
}

func TestAStalledWriterOnTheCallersGoroutineIsNoBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(1), WithHold(0), WithQuantum(smallQuantum), WithWriteSize(smallQuantum))
		var v []any
		for range 200 {
			v = append(append(v, marshalerFunc(func() ([]byte, error) { return []byte("1"), nil })), anys(50)...)
		}
		var writers []*stalling
		var ends []<-chan result
		for range 3 {
			w := newStalling()
			writers, ends = append(writers, w), append(ends, startEncode(t.Context(), e, w, v))
			for range 2 { // the second at the latest is the caller's own
				<-w.begun
				synctest.Wait()
				if st := e.Stats(); st.Inline != 0 || st.Waiting != 0 || e.Backlog() != 0 {
					t.Errorf("%+v, backlog %d", st, e.Backlog())
				}
				w.goOn <- struct{}{}
			}
			<-w.begun
		}
		for i, w := range writers {
			if r := w.pass(ends[i]); r.err != nil {
				t.Error(r.err)
			}
			wantOutput(t, "stalled", w.Bytes(), marshal(t, v))
		}
	})
}

func TestCloseWaitsForWhatIsBeingEncodedAndRefusesWhatComes(t *testing.T) {
	inMarshaler := make(chan struct{})
	blocked := []any{rows(5_000), marshalerFunc(func() ([]byte, error) { <-inMarshaler; return []byte("1"), nil })}
	tests := []struct {
		name  string
		start func(*testing.T, *Encoder) (end func() result)
	}{
		{"a job that waits for its client", func(t *testing.T, e *Encoder) func() result {
			w := newStalling()
			r := startEncode(t.Context(), e, w, rows(50_000))
			<-w.begun
			return func() result { return w.pass(r) }
		}},
		{"a job that waits for a worker", func(t *testing.T, e *Encoder) func() result {
			release := occupy(e)
			r := startMarshal(t.Context(), e, rows(50_000))
			synctest.Wait()
			return func() result { release(); return <-r }
		}},
		{"a value on its caller's goroutine", func(t *testing.T, e *Encoder) func() result {
			inMarshaler = make(chan struct{})
			r := startMarshal(t.Context(), e, blocked)
			synctest.Wait()
			return func() result { close(inMarshaler); return <-r }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := made(t, WithWorkers(1), WithQueueTimeout(0))
				end := tt.start(t, e)

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := e.Close(ctx); err != context.DeadlineExceeded {
					t.Errorf("Close: %v, although a job is left", err)
				}
				const closers = 5
				closed := make(chan error, closers)
				for range closers {
					go func() { closed <- e.Close(context.Background()) }()
				}
				synctest.Wait()
				if len(closed) != 0 {
					t.Errorf("Close: %v, although a job is left", <-closed)
				}
				v := rows(5_000)
				if _, err := e.Marshal(t.Context(), v); err != ErrClosed {
					t.Errorf("Marshal: %v, want ErrClosed", err)
				}
				if n, err := e.Encode(t.Context(), untouched(t), v); n != 0 || err != ErrClosed {
					t.Errorf("Encode: %d, %v, want ErrClosed", n, err)
				}
				if b, err := e.MarshalInline(t.Context(), v); err != nil || !bytes.Equal(b, marshal(t, v)) {
					t.Errorf("MarshalInline: %d bytes, %v", len(b), err)
				}
				if b, err := e.Marshal(t.Context(), v[:10]); err != nil || !bytes.Equal(b, marshal(t, v[:10])) {
					t.Errorf("Marshal of a small value: %d bytes, %v", len(b), err)
				}

				if r := end(); r.err != nil {
					t.Errorf("what was being encoded: %v", r.err)
				}
				for range closers {
					if err := <-closed; err != nil {
						t.Errorf("Close: %v", err)
					}
				}
				// The bubble would not end if the workers did not.
			})
		})
	}
}

func TestCloseWithNothingToWaitForIgnoresTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // a select between two that are ready would choose at random
		e := made(t)
		if err := e.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyCloseAtOnceAmongManyEncodes(t *testing.T) {
	v := rows(3_000)
	want := marshal(t, v)
	for range 8 {
		e := made(t, WithWorkers(2))
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if i%2 == 0 {
					if err := e.Close(context.Background()); err != nil {
						t.Error(err)
					}
					return
				}
				switch b, err := e.Marshal(t.Context(), v); {
				case err == nil:
					wantOutput(t, "before Close", b, want)
				case err != ErrClosed:
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestMarshalMovesALargeSliceOnce(t *testing.T) {
	type record struct {
		ID         int64
		Name, Mail string
		Tags       []string
		Next       *int
	}
	v := make([]record, 40_000)
	for i := range v {
		v[i] = record{123456789, "somebody's name", "somebody@example.org", []string{"one", "two"}, nil}
	}
	e := made(t, WithWorkers(1))
	want := marshal(t, v)
	for _, way := range ways[:2] {
		if _, err := way.encode(t.Context(), e, v[:5_000]); err != nil { // fills the pools
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b, err := way.encode(t.Context(), e, v)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		wantOutput(t, way.name, b, want)
		if over := float64(cap(b)) / float64(len(b)); over > 1.10 {
			t.Errorf("%s: capacity %d for %d bytes", way.name, cap(b), len(b))
		}
		if got := after.TotalAlloc - before.TotalAlloc; !raced && got > uint64(len(b))*3/2 {
			t.Errorf("%s: allocated %d bytes for a result of %d", way.name, got, len(b))
		}
	}
}

func TestARefusedEncodeLeavesNoGarbage(t *testing.T) {
	if raced {
		t.Skip("counts what is not taken from a sync.Pool")
	}
	e := made(t, WithWorkers(1), WithQueue(1))
	release := occupy(e)
	v := rows(10_000)
	queued := startMarshal(t.Context(), e, v)
	waiting(e, 1)
	const refused = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range refused {
		if _, err := e.Encode(t.Context(), untouched(t), v); err != ErrOverloaded {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	release()
	<-queued
	if got := (after.TotalAlloc - before.TotalAlloc) / refused; got > DefaultQuantum {
		t.Errorf("each of those refused allocated %d bytes", got)
	}
}

func TestAWorkersPanicSurfacesInTheCallersGoroutine(t *testing.T) {
	e := made(t)
	// A cursor that is in a frame without a plan: what a fault of ours, or
	// someone who changes the value meanwhile, might do.
	j := e.newJob(e.cursor(rows(1)), e.firsts.get())
	defer j.free()
	j.cursor.started, j.cursor.stack = true, []frame{{}}
	r := <-run(func() ([]byte, int64, error) { return nil, 0, e.onPool(t.Context(), j, nil) })
	if _, ok := r.panicked.(runtime.Error); !ok {
		t.Errorf("%+v", r)
	}
	if _, err := e.Marshal(t.Context(), rows(5_000)); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesOptionsOutOfRange(t *testing.T) {
	tests := []struct {
		option Option
		want   string
	}{
		{WithWorkers(0), "WithWorkers(0)"},
		{WithQuantum(0), "WithQuantum(0)"},
		{WithWriteSize(0), "WithWriteSize(0)"},
		{WithHold(-1), "WithHold(-1)"},
		{WithQueue(0), "WithQueue(0)"},
		{WithQueueTimeout(-1), "WithQueueTimeout(-1ns)"},
		{WithQueueBytes(-1), "WithQueueBytes(-1)"},
		{WithHeldLimit(-1), "WithHeldLimit(-1)"},
	}
	for _, tt := range tests {
		if e, err := New(tt.option); err == nil || e != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, %v, want an error about %s", e, err, tt.want)
		}
	}
}
