package admission

import (
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

// In a bubble time stands still as long as anybody can go on. The keeper looks
// by itself every now and then: if time has passed, somebody had room and was
// not told.
func TestNobodyWhoHasRoomIsForgotten(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			w := newWorld(t, func(c *Config) { c.MaxWaiting = 1000 })
			routes := []*Route{
				w.known("light", kib), w.known("heavy", 10*mib), w.known("heavier", 35*mib),
				w.known("giant", 150*mib), w.Route("unknown"), w.Route("also unknown"),
			}
			var wg sync.WaitGroup
			for i := range uint64(100) {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, i))
					for range 20 {
						ctx, cancel := context.WithCancel(background)
						if rnd.IntN(4) == 0 {
							go cancel()
						}
						r := routes[rnd.IntN(len(routes))]
						a, err := w.Enter(ctx, r, false)
						cancel()
						if err != nil {
							continue
						}
						visitInside(w, a, rnd)
					}
				})
			}
			wg.Wait()
			if passed := time.Since(began); passed != 0 {
				t.Errorf("seed %d: %v have passed", seed, passed)
			}
			synctest.Wait()
			w.checkEmpty()
		})
	}
}

// visitInside does what a request does, in any order that may happen.
func visitInside(w *world, a *Ticket, rnd *rand.Rand) {
	for range rnd.IntN(5) {
		switch rnd.IntN(4) {
		case 0:
			w.allocated.Add(rnd.Int64N(8 * mib))
		case 1:
			a.Built(rnd.Int64N(mib))
		case 2:
			a.WaitBegin(1)
		case 3:
			a.WaitEnd(1)
		}
		runtime.Gosched()
	}
	if rnd.IntN(4) == 0 {
		a.Abandon()
	} else {
		a.Leave(rnd.Int64N(8*mib), rnd.Int64N(mib))
	}
}

func TestLimitsHoldUnderARandomLoad(t *testing.T) {
	const heaviest = 30 * mib
	var now atomic.Int64
	w := newWorld(t, func(c *Config) {
		c.MaxWaiting, c.MaxWait = 50, 2*time.Millisecond
		c.MinReadRate, c.ReadsFor, c.StopsFor, c.nanoseconds = mib, readsFor, stopsFor, now.Load
	})
	routes := []*Route{w.known("light", kib), w.known("heavy", 10*mib), w.known("heavier", heaviest)}
	// What is allocated stands still, so that requests only ever become lighter
	// once they are in, and the ledger grows by admission alone.
	check := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		waiters := 0
		for _, r := range routes {
			waiters += len(r.waiters)
		}
		for _, bad := range []struct {
			what string
			is   bool
		}{
			{"more wait than may", w.waiting > w.cfg.MaxWaiting},
			{"the number of those who wait is wrong", w.waiting != waiters},
			{"a count is negative", w.inFlight < 0 || w.building < 0 || w.unknown < 0 || w.heavies < 0},
			{"more heavy ones than there are requests", w.heavies > w.inFlight || w.building > w.inFlight},
			{"the ledger is negative", w.ledger < 0},
			{"the ledger exceeds the budget by more than the floor's and one heavy one",
				w.ledger > w.cfg.Budget+int64(w.cfg.Floor+1)*heaviest},
			{"the working set is negative", w.working < 0},
			{"more is worked on than is held", w.working > w.ledger},
			{"somebody waits and nobody keeps", w.waiting > 0 && !w.keeping},
			{"more are read than there are", len(w.readers) > w.inFlight},
			{"more were cut than may be", w.credit < -heaviest || w.credit > maxCredit*w.cfg.Budget},
		} {
			if bad.is {
				t.Errorf("%s: %+v, working %d", bad.what,
					Stats{w.inFlight, w.waiting, w.ledger, w.cfg.Budget, w.admitted, w.shed, w.cuts}, w.working)
			}
		}
	}
	var wg sync.WaitGroup
	var entered, full, late, gone atomic.Int64
	for i := range uint64(200) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, i))
			for range 50 {
				w.runnable.Store(rnd.Int64N(4))
				w.backlog.Store(rnd.Int64N(8))
				w.nearlyDone.Store(rnd.Int64N(4))
				w.procs.Store(1 + rnd.Int64N(2))
				ctx, cancel := context.WithTimeout(background, time.Duration(rnd.Int64N(int64(4*time.Millisecond))))
				a, err := w.Enter(ctx, routes[rnd.IntN(len(routes))], false)
				check()
				switch {
				case err == nil:
					entered.Add(1)
					if rnd.IntN(2) == 0 {
						a.WaitsFor(func() (int64, bool) { return 0, true }, func() {})
						a.WaitBegin(1)
						check()
						now.Add(rnd.Int64N(int64(2 * readsFor)))
						runtime.Gosched()
						if rnd.IntN(10) > 0 { // or it leaves meanwhile
							a.WaitEnd(1)
						}
					}
					if rnd.IntN(2) == 0 {
						a.Built(rnd.Int64N(mib))
					}
					check()
					a.Abandon()
				case errors.Is(err, ErrQueueFull):
					full.Add(1)
				case errors.Is(err, ErrTimeout):
					late.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					gone.Add(1)
				default:
					t.Errorf("Enter: %v", err)
				}
				cancel()
				check()
			}
		})
	}
	wg.Wait()
	w.checkEmpty()
	stats := w.Stats()
	// Those let in at the very moment at which they left are in neither.
	if stats.Admitted < entered.Load() || stats.Shed != full.Load()+late.Load() {
		t.Errorf("%+v, want at least %d admitted and %d shed", stats, entered.Load(), full.Load()+late.Load())
	}
	t.Logf("%d entered, %d queue full, %d too late, %d gone, %d cut", entered.Load(), full.Load(), late.Load(), gone.Load(), stats.Cut)
}

