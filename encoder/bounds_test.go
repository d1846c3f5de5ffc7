package encoder

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheQueueIsBoundedByBytes(t *testing.T) {
	large, small := rows(20_000), rows(2_000)
	size := int64(len(marshal(t, large)))
	e := made(t, WithWorkers(1), WithQueueBytes(size*3/2))
	release := occupy(e)
	first := startMarshal(t.Context(), e, large)
	waiting(e, 1)
	for _, way := range ways {
		if !way.pooled {
			continue
		}
		if b, err := way.encode(t.Context(), e, large); !errors.Is(err, ErrOverloaded) || len(b) > 0 {
			t.Errorf("%s of as much again: %d bytes, %v, want ErrOverloaded", way.name, len(b), err)
		}
	}
	if n, err := e.Encode(t.Context(), untouched(t), large); n != 0 || !errors.Is(err, ErrOverloaded) {
		t.Errorf("Encode: %d bytes, %v", n, err)
	}
	second := startMarshal(t.Context(), e, small)
	waiting(e, 2)
	release()
	for _, r := range []result{<-first, <-second} {
		if r.err != nil {
			t.Error(r.err)
		}
	}
	if st := e.Stats(); st.Overloaded != 3 {
		t.Errorf("%+v", st)
	}
}

func TestOneThatWaitsAloneIsNotTooLarge(t *testing.T) {
	e := made(t, WithWorkers(1), WithQueueBytes(1), WithHeldLimit(1))
	release := occupy(e)
	v := rows(5_000)
	done := startMarshal(t.Context(), e, v)
	waiting(e, 1)
	release()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	wantOutput(t, "alone", r.out, marshal(t, v))
}

func TestEstimates(t *testing.T) {
	type page struct {
		Next  string
		Items []row
		Total int
	}
	tests := []struct {
		name string
		v    any
	}{
		{"a slice", rows(8_000)},
		{"a slice in an envelope", page{Items: rows(8_000)}},
		{"a slice of slices", [][]row{rows(8_000), rows(8_000)}},
		{"envelopes in a slice", []page{{Items: rows(3_000)}, {Items: rows(3_000)}, {Items: rows(3_000)}}},
		{"interfaces", anys(50_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := made(t)
			want := len(marshal(t, tt.v))
			first := e.firsts.get()
			defer first.free()
			c := e.cursor(tt.v)
			for done := false; !done; {
				got := len(first.buf)
				if got > 0 { // after each quantum of which there is more
					if n := got + c.ahead(got); n < want*3/4 || n > want*4/3 {
						t.Fatalf("after %d bytes: estimated %d, want %d", got, n, want)
					}
				}
				var err error
				if done, err = c.fill(first); err != nil {
					t.Fatal(err)
				}
			}
			if n := c.ahead(want); n != 0 {
				t.Errorf("at the end: %d bytes are estimated to follow", n)
			}
		})
	}
}

// TestTurnsGoRound is the worker itself, and counts.
func TestTurnsGoRound(t *testing.T) {
	const long, short = 16, 4
	e := made(t, WithWorkers(1), WithQuantum(1<<10))
	defer occupy(e)()
	p := e.pool
	var all []*job
	since := map[*job]map[*job]int{} // turns of others since a job's last one
	begin := func(v any) {
		j := queuedJob(t, e, v)
		if err := p.begin(j); err != nil {
			t.Fatal(err)
		}
		all = append(all, j)
		since[j] = map[*job]int{}
	}
	for range long {
		begin(rows(1_000))
	}
	for turn := range 700 {
		if turn%100 == 10 && len(all) < long+short {
			begin(rows(100))
		}
		next := p.queue.pop()
		if next == nil {
			break
		}
		for _, j := range all {
			if j == next {
				clear(since[j])
				continue
			}
			if since[j][next]++; j.state == queued && j.short == next.short && since[j][next] > 1 {
				t.Fatalf("turn %d: a job has %d turns while another waits for one", turn, since[j][next])
			}
		}
		before, open := next.written, next.open
		turnOf(p, next)
		if got := next.written - before; got < 1<<10/2 || got > 2<<10 {
			if !next.done && next.open == open { // it is not being moved
				t.Fatalf("turn %d: %d bytes", turn, got)
			}
		}
	}
	for _, j := range all {
		p.end(j)
	}
	for _, j := range all[long:] {
		if !j.done {
			t.Error("a short one has not ended")
		}
	}
}

