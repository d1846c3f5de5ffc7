package encoder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRing(t *testing.T) {
	var r ring
	var want []*job
	jobs := make([]*job, 10)
	for i := range jobs {
		jobs[i] = new(job)
	}
	for step := range 10_000 {
		j := jobs[rand.IntN(len(jobs))]
		switch i := slices.Index(want, j); {
		case i < 0:
			r.push(j)
			want = append(want, j)
		case rand.IntN(2) == 0:
			r.remove(j)
			want = slices.Delete(want, i, i+1)
		default:
			if got := r.pop(); got != want[0] {
				t.Fatalf("step %d: pop gave job %d of the queue", step, slices.Index(want, got))
			}
			want = want[1:]
		}
		var forth, back []*job
		for j := r.head; j != nil; j = j.next {
			forth = append(forth, j)
		}
		for j := r.tail; j != nil; j = j.prev {
			back = append(back, j)
		}
		slices.Reverse(back)
		if !slices.Equal(forth, want) || !slices.Equal(back, want) || r.n.Load() != int64(len(want)) {
			t.Fatalf("step %d: %d jobs one way, %d the other, %d counted, want %d", step, len(forth), len(back), r.n.Load(), len(want))
		}
	}
	for range want {
		r.pop()
	}
	if r.pop() != nil {
		t.Error("a job in an empty queue")
	}
}

// queuedJob is a large value as Marshal gives it to the pool.
func queuedJob(t testing.TB, e *Encoder, v any) *job {
	j := e.newJob(e.cursor(v), e.firsts.get())
	j.whole, j.segments, j.wake = new(whole), e.wholes, make(chan struct{}, 1)
	t.Cleanup(j.free)
	return j
}

func TestABurstOnAnIdlePoolIsNotRefusedWhileThereAreWorkers(t *testing.T) {
	const workers, queue = 4, 1
	e := made(t, WithWorkers(workers), WithQueue(queue))
	v := rows(50_000)
	for n := range workers + queue {
		j := queuedJob(t, e, v)
		if err := e.pool.begin(j); err != nil {
			t.Errorf("job %d of a burst: %v, with %d workers and room for %d to wait", n+1, err, workers, queue)
			continue
		}
		defer e.pool.end(j)
	}
}

func TestAJobIsEncodedEvenIfAntsRefusesIt(t *testing.T) {
	e := made(t, WithWorkers(2))
	e.pool.ants.Release()
	v := rows(5_000)
	want := marshal(t, v)
	for range 10 {
		b, err := e.Marshal(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		wantOutput(t, "without ants", b, want)
	}
}

func TestWorkersLeaveWhenThereIsNothingToDo(t *testing.T) {
	e := made(t, WithWorkers(3))
	v := rows(3_000)
	for range 8 {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, err := e.Marshal(t.Context(), v); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		until(func() bool {
			e.pool.mu.Lock()
			defer e.pool.mu.Unlock()
			return e.pool.workers == 0 && e.pool.starting == 0
		})
	}
}

func TestAJobThatIsGivenUpIsReadNoMoreWhetherOthersWaitOrNot(t *testing.T) {
	for jobs := 1; jobs <= 4; jobs++ {
		t.Run(fmt.Sprintf("%d jobs", jobs), func(t *testing.T) {
			e := made(t, WithWorkers(1), WithQuantum(1<<10))
			for range 5 {
				var all []*job
				for range jobs {
					j := queuedJob(t, e, traceds(10_000))
					if err := e.pool.begin(j); err != nil {
						t.Fatal(err)
					}
					all = append(all, j)
				}
				until(func() bool {
					e.pool.mu.Lock()
					defer e.pool.mu.Unlock()
					return all[0].began
				})
				for _, j := range all {
					e.pool.end(j)
					overwrite(j.cursor.root.([]traced))
					e.pool.mu.Lock()
					if j.state != parked {
						t.Errorf("after it was given up its state is %d", j.state)
					}
					e.pool.mu.Unlock()
				}
			}
		})
	}
}

func TestAJobThatIsGivenUpEndsWithItsTurn(t *testing.T) {
	e := made(t, WithWorkers(1), WithQuantum(1<<10))
	v := rows(10_000) // 800 turns
	is := func(j *job, s state, then func()) bool {
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		if j.state != s {
			return false
		}
		then()
		return true
	}
	for range 100 { // or it was in its last turn, or ended while we slept
		j := queuedJob(t, e, v)
		if err := e.pool.begin(j); err != nil {
			t.Fatal(err)
		}
		until(func() bool {
			return is(j, running, func() { j.cancelled = true }) || is(j, parked, func() {})
		})
		until(func() bool { return is(j, parked, func() {}) })
		e.pool.end(j)
		if !j.done {
			return
		}
	}
	t.Error("100 jobs went on to their end")
}

func TestAJobThatHasHadATurnIsNotWithdrawn(t *testing.T) {
	e := made(t, WithWorkers(1))
	defer occupy(e)()
	fresh, begun := queuedJob(t, e, rows(5_000)), queuedJob(t, e, rows(5_000))
	for _, j := range []*job{fresh, begun} {
		if err := e.pool.begin(j); err != nil {
			t.Fatal(err)
		}
		defer e.pool.end(j)
	}
	begun.began = true // as after a turn, in the queue for the next
	if e.pool.withdraw(begun) {
		t.Error("a job that has had a turn was withdrawn")
	}
	if !e.pool.withdraw(fresh) {
		t.Error("a job that has had none was not withdrawn")
	}
	if n := e.Stats().Waiting; n != 1 {
		t.Errorf("%d jobs in the queue, want 1", n)
	}
}

func TestATimeoutInTheQueueThatRacesWithTheFirstTurn(t *testing.T) {
	e := made(t, WithWorkers(2), WithQuantum(1<<10), WithQueueTimeout(20*time.Microsecond))
	v := rows(60)
	want := marshal(t, v)
	var overloaded atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				switch b, err := e.Marshal(t.Context(), v); {
				case err == nil:
					wantOutput(t, "in time", b, want)
				case errors.Is(err, ErrOverloaded):
					overloaded.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if st := e.Stats(); st.Values != 800 || st.Overloaded != overloaded.Load() || st.Failed != 0 {
		t.Errorf("%+v, want %d overloaded", st, overloaded.Load())
	}
}

// TestInvariantsUnderLoad has many goroutines encode small and large values,
// of which many are given up, refused or fail in their writer.
func TestInvariantsUnderLoad(t *testing.T) {
	const workers, clients, queue = 2, 64, 48
	requests := 10_000
	if testing.Short() {
		requests = 1_000
	}
	e := made(t, WithWorkers(workers), WithQueue(queue), WithQueueTimeout(50*time.Millisecond),
		WithQuantum(1<<10), WithWriteSize(4<<10), WithHold(8<<10))
	total := &tally{sample: make(chan struct{}, 1)}
	var left atomic.Int64
	left.Store(int64(requests))
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := newClient(t, e, total)
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				if n%50 == 0 {
					select {
					case total.sample <- struct{}{}:
					default:
					}
				}
				c.request()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	buf := make([]byte, 8<<20)
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-total.sample:
			if n := turns(buf); n > workers {
				t.Errorf("%d turns at the same time, want at most %d", n, workers)
			}
		}
	}
	got := e.Stats()
	want := Stats{Values: int64(requests), Bytes: total.bytes.Load(), Overloaded: total.overloaded.Load(),
		Failed: total.failed.Load(), Pooled: got.Pooled, Workers: workers, Numbers: got.Numbers}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	t.Logf("%+v", got)
}