// Each round somebody leaves, which lets the other one in, at the moment at
// which the other one's client goes.
func TestAPlaceIsNotLostWhenLettingInAndLeavingCoincide(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
	r := w.known("r", mib)
	cause := errors.New("gone")
	in, out := 0, 0
	for range 5000 {
		holds := w.in(r)
		ctx, cancel := context.WithCancelCause(background)
		result := make(chan error, 1)
		go func() {
			a, err := w.Enter(ctx, r, false)
			if a != nil {
				a.Abandon()
			}
			result <- err
		}()
		for w.Stats().Waiting == 0 {
			runtime.Gosched()
		}
		go cancel(cause)
		holds.Abandon()
		switch err := <-result; err {
		case nil:
			in++
		case cause:
			out++
		default:
			t.Fatalf("Enter: %v", err)
		}
		if got := w.Stats(); got.InFlight != 0 || got.Waiting != 0 || got.Held != 0 {
			t.Fatalf("%+v after all have left", got)
		}
	}
	w.checkEmpty()
	if r.weight() != mib {
		t.Errorf("the route weighs %d, want %d: nothing was answered", r.weight(), mib)
	}
	t.Logf("%d entered, %d left", in, out)
}

// Which of the two is noticed first is a matter of chance.
func TestOneThatWasLetInWhenItsClientWentGivesItsPlaceBack(t *testing.T) {
	w := newWorld(t)
	r := w.known("r", mib)
	cause := errors.New("gone")
	ctx, cancel := context.WithCancelCause(background)
	cancel(cause)
	for range 100 {
		v := &waiter{ready: make(chan *Ticket, 1), route: r}
		w.mu.Lock()
		w.enqueue(v)
		w.next(w.signals(true))
		w.mu.Unlock()
		switch a, err := w.wait(ctx, v); {
		case a != nil:
			a.Abandon()
		case err != cause:
			t.Fatalf("error %v, want %v", err, cause)
		}
		w.checkEmpty()
	}
	if got := r.weight(); got != mib {
		t.Errorf("the route weighs %d, want 1 MiB: nothing was answered", got)
	}
}

func TestOneThatWasTurnedAwayWhenItsClientWentIsToldSo(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(background)
	cancel()
	for range 100 {
		v := &waiter{ready: make(chan *Ticket, 1), route: w.Route("r")}
		w.mu.Lock()
		w.enqueue(v)
		w.turnAway(v, ErrQueueFull)
		w.mu.Unlock()
		if a, err := w.wait(ctx, v); a != nil || err != ErrQueueFull {
			t.Fatalf("ticket %v, error %v, want no ticket and %v", a, err, ErrQueueFull)
		}
	}
}

func TestCloseAndLettingInCoincide(t *testing.T) {
	for range 1000 {
		w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
		r := w.known("r", mib)
		holds := w.in(r)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				a, err := w.Enter(background, r, false)
				if a != nil {
					a.Abandon()
				} else if err != ErrClosed {
					t.Errorf("Enter: %v", err)
				}
			})
		}
		wg.Go(holds.Abandon)
		wg.Go(w.Close)
		wg.Wait()
		w.checkEmpty()
	}
}