// turnOf gives j, which has left the queue, a turn.
func turnOf(p *pool, j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j.state, j.began = running, true
	if p.turn(j); j.state == running {
		p.enqueue(j) // it was alone
	}
}

// Those that are nearly done take every second turn, however many they are and
// however many others wait.
func TestWhatIsNearlyDoneTakesEverySecondTurn(t *testing.T) {
	e := made(t, WithWorkers(1), WithQuantum(1<<10))
	defer occupy(e)()
	p := e.pool
	var all []*job
	begin := func(v any) *job {
		c, first := e.cursor(v), e.firsts.get()
		if done, err := c.fill(first); done || err != nil {
			t.Fatalf("ended in its first quantum: %v, %v", done, err)
		}
		j := e.newJob(c, first)
		j.whole, j.segments, j.wake = new(whole), e.wholes, make(chan struct{}, 1)
		t.Cleanup(j.free)
		if err := p.begin(j); err != nil {
			t.Fatal(err)
		}
		all = append(all, j)
		return j
	}
	for range 16 {
		if begin(rows(1_000)); all[len(all)-1].short {
			t.Fatal("a long one counts as nearly done")
		}
	}
	short := begin(rows(35))
	if size := short.written + short.rest; !short.short || size < 1<<10 || size > 3<<10 {
		t.Fatalf("nearly done: %v, of %d bytes in all", short.short, size)
	}
	if n, of := e.NearlyDone(), e.Backlog(); n != 1 || of != 17 {
		t.Fatalf("%d nearly done, of a backlog of %d; want 1 of 17", n, of)
	}
	long, began := 0, 0 // turns in a row, and when the short one began
	for turn := range 100 {
		next := p.queue.pop()
		if long++; next == short {
			long = 0
		} else if next.short {
			t.Fatalf("turn %d: another is nearly done", turn)
		}
		if long > 1 {
			t.Fatalf("turn %d: a second one in a row for those that have long to go", turn)
		}
		if turnOf(p, next); next.done {
			if next != short || turn-began > 2*(nearly+2) { // estimates may be off by a quantum
				t.Fatalf("turn %d: ended, and was nearly done: %v", turn, next == short)
			}
			short, long, began = begin(rows(35)), 0, turn
			if turn > 50 {
				break
			}
		} else if len(next.ready) > 0 {
			p.take(next)
		}
	}
	for _, j := range all {
		p.end(j)
	}
}

func TestTheLedgerCountsWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(1), WithHold(0), WithQuantum(smallQuantum), WithWriteSize(16<<10))
		v := rows(4_000)
		const stalled = 5
		var writers []*stalling
		var ends []<-chan result
		for n := range stalled {
			w := newStalling()
			writers, ends = append(writers, w), append(ends, startEncode(t.Context(), e, w, v))
			<-w.begun
			synctest.Wait() // until it is parked
			if got, want := e.Stats().Held, int64(n+1)*e.Held(); got != want {
				t.Errorf("%d streams whose clients do not read hold %d bytes, want %d", n+1, got, want)
			}
		}
		for i, w := range writers {
			if r := w.pass(ends[i]); r.err != nil {
				t.Error(r.err)
			}
		}
		// A small value in its client's way is held too.
		w := newStalling()
		end := startEncode(t.Context(), e, w, rows(100))
		if n, got := <-w.begun, e.Stats().Held; got < int64(n) {
			t.Errorf("%d bytes held while %d are written", got, n)
		}
		w.goOn <- struct{}{}
		<-end
		// And a result that is gathered.
		release := occupy(e)
		done := startMarshal(t.Context(), e, v)
		synctest.Wait()
		if got := e.Stats().Held; got < smallQuantum || got > 8*smallQuantum {
			t.Errorf("%d bytes held by one that waits, want its first quantum of %d", got, smallQuantum)
		}
		release()
		<-done
	})
}

func TestWhoFindsNoRoomForItsOutputWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithWorkers(1), WithQueue(2), WithQueueTimeout(time.Second), WithHeldLimit(1),
			WithHold(0), WithQuantum(smallQuantum), WithWriteSize(16<<10))
		v := rows(4_000)
		w := newStalling()
		inside := startEncode(t.Context(), e, w, v)
		<-w.begun
		synctest.Wait()
		// As long as it may.
		begin := time.Now()
		if n, err := e.Encode(t.Context(), untouched(t), v); n != 0 || !errors.Is(err, ErrOverloaded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if waited := time.Since(begin); waited != time.Second {
			t.Errorf("after %v", waited)
		}
		// As long as its context.
		ctx, cancel := context.WithCancelCause(t.Context())
		leaver := startMarshal(ctx, e, v)
		patient := startMarshal(t.Context(), e, v)
		synctest.Wait()
		if st := e.Stats(); st.Waiting != 2 || e.Backlog() != 0 {
			t.Errorf("%+v, backlog %d; they wait, but for no processor", st, e.Backlog())
		}
		if _, err := e.Marshal(t.Context(), v); !errors.Is(err, ErrOverloaded) {
			t.Errorf("with a full queue: %v", err)
		}
		cancel(errLeft)
		if r := <-leaver; r.err != errLeft {
			t.Errorf("%v, want the context's cause", r.err)
		}
		// What needs no turn on the pool needs no room either.
		if _, err := e.MarshalInline(t.Context(), v); err != nil {
			t.Error(err)
		}
		// Until there is room.
		if r := w.pass(inside); r.err != nil {
			t.Error(r.err)
		}
		if r := <-patient; r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestUsersCodeThatEncodesNeverWaitsForTheRoomOfItsOwnCaller(t *testing.T) {
	e := made(t, WithWorkers(1), WithHeldLimit(1), WithQueueTimeout(0), WithQuantum(smallQuantum))
	v := rows(1_000)
	nested := marshalerFunc(func() ([]byte, error) { return e.Marshal(t.Context(), v) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := e.Marshal(t.Context(), append(anys(3_000), nested)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestManyStalledWritersLeaveFastOnesAlone(t *testing.T) {
	const stalled, fast = 200, 5
	e := made(t, WithWorkers(2), WithQuantum(smallQuantum), WithWriteSize(8<<10), WithHold(16<<10))
	v := rows(600)
	want := marshal(t, v)
	var ends []<-chan result
	var writers []*stalling
	for range stalled {
		w := newStalling()
		writers, ends = append(writers, w), append(ends, startEncode(t.Context(), e, w, v))
	}
	for _, w := range writers {
		<-w.begun
	}
	until(func() bool {
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		return e.pool.workers == 0 && e.pool.queued() == 0
	})
	if got, most := e.Stats().Held, stalled*e.MaxHeld(); got > most {
		t.Errorf("%d bytes held, want at most %d", got, most)
	}
	for range fast {
		for _, way := range ways {
			b, err := way.encode(t.Context(), e, v)
			if err != nil {
				t.Fatal(err)
			}
			wantOutput(t, way.name, b, want)
		}
	}
	for i, w := range writers {
		if r := w.pass(ends[i]); r.err != nil {
			t.Error(r.err)
		}
	}
}

func TestWorkersCanBecomeMore(t *testing.T) {
	e := made(t, WithWorkers(1))
	release := occupy(e)
	v := rows(5_000)
	var ends []<-chan result
	for i := range 3 {
		ends = append(ends, startMarshal(t.Context(), e, v))
		waiting(e, i+1)
	}
	if err := e.SetWorkers(2); err != nil {
		t.Fatal(err)
	}
	for _, end := range ends { // though the first worker is still in its quantum
		if r := <-end; r.err != nil {
			t.Error(r.err)
		}
	}
	if st := e.Stats(); st.Workers != 2 {
		t.Errorf("%+v", st)
	}
	until(func() bool {
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		return e.pool.workers == 1
	})
	release()
}

func TestWorkersCanBecomeFewer(t *testing.T) {
	e := made(t, WithWorkers(4), WithQuantum(1<<10))
	v := rows(2_000)
	var jobs []*job
	for range 8 {
		j := queuedJob(t, e, v)
		if err := e.pool.begin(j); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	if err := e.SetWorkers(1); err != nil {
		t.Fatal(err)
	}
	until(func() bool {
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		return e.pool.workers <= 1
	})
	for _, j := range jobs { // nobody was lost with the workers that left
		until(func() bool {
			e.pool.mu.Lock()
			defer e.pool.mu.Unlock()
			return j.done
		})
		e.pool.end(j)
	}
	for _, n := range []int{0, -1} {
		if err := e.SetWorkers(n); err == nil {
			t.Errorf("SetWorkers(%d) is no error", n)
		}
	}
	if st := e.Stats(); st.Workers != 1 {
		t.Errorf("%+v", st)
	}
}

// TestBoundsUnderLoad looks at all bounds while many goroutines encode values,
// stall, leave, fail and panic, and the number of workers changes.
func TestBoundsUnderLoad(t *testing.T) {
	const (
		clients, maxWorkers     = 32, 4
		queue, quantum          = 16, 1 << 10
		writeSize               = 4 << 10
		queueBytes, heldLimit   = 600 << 10, 200 << 10
		mostWithin, mostWaiting = heldLimit, clients * 4 * quantum // of memory
	)
	requests := 4_000
	if testing.Short() || raced {
		requests = 500
	}
	e := made(t, WithWorkers(maxWorkers), WithQueue(queue), WithQueueBytes(queueBytes), WithHeldLimit(heldLimit),
		WithQueueTimeout(50*time.Millisecond), WithQuantum(quantum), WithWriteSize(writeSize), WithHold(8<<10))
	var left, refused atomic.Int64
	left.Store(int64(requests))
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			values := [][]row{rows(50), rows(200), rows(1_000)}
			for left.Add(-1) >= 0 {
				if errors.Is(restless(e, values[rand.IntN(len(values))]), ErrOverloaded) {
					refused.Add(1)
					// Or the others would get no further for all the refusals.
					for range 300 {
						runtime.Gosched()
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	var mostHeld int64
	buf := make([]byte, 4<<20)
	for n := 0; ; n++ {
		select {
		case <-done:
			t.Logf("%+v, %d bytes held at most", e.Stats(), mostHeld)
			if refused.Load() == 0 || refused.Load() == int64(requests) {
				t.Errorf("of %d encodes %d were refused", requests, refused.Load())
			}
			return
		default:
		}
		if err := e.SetWorkers(1 + n%maxWorkers); err != nil {
			t.Fatal(err)
		}
		if n%64 == 0 {
			if at := turns(buf); at > maxWorkers {
				t.Errorf("%d turns at the same time, want at most %d", at, maxWorkers)
			}
		}
		held := e.Stats().Held
		mostHeld = max(mostHeld, held)
		if held > mostWithin+mostWaiting {
			t.Errorf("%d bytes held, want at most %d and %d of those that wait", held, mostWithin, mostWaiting)
		}
		checkBounds(t, e, maxWorkers)
		for range 20 {
			runtime.Gosched()
		}
	}
}

// checkBounds looks at the pool at one moment. What has begun comes back to the
// queue whatever the bounds are, so only those count that have not.
func checkBounds(t *testing.T, e *Encoder, workers int) {
	t.Helper()
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	var fresh, rest int64
	for _, r := range []*ring{&p.queue.short, &p.queue.long, &p.outside} {
		for j := r.head; j != nil; j = j.next {
			if !j.began {
				fresh++
				rest += int64(j.rest)
			}
		}
	}
	// Some were let in because workers were on their way, of which a few were
	// then too many.
	if fresh > int64(p.limit+workers) {
		t.Errorf("%d wait for their first turn, want at most %d", fresh, p.limit)
	}
	if rest > p.limitRest && fresh > 1+int64(workers) {
		t.Errorf("%d that wait have %d bytes before them, want at most %d", fresh, rest, p.limitRest)
	}
	if p.room > p.limitRoom*5/4 { // whole results are estimated
		t.Errorf("%d bytes are set aside, want at most %d", p.room, p.limitRoom)
	}
}

// restless encodes v for a caller that may leave, panic or exit meanwhile.
func restless(e *Encoder, v any) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	at := rand.IntN(30) // a write, if there are that many
	writes := 0
	var out bytes.Buffer
	w := writerFunc(func(b []byte) (int, error) {
		for range rand.IntN(100) { // a client that reads slowly
			runtime.Gosched()
		}
		if writes++; writes == at {
			switch rand.IntN(4) {
			case 0:
				cancel(errLeft)
			case 1:
				return 0, errBroken
			case 2:
				panic(errBroken)
			case 3:
				runtime.Goexit()
			}
		}
		return out.Write(b)
	})
	if rand.IntN(3) == 0 {
		return (<-startMarshal(ctx, e, v)).err
	}
	return (<-startEncode(ctx, e, w, v)).err
}