// tally counts what clients see.
type tally struct {
	bytes, overloaded, failed atomic.Int64
	sample                    chan struct{} // one in 50 requests says that it is time to look
}

// client makes requests with values of its own, which it overwrites after each.
type client struct {
	t      *testing.T
	e      *Encoder
	total  *tally
	values [][]traced
	mixed  []any // has to go on in the caller's goroutine half-way
	wants  [][]byte
}

func newClient(t *testing.T, e *Encoder, total *tally) *client {
	c := &client{t: t, e: e, total: total}
	for _, n := range []int{3, 3, 3, 3, 100, 150, 1_500} {
		v := traceds(n)
		c.values = append(c.values, v)
		c.wants = append(c.wants, marshal(t, v))
	}
	one := marshalerFunc(func() ([]byte, error) { return []byte("1"), nil })
	c.mixed = append(append(anys(100), one), anys(200)...)
	c.wants = append(c.wants, marshal(t, c.mixed))
	return c
}

func (c *client) request() {
	i := rand.IntN(len(c.wants))
	var v any = c.mixed
	if i < len(c.values) {
		v = c.values[i]
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	w := &fickle{cancel: func() { cancel(errLeft) }}
	canceller := make(chan struct{})
	switch rand.IntN(10) {
	case 0:
		cancel(errLeft)
	case 1, 2:
		after := rand.IntN(50)
		go func() {
			defer close(canceller)
			for range after {
				runtime.Gosched()
			}
			cancel(errLeft)
		}()
		defer func() { <-canceller }()
	case 3:
		w.cancelAt = 1 + rand.IntN(4)
	case 4:
		w.failAt = 1 + rand.IntN(4)
	}
	var n int64
	var out []byte
	var err error
	if rand.IntN(2) == 0 {
		out, err = c.e.Marshal(ctx, v)
		n = int64(len(out))
	} else {
		n, err = c.e.Encode(ctx, w, v)
		out = w.out.Bytes()
	}
	if i < len(c.values) {
		text := c.values[i][0].S
		for k := range c.values[i] {
			c.values[i][k].S = text
		}
	}
	c.total.bytes.Add(n)
	switch {
	case err == nil:
		wantOutput(c.t, "encoded", out, c.wants[i])
	case err == ErrOverloaded:
		c.total.overloaded.Add(1)
		if len(out) != 0 {
			c.t.Errorf("%d bytes were written before ErrOverloaded", len(out))
		}
		// Or the others would get no further for all the refusals.
		for range 30 {
			runtime.Gosched()
		}
	case err == errLeft || err == errBroken:
		c.total.failed.Add(1)
	default:
		c.t.Error(err)
	}
	if n != int64(len(out)) || !bytes.HasPrefix(c.wants[i], out) {
		c.t.Errorf("returned %d; the %d bytes written are not the first of %d", n, len(out), len(c.wants[i]))
	}
}

// fickle is a writer that is slow at times, ends the context in one Write, or
// fails in one.
type fickle struct {
	out              bytes.Buffer
	cancel           func()
	cancelAt, failAt int
	writes           int
}

func (w *fickle) Write(b []byte) (int, error) {
	w.writes++
	for range rand.IntN(4) {
		runtime.Gosched()
	}
	switch w.writes {
	case w.cancelAt:
		w.cancel()
	case w.failAt:
		n, _ := w.out.Write(b[:len(b)/2])
		return n, errBroken
	}
	return w.out.Write(b)
}
