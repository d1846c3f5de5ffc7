package admission

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// world is what a gate sees of the process, and the gate itself.
type world struct {
	*Gate
	t                                               *testing.T
	procs, backlog, nearlyDone, runnable, allocated atomic.Int64
}

// newWorld returns an idle process with one processor. The gate is closed when
// the test ends, and must be empty then.
func newWorld(t *testing.T, adjust ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t}
	w.procs.Store(1)
	w.allocated.Store(1 << 40)
	cfg := Config{
		Floor:      2,
		Runnable:   2,
		Encodes:    2,
		WorkingSet: 40 * mib,
		Budget:     100 * mib,
		MaxWaiting: 100,
		MaxWait:    10 * time.Second,
		Backlog:    func() int { return int(w.backlog.Load()) },
		NearlyDone: func() int { return int(w.nearlyDone.Load()) },
		procs:      func() int { return int(w.procs.Load()) },
		runnable:   w.runnable.Load,
		allocated:  w.allocated.Load,
	}
	for _, a := range adjust {
		a(&cfg)
	}
	w.Gate = New(cfg)
	t.Cleanup(func() {
		w.Close()
		w.checkEmpty()
	})
	return w
}

func (w *world) checkEmpty() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, n := range map[string]int64{
		"in flight": int64(w.inFlight),
		"waiting":   int64(w.waiting),
		"queued":    int64(len(w.queued)),
		"building":  int64(w.building),
		"unknown":   int64(w.unknown),
		"heavies":   int64(w.heavies),
		"working":   w.working,
		"ledger":    w.ledger,
		"readers":   int64(len(w.readers)),
		"leaving":   w.leaving,
		"idle":      int64(w.idle),
		"lent":      w.lent,
	} {
		if n != 0 {
			w.t.Errorf("%s: %d at the end, want 0", what, n)
		}
	}
}

// known returns a route whose responses weigh that much.
func (w *world) known(name string, weight int64) *Route {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.Route(name)
	r.learn(weight, 0)
	return r
}

// in enters where there must be room.
func (w *world) in(r *Route) *Ticket {
	w.t.Helper()
	t, err := w.Enter(context.Background(), r, false)
	if err != nil {
		w.t.Fatalf("Enter: %v, want room", err)
	}
	return t
}

func (w *world) weight(t *Ticket) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return t.weight
}

// mustNotKeep tells of a keeper that is there though nobody waits.
func (w *world) mustNotKeep() {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keeping {
		w.t.Error("the keeper stays though nobody waits")
	}
}

// visit is a request on its way through the gate.
type visit struct {
	w    *world
	done chan struct{}
	t    *Ticket
	err  error
}

// visit enters in a goroutine of its own. In a bubble it waits there, or is in
// or turned away, when visit returns.
func (w *world) visit(ctx context.Context, r *Route) *visit {
	v := &visit{w: w, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.t, v.err = w.Enter(ctx, r, false)
	}()
	synctest.Wait()
	return v
}

func (v *visit) waits() bool {
	synctest.Wait()
	select {
	case <-v.done:
		return false
	default:
		return true
	}
}

func (v *visit) mustWait(why string) {
	v.w.t.Helper()
	if !v.waits() {
		v.w.t.Fatalf("does not wait (%v): %s", v.err, why)
	}
}

func (v *visit) mustBeIn(why string) *Ticket {
	v.w.t.Helper()
	if v.waits() {
		v.w.t.Fatalf("waits: %s", why)
	}
	if v.err != nil {
		v.w.t.Fatalf("%v: %s", v.err, why)
	}
	return v.t
}

func (v *visit) mustFail(want error) {
	v.w.t.Helper()
	if v.waits() {
		v.w.t.Fatalf("waits, want %v", want)
	}
	if v.err != want || v.t != nil {
		v.w.t.Fatalf("ticket %v, error %v, want no ticket and %v", v.t, v.err, want)
	}
}

var background = context.Background()

func TestRoom(t *testing.T) {
	idle := signals{procs: 1, allocated: 1 << 40}
	loaded := signals{procs: 1, runnable: 1000, backlog: 1000, nearlyDone: 1000, allocated: 1 << 40}
	for _, test := range []struct {
		name   string
		gate   *Gate
		weight int64 // < 0: not known
		sees   signals
		want   verdict
	}{
		{"the floor finds room whatever happens",
			&Gate{inFlight: 1, heavies: 1, ledger: 200 * mib, working: 200 * mib}, 300 * mib, loaded, roomy},
		{"beyond the floor an idle process has room",
			&Gate{inFlight: 2}, mib, idle, roomy},
		{"as many runnable as may be",
			&Gate{inFlight: 2}, 0, signals{procs: 1, runnable: 2}, roomy},
		{"one runnable too many",
			&Gate{inFlight: 2}, 0, signals{procs: 1, runnable: 3}, busy},
		{"runnable counts per processor",
			&Gate{inFlight: 2}, 0, signals{procs: 4, runnable: 8}, roomy},
		{"one too many for all processors",
			&Gate{inFlight: 2}, 0, signals{procs: 4, runnable: 9}, busy},
		{"an encode waits for a worker",
			&Gate{inFlight: 2}, mib, signals{procs: 1, backlog: 1}, busy},
		{"which one that is not known might wait for as well",
			&Gate{inFlight: 2}, -1, signals{procs: 1, backlog: 1}, busy},
		{"but no light one would",
			&Gate{inFlight: 2}, lightWeight, signals{procs: 1, backlog: 1000}, roomy},
		{"unless it is nearly done itself",
			&Gate{inFlight: 2}, 0, signals{procs: 1, nearlyDone: 3}, busy},
		{"many runnable hold a light one back whoever encodes",
			&Gate{inFlight: 2}, 0, signals{procs: 1, backlog: 1000, runnable: 3}, busy},
		{"the ledger just has space",
			&Gate{inFlight: 2, heavies: 2, ledger: 90 * mib}, 10 * mib, idle, roomy},
		{"the ledger is full",
			&Gate{inFlight: 2, heavies: 2, ledger: 90*mib + 1}, 10 * mib, idle, spent},
		{"the ledger is full for a light one too",
			&Gate{inFlight: 2, heavies: 2, ledger: 100 * mib}, 1, idle, spent},
		{"and for a light one if light ones have filled it",
			&Gate{inFlight: 500, ledger: 100 * mib}, 1, idle, spent},
		{"a heavy one beside light ones may have more than there is",
			&Gate{inFlight: 500, ledger: 100 * mib}, 300 * mib, idle, roomy},
		{"but not before the processors have caught up",
			&Gate{inFlight: 500, ledger: 100 * mib}, 300 * mib, loaded, busy},
		{"the working set just has space",
			&Gate{inFlight: 2, heavies: 2, working: 30 * mib}, 10 * mib, idle, roomy},
		{"the working set is full",
			&Gate{inFlight: 2, heavies: 2, working: 30*mib + 1}, 10 * mib, idle, full},
		{"both are full: giving memory back would not help",
			&Gate{inFlight: 2, heavies: 2, ledger: 100 * mib, working: 40 * mib}, 10 * mib, idle, full},
		{"the working set is per processor",
			&Gate{inFlight: 2, heavies: 2, working: 70 * mib}, 10 * mib, signals{procs: 2}, roomy},
		{"the working set does not matter to a light one",
			&Gate{inFlight: 2, heavies: 2, working: 90 * mib}, lightWeight, idle, roomy},
		{"nobody is worked on: even what exceeds the working set alone",
			&Gate{inFlight: 2, heavies: 2, ledger: 20 * mib}, 60 * mib, idle, roomy},
		{"full comes before busy: giving way would not help",
			&Gate{inFlight: 2, heavies: 2, ledger: 100 * mib}, 10 * mib, loaded, spent},
		{"what is allocated counts for an unknown one",
			&Gate{inFlight: 2, heavies: 2, ledger: 50 * mib, unknown: 1, unknownFrom: 1<<40 - 50*mib}, -1, idle, spent},
		{"an old signal does not make space",
			&Gate{inFlight: 2, heavies: 2, ledger: 100 * mib, unknown: 1, unknownFrom: 1<<40 + 50*mib}, -1, idle, spent},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := test.gate
			g.cfg = Config{Floor: 2, Runnable: 2, Encodes: 2, WorkingSet: 40 * mib, Budget: 100 * mib, nanoseconds: func() int64 { return 0 }}
			r := new(Route)
			if test.weight >= 0 {
				r.learn(test.weight, 0)
			}
			if got := g.room(r, test.sees, false); got != test.want {
				t.Errorf("verdict %d, want %d", got, test.want)
			}
		})
	}
}

func TestRoomForWhatIsOnlyEncoded(t *testing.T) {
	for _, test := range []struct {
		name          string
		value, pooled int64
		sees          signals
		want          verdict
	}{
		{"as many encodes wait for a worker as may", 0, mib, signals{procs: 1, backlog: 2}, roomy},
		{"one too many", 0, mib, signals{procs: 1, backlog: 3}, busy},
		{"they count per processor", 0, mib, signals{procs: 4, backlog: 8}, roomy},
		{"and with many runnable none may wait", 0, mib, signals{procs: 1, backlog: 2, runnable: 3}, busy},
		{"none may if a value would wait with it", mib, mib, signals{procs: 1, backlog: 1}, busy},
		{"a small value may", lightWeight, mib, signals{procs: 1, backlog: 2}, roomy},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := &Gate{inFlight: 2, cfg: Config{Floor: 2, Runnable: 2, Encodes: 2, WorkingSet: 40 * mib, Budget: 100 * mib}}
			r := new(Route)
			r.learn(test.value, test.pooled)
			if got := g.room(r, test.sees, false); got != test.want {
				t.Errorf("verdict %d, want %d", got, test.want)
			}
		})
	}
}

func TestTheFloorEntersWhateverHappens(t *testing.T) {
	w := newWorld(t)
	w.runnable.Store(1000)
	w.backlog.Store(1000)
	giant := w.known("giant", 1000*mib)
	for range w.cfg.Floor {
		defer w.in(giant).Abandon()
	}
}

// While the processors have to catch up the keeper looks again and again. Here
// each look waits for the test, which tells what is seen.
func TestTheKeeperLetsInOneAtATimeAsTheProcessorsCatchUp(t *testing.T) {
	for _, test := range []struct {
		name   string
		script func(*Config, <-chan int64)
	}{
		{"runnable", func(c *Config, looks <-chan int64) { c.runnable = func() int64 { return <-looks } }},
		{"nearly done", func(c *Config, looks <-chan int64) { c.NearlyDone = func() int { return int(<-looks) } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const crowded = 100
				looks := make(chan int64)
				w := newWorld(t, func(c *Config) { test.script(c, looks) })
				r := w.known("r", kib)
				look := func(sees int64) {
					looks <- sees
					synctest.Wait()
				}
				waiting := func(want int) {
					t.Helper()
					if got := w.Stats().Waiting; got != want {
						t.Fatalf("%d wait, want %d", got, want)
					}
				}
				var visits []*visit
				for range w.cfg.Floor {
					v := w.visit(background, r) // looks at nothing
					synctest.Wait()
					defer v.mustBeIn("the floor").Leave(0, 0)
				}
				for i := range 3 {
					visits = append(visits, w.visit(background, r))
					for w.Stats().Waiting == i {
						look(crowded)
					}
				}
				for range 10 {
					look(crowded)
				}
				waiting(3)
				for i, v := range visits {
					look(0)
					defer v.mustBeIn("it is its turn").Leave(0, 0)
					waiting(2 - i)
					if i < 2 {
						for range 10 {
							look(crowded)
						}
						waiting(2 - i)
					} else {
						synctest.Wait()
					}
				}
				close(looks) // the keeper's last look, at nobody
			})
		})
	}
}

func TestLightRequestsWaitForNoLongEncodes(t *testing.T) {
	w := newWorld(t)
	light, heavy := w.known("light", kib), w.known("heavy", mib)
	enter := func(r *Route) <-chan *Ticket {
		in := make(chan *Ticket, 1)
		go func() {
			a, err := w.Enter(background, r, false)
			if err != nil {
				t.Error(err)
			}
			in <- a
		}()
		return in
	}
	waiting := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); w.Stats().Waiting != want; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", w.Stats().Waiting, want)
			}
		}
	}
	w.backlog.Store(10)
	for range w.cfg.Floor {
		defer w.in(heavy).Abandon()
	}
	a := enter(heavy)
	waiting(1)
	for range 50 { // past the keeper, who looks after the other
		defer w.in(light).Abandon()
	}
	waiting(1)

	w.nearlyDone.Store(10)
	b := enter(light)
	waiting(2)
	w.nearlyDone.Store(0)
	(<-b).Abandon()
	waiting(1)

	w.backlog.Store(0)
	(<-a).Abandon()
}

func TestTheWorkingSetIsFreedWhileARequestWaitsForItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t) // 40 MiB
		r := w.known("r", 15*mib)
		a, b := w.in(r), w.in(r)
		c := w.visit(background, r)
		c.mustWait("45 MiB would be worked on")

		a.WaitBegin(1)
		a.WaitBegin(1)
		ct := c.mustBeIn("only 30 MiB are")
		d := w.visit(background, r)
		d.mustWait("45 MiB would be worked on again")

		a.WaitEnd(1)
		a.WaitEnd(1)
		d.mustWait("that has taken space, not made it")
		b.Abandon()
		d.mustWait("30 MiB are worked on still")
		ct.WaitBegin(1)
		dt := d.mustBeIn("15 MiB are")

		e := w.visit(background, r)
		ct.Leave(0, 0)
		e.mustWait("what had been freed before is not freed again")
		a.Leave(0, 0)
		e.mustBeIn("15 MiB are worked on").Leave(0, 0)
		dt.Leave(0, 0)
	})
}

func TestAWriteThatIsReportedLateChangesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.in(w.known("r", 15*mib))
	a.WaitBegin(1)
	a.Leave(0, 0)
	a.WaitEnd(1)
	a.WaitBegin(1)
	w.checkEmpty()
}

func TestMoreProcessorsMakeRoomThoughNobodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.known("r", 20*mib)
		defer w.in(r).Abandon()
		defer w.in(r).Abandon()
		v := w.visit(background, r)
		v.mustWait("the working set is full")
		w.procs.Store(2)
		time.Sleep(unknownFor)
		v.mustBeIn("there is one for each of two processors now").Abandon()
	})
}

func TestTheLedgerHoldsBackUntilSomebodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.procs.Store(100)
		r := w.known("r", 40*mib)
		a, b := w.in(r), w.in(r)
		if got := w.Stats().Held; got != 80*mib {
			t.Fatalf("%d bytes held, want 80 MiB", got)
		}
		v := w.visit(background, r)
		a.WaitBegin(1)
		b.WaitBegin(1)
		v.mustWait("what waits for its client is held all the same")
		a.Leave(0, 0)
		v.mustBeIn("80 MiB would be held").Leave(0, 0)
		b.Leave(0, 0)
	})
}

func TestARequestTooHeavyForAnyLimitEntersBesideLightOnes(t *testing.T) {
	for _, test := range []struct {
		name   string
		weight int64
	}{
		{"beyond the working set", 60 * mib},
		{"beyond the budget", 200 * mib},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				light, giant := w.known("light", kib), w.known("giant", test.weight)
				for range 10 {
					defer w.in(light).Leave(0, 0)
				}
				a := w.in(giant)
				b := w.visit(background, giant)
				b.mustWait("one giant is enough")
				a.Abandon()
				b.mustBeIn("no heavy request is inside").Abandon()
			})
		})
	}
}

func TestBuiltWeighsAgain(t *testing.T) {
	for _, test := range []struct {
		name      string
		usual     int64 // < 0: not known
		allocated int64
		pooled    int64
		want      int64
	}{
		{"a value that all requests share", 16 * mib, 0, mib, mib},
		{"nothing at all", 16 * mib, 0, 0, 0},
		{"a value as heavy as ever", 16 * mib, 16 * mib, mib, 17 * mib},
		{"a heavier one", 16 * mib, 40 * mib, 0, 40 * mib},
		{"one so heavy that others must have had a part in it", 16 * mib, 1000 * mib, mib, 65 * mib},
		{"the first of its route", -1, 16 * mib, mib, 17 * mib},
		{"the first of its route, which was slow while others allocated", -1, 1000 * mib, 0, 40 * mib},
		{"a light one is not measured", kib, 16 * mib, mib, kib},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.Route("r")
			if test.usual >= 0 {
				w.known("r", test.usual)
			}
			a := w.in(r)
			if got, want := a.Heavy(), test.usual < 0 || test.usual > lightWeight; got != want {
				t.Errorf("heavy %t, want %t", got, want)
			}
			w.allocated.Add(test.allocated)
			a.Built(test.pooled)
			if got := w.weight(a); got != test.want {
				t.Errorf("weighs %d KiB, want %d", got/kib, test.want/kib)
			}
			if got := w.Stats().Held; got != test.want {
				t.Errorf("%d KiB held, want %d", got/kib, test.want/kib)
			}
			w.allocated.Add(100 * mib)
			a.Built(50 * mib)
			if got := w.weight(a); got != test.want {
				t.Errorf("weighs %d KiB after a second call, want %d", got/kib, test.want/kib)
			}
			a.Leave(0, 0)
		})
	}
}

func TestRivalsShareWhatWasAllocated(t *testing.T) {
	w := newWorld(t)
	w.procs.Store(100)
	r := w.known("r", 16*mib)
	light := w.in(w.known("light", kib)) // has no part in it
	a := w.in(r)
	b := w.in(r)
	w.allocated.Add(32 * mib)
	a.Built(0) // was alone at first, and one of two at last
	if got, want := w.weight(a), int64(32*mib*2/3); got != want {
		t.Errorf("the first weighs %d, want %d", got, want)
	}
	b.Built(0) // was one of two at first, and alone at last
	if got, want := w.weight(b), int64(32*mib*2/3); got != want {
		t.Errorf("the second weighs %d, want %d", got, want)
	}
	c := w.in(r)
	w.allocated.Add(10 * mib)
	c.Built(0)
	if got, want := w.weight(c), int64(10*mib); got != want {
		t.Errorf("the third weighs %d, want %d: those before have built", got, want)
	}
	for _, x := range []*Ticket{light, a, b, c} {
		x.Leave(0, 0)
	}
}

func TestBuiltMakesRoom(t *testing.T) {
	for _, writing := range []bool{false, true} {
		t.Run(fmt.Sprintf("writing %t", writing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.procs.Store(100)
				r := w.known("r", 45*mib)
				a, b := w.in(r), w.in(r)
				v := w.visit(background, r)
				v.mustWait("the ledger is full")
				if writing {
					a.WaitBegin(1)
				}
				a.Built(mib) // shared by all requests, as it turns out
				c := v.mustBeIn("90 MiB became 46")
				if writing {
					a.WaitEnd(1)
				}
				for _, x := range []*Ticket{a, b, c} {
					x.Abandon()
				}
			})
		})
	}
}

func TestWhatARouteLearnsFromItsResponses(t *testing.T) {
	for _, test := range []struct {
		name          string
		usual         int64 // < 0: not known
		allocated     int64
		bytes, pooled int64
		want          int64
	}{
		{"the first response", -1, 20 * mib, 18 * mib, mib, 21 * mib},
		{"the first response, while others allocated", -1, 1000 * mib, mib, 0, maxGrowth * mib},
		{"the first response, a small one, while others allocated", -1, 1000 * mib, kib, 0, maxGrowth * kib},
		{"the first response has no body", -1, mib, 0, 0, 0},
		{"a shared value, streamed", 16 * mib, 0, 18 * mib, 2 * mib, 15 * mib},
		{"a heavier one", 16 * mib, 32 * mib, 30 * mib, 0, 24 * mib},
		{"a heavier one than what is booked for it", mib, 32 * mib, 30 * mib, 0, 16*mib + mib/2},
		{"a light response of a light route", kib, 10 * mib, lightWeight, 0, kib},
		{"a light route has turned heavy", 0, 10 * mib, 8 * mib, 0, 4 * mib},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.Route("r")
			if test.usual >= 0 {
				w.known("r", test.usual)
			}
			a := w.in(r)
			w.allocated.Add(test.allocated)
			a.Built(0)
			a.Leave(test.bytes, test.pooled)
			if got := r.weight(); got != test.want {
				t.Errorf("the route weighs %d KiB, want %d", got/kib, test.want/kib)
			}
		})
	}
}

func TestARouteTurnedHeavyIsMeasuredNextTime(t *testing.T) {
	w := newWorld(t)
	r := w.known("r", kib)
	a := w.in(r)
	if a.Heavy() {
		t.Error("the first is taken for heavy")
	}
	a.Leave(8*mib, 0)
	b := w.in(r)
	if !b.Heavy() {
		t.Error("the second is taken for light")
	}
	b.Leave(0, 0)
}

func TestARouteIsKnownAsSoonAsItsFirstResponseIsBuilt(t *testing.T) {
	w := newWorld(t)
	r := w.Route("r")
	a := w.in(r)
	w.allocated.Add(20 * mib)
	a.Built(mib)
	if got := r.weight(); got != 21*mib {
		t.Errorf("the route weighs %d KiB while its first response is on its way, want 21 MiB", got/kib)
	}
	a.Leave(2*mib, mib)
	if got := r.weight(); got != 9*mib {
		t.Errorf("the route weighs %d KiB once the response was seen to be small, want 9 MiB", got/kib)
	}
}

func TestWhatOthersHaveTaughtMeanwhileOutlastsAGuess(t *testing.T) {
	w := newWorld(t)
	r := w.Route("r")
	a := w.in(r)
	w.allocated.Add(16 * mib)
	a.Built(0)
	b := w.in(r)
	w.allocated.Add(16 * mib)
	b.Built(0)
	b.Leave(16*mib, 0)
	a.Leave(0, 0)
	if got := r.weight(); got != 14*mib {
		t.Errorf("the route weighs %d KiB, want 14 MiB: an eighth less than what the second has cost", got/kib)
	}
}

func TestNothingIsLearnedFromARequestThatWasGivenUp(t *testing.T) {
	for _, built := range []bool{false, true} {
		t.Run(fmt.Sprintf("built %t", built), func(t *testing.T) {
			w := newWorld(t)
			r := w.known("r", 16*mib)
			a := w.in(r)
			if built {
				a.Built(0)
			}
			a.Abandon()
			if got := r.weight(); got != 16*mib {
				t.Errorf("the route weighs %d, want 16 MiB as before", got)
			}
			fresh := w.Route("fresh")
			w.in(fresh).Abandon()
			if fresh.answered {
				t.Error("a route has answered that has not")
			}
		})
	}
}

// The signals are read before the lock is taken, and a light route's leave out
// what has been allocated.
func TestARouteThatTurnsHeavyWhileARequestEntersIsNotMeasured(t *testing.T) {
	var meanwhile func()
	w := newWorld(t, func(c *Config) {
		runnable := c.runnable
		c.runnable = func() int64 {
			if meanwhile != nil {
				meanwhile()
			}
			return runnable()
		}
	})
	r := w.known("r", kib)
	for range w.cfg.Floor { // which light requests pass without looking
		defer w.in(r).Leave(0, 0)
	}
	meanwhile = func() { w.known("r", 16*mib) }
	a := w.in(r)
	meanwhile = nil
	if a.Heavy() {
		t.Error("measured from the beginning of the process")
	}
	if got, want := w.weight(a), r.weight(); got != want || want < mib {
		t.Errorf("weighs %d, want the route's %d", got, want)
	}
	a.Built(0)
	a.Leave(20*mib, 0)
}

func TestManyRequestsToUnknownLightRoutesEnterAtOnce(t *testing.T) {
	w := newWorld(t)
	var inside []*Ticket
	for i := range 100 {
		inside = append(inside, w.in(w.Route(fmt.Sprint(i))))
		w.allocated.Add(10 * kib)
	}
	for _, a := range inside {
		a.Leave(kib, 0)
	}
	for i := range 100 {
		if w.Route(fmt.Sprint(i)).answered != true {
			t.Fatalf("route %d is still unknown", i)
		}
	}
}

func TestUnknownRoutesAreHeldByWhatIsAllocatedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.in(w.Route("a")), w.in(w.Route("b"))
		w.allocated.Add(50 * mib)
		c := w.in(w.Route("c"))
		w.allocated.Add(50 * mib)

		v := w.visit(background, w.Route("d"))
		v.mustWait("those inside have allocated the budget")
		defer w.in(w.known("known", mib)).Abandon()
		a.Abandon()
		b.Abandon()
		v.mustWait("one that is unknown is left")
		c.Built(0)
		v.mustBeIn("nobody unknown is left, and half of the budget").Abandon()
		c.Abandon()
	})
}

func TestAnUnknownRouteThatNeverAnswersIsNotBlamedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.in(w.Route("events")).Abandon()
		defer w.in(w.known("known", kib)).Leave(0, 0)
		w.allocated.Add(1000 * mib)
		v := w.visit(background, w.Route("new"))
		v.mustWait("who knows whose that is")
		time.Sleep(unknownFor)
		v.mustBeIn("that was long ago").Abandon()

		// The same while the process allocates all the time.
		v = w.visit(background, w.Route("newer"))
		for range 3 * unknownFor / time.Millisecond {
			w.allocated.Add(mib)
			time.Sleep(time.Millisecond)
		}
		v.mustBeIn("there is room every now and then").Abandon()
	})
}

func TestACheapRouteEntersWhileAnExpensiveOneWaitsForOthersToLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.MaxWaiting = 10 })
		cheap, dear := w.known("cheap", kib), w.known("dear", 20*mib)
		a, b := w.in(dear), w.in(dear)
		var waiting []*visit
		for range 10 {
			waiting = append(waiting, w.visit(background, dear))
		}
		for range 100 {
			defer w.in(cheap).Leave(kib, 0) // though the queue is full
		}
		for _, v := range waiting {
			v.mustWait("the working set is full")
		}
		w.Close()
		a.Abandon()
		b.Abandon()
	})
}

// A sleeping keeper is told of somebody for whom it has to look again and again.
func TestTheProcessorsCatchUpWhileTheKeeperSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := newWorld(t)
		cheap, dear := w.known("cheap", kib), w.known("dear", 20*mib)
		a, b := w.in(dear), w.in(dear)
		w.visit(background, dear).mustWait("the working set is full")
		w.runnable.Store(1000)
		go func() {
			for w.Stats().Waiting < 2 {
				runtime.Gosched()
			}
			w.runnable.Store(0)
		}()
		w.in(cheap).Leave(kib, 0)
		if passed := time.Since(began); passed != 0 {
			t.Errorf("let in after %v", passed)
		}
		w.Close()
		a.Abandon()
		b.Abandon()
	})
}

func TestRoomThatIsMadeGoesToThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dear, other := w.known("dear", 20*mib), w.known("other", 20*mib)
		a, b := w.in(dear), w.in(dear)
		first := w.visit(background, dear)
		first.mustWait("the working set is full")
		go func() {
			<-first.done
			first.t.Abandon()
		}()
		a.Abandon() // wakes the keeper, which may not have run when the next one comes
		late := w.in(other)
		select {
		case <-first.done:
		default:
			t.Error("one that came later entered before one that waited")
		}
		late.Abandon()
		b.Abandon()
	})
}

// order lets those who wait in, one by one as each leaves, and returns their
// names as they entered.
func order(w *world, holds *Ticket, visits map[*visit]string) (names []string) {
	w.t.Helper()
	for len(visits) > 0 {
		holds.Abandon()
		holds = nil
		for v, name := range visits {
			if !v.waits() {
				names = append(names, name)
				holds = v.mustBeIn("it is its turn")
				delete(visits, v)
			}
		}
		if holds == nil {
			w.t.Fatalf("after %v nobody enters", names)
		}
	}
	holds.Abandon()
	return names
}

func TestRoutesTakeTurnsByWhatTheyCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One at a time is inside.
		w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
		big, small := w.known("big", 4*mib), w.known("small", mib)
		holds := w.in(big)
		visits := map[*visit]string{}
		for i := range 4 {
			visits[w.visit(background, big)] = fmt.Sprint("big", i)
		}
		for i := range 6 {
			visits[w.visit(background, small)] = fmt.Sprint("small", i)
		}
		got := order(w, holds, visits)
		// 4.25 MiB for each big one, and 1.25 for each small one.
		want := []string{"big0", "small0", "small1", "small2", "small3", "big1", "small4", "small5", "big2", "big3"}
		if !slices.Equal(got, want) {
			t.Errorf("order\n%v, want\n%v", got, want)
		}
	})
}

func TestARouteThatWasAwayHasSavedNothingUp(t *testing.T) {
	w := newWorld(t)
	a, b := w.known("a", mib), w.known("b", mib)
	w.mu.Lock()
	defer w.mu.Unlock()
	fill := func(r *Route, n int) {
		for range n {
			w.enqueue(&waiter{ready: make(chan *Ticket, 1), route: r})
		}
	}
	take := func() *Route {
		before := len(a.waiters)
		if v, _ := w.next(signals{procs: 1000}); v != roomy {
			t.Fatalf("verdict %d, want room", v)
		}
		w.inFlight, w.heavies, w.building, w.working, w.lent, w.ledger = 0, 0, 0, 0, 0, 0
		if len(a.waiters) < before {
			return a
		}
		return b
	}
	fill(a, 20)
	for range 10 {
		take()
	}
	fill(b, 10)
	inTurn := 0
	for range 10 {
		if take() == a {
			inTurn++
		}
	}
	if inTurn < 4 || inTurn > 5 {
		t.Errorf("the route that was there before has had %d of 10 turns, want 4 or 5", inTurn)
	}
	for len(w.queued) > 0 {
		take()
	}
}

func TestANewcomerDoesNotOvertakeForAnotherOnesOldRights(t *testing.T) {
	w := newWorld(t)
	old, busy, fresh := w.known("old", 30*mib), w.known("busy", mib), w.known("fresh", mib)
	w.mu.Lock()
	defer w.mu.Unlock()
	enqueue := func(r *Route) {
		w.enqueue(&waiter{ready: make(chan *Ticket, 1), route: r})
	}
	next := func(inFlight int, working int64) {
		w.inFlight, w.working = inFlight, working
		if v, _ := w.next(signals{procs: 1}); v != roomy {
			t.Fatal("no room")
		}
	}
	enqueue(old)
	for range 10 {
		enqueue(busy)
	}
	for range 9 {
		next(2, 30*mib) // too little room for the old one
	}
	next(0, 0)
	if len(old.waiters) > 0 {
		t.Fatal("the old one was not let in when there was room for it")
	}
	enqueue(fresh)
	if fresh.passed+2*mib < busy.passed {
		t.Errorf("the newcomer starts at %d KiB, far before %d", fresh.passed/kib, busy.passed/kib)
	}
	for w.waiting > 0 {
		next(0, 0)
	}
	w.inFlight, w.heavies, w.building, w.working, w.lent, w.ledger = 0, 0, 0, 0, 0, 0
}

func TestFirstComeFirstServedWhileCalmNewestFirstWhenLate(t *testing.T) {
	for _, test := range []struct {
		name string
		wait time.Duration
		want []string
	}{
		{"calm", 5 * time.Second, []string{"0", "1", "2", "3"}},
		{"late", 5*time.Second + 1, []string{"3", "2", "1", "0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
				r := w.known("r", mib)
				holds := w.in(r)
				visits := map[*visit]string{}
				for i := range 4 {
					visits[w.visit(background, r)] = fmt.Sprint(i)
				}
				time.Sleep(test.wait)
				if got := order(w, holds, visits); !slices.Equal(got, test.want) {
					t.Errorf("order %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestAFullQueueTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Floor, c.Budget, c.MaxWaiting = 1, 1, 2 })
		r := w.known("r", mib)
		holds := w.in(r)
		a, b := w.visit(background, r), w.visit(background, r)
		w.visit(background, r).mustFail(ErrQueueFull)
		a.mustWait("it has a place")
		b.mustWait("it has a place")
		if got := w.Stats(); got.Shed != 1 || got.Waiting != 2 || got.InFlight != 1 || got.Admitted != 1 {
			t.Errorf("%+v, want one shed, two waiting, one inside", got)
		}
		holds.Abandon()
		at := a.mustBeIn("it is its turn")
		c := w.visit(background, r)
		c.mustWait("a place has become free")
		order(w, at, map[*visit]string{b: "b", c: "c"})
	})
}

func TestNoRouteFillsTheQueueAlone(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late %t", late), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Floor, c.Budget, c.MaxWaiting = 1, 1, 5 })
				crowd, few := w.known("crowd", mib), w.known("few", mib)
				holds := w.in(crowd)
				var crowded, others []*visit
				for range 5 {
					crowded = append(crowded, w.visit(background, crowd))
				}
				if late {
					time.Sleep(6 * time.Second)
				}
				for range 2 {
					others = append(others, w.visit(background, few))
				}
				w.visit(background, few).mustFail(ErrQueueFull)
				w.visit(background, crowd).mustFail(ErrQueueFull)
				gone, stay := crowded[3:], crowded[:3]
				if late { // the first are going to give up anyway
					gone, stay = crowded[:2], crowded[2:]
				}
				for _, v := range gone {
					v.mustFail(ErrQueueFull)
				}
				for _, v := range append(stay, others...) {
					v.mustWait("two and three are shares of five")
				}
				if got := w.Stats().Shed; got != 4 {
					t.Errorf("%d shed, want 4", got)
				}
				w.Close()
				holds.Abandon()
			})
		})
	}
}

func TestAWaitEnds(t *testing.T) {
	cause := errors.New("the client has gone")
	for _, test := range []struct {
		name  string
		ctx   func() context.Context
		after time.Duration
		want  error
		shed  int64
	}{
		{"when it has lasted as long as it may", func() context.Context { return background },
			10 * time.Second, ErrTimeout, 1},
		{"when the client goes", func() context.Context {
			ctx, cancel := context.WithCancelCause(background)
			time.AfterFunc(time.Second, func() { cancel(cause) })
			return ctx
		}, time.Second, cause, 0},
		{"at the request's own deadline", func() context.Context {
			ctx, cancel := context.WithTimeout(background, 2*time.Second)
			t.Cleanup(cancel)
			return ctx
		}, 2 * time.Second, context.DeadlineExceeded, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
				r := w.known("r", mib)
				defer w.in(r).Abandon()
				began := time.Now()
				v := w.visit(test.ctx(), r)
				v.mustWait("there is no room")
				<-v.done
				v.mustFail(test.want)
				if got := time.Since(began); got != test.after {
					t.Errorf("after %v, want %v", got, test.after)
				}
				synctest.Wait()
				if got := w.Stats(); got.Waiting != 0 || got.Shed != test.shed {
					t.Errorf("%d wait and %d were shed, want 0 and %d", got.Waiting, got.Shed, test.shed)
				}
				w.mustNotKeep()
			})
		})
	}
}

func TestTheKeeperComesBackAfterItHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
		r := w.known("r", mib)
		for range 3 {
			holds := w.in(r)
			v := w.visit(background, r)
			v.mustWait("there is no room")
			holds.Abandon()
			v.mustBeIn("there is").Abandon()
			w.mustNotKeep()
		}
	})
}

func TestCloseTurnsAwayThoseWhoWaitAndThoseWhoCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Floor, c.Budget = 1, 1 })
		a, b := w.known("a", mib), w.known("b", mib)
		inside := w.in(a)
		var visits []*visit
		for range 5 {
			visits = append(visits, w.visit(background, a), w.visit(background, b))
		}
		w.Close()
		for _, v := range visits {
			v.mustFail(ErrClosed)
		}
		w.visit(background, a).mustFail(ErrClosed)
		w.mustNotKeep()
		w.Close()
		inside.Built(0)
		inside.Leave(mib, 0)
		if got := w.Stats(); got.InFlight != 0 || got.Shed != 0 {
			t.Errorf("%+v, want nobody inside and nobody shed", got)
		}
	})
}

func TestRetryAfterFollowsThePace(t *testing.T) {
	for _, test := range []struct {
		name  string
		every time.Duration
		want  time.Duration
	}{
		{"never less than a second", 10 * time.Millisecond, time.Second},
		{"for each who waits as long as one has lately waited", 500 * time.Millisecond, 5 * time.Second},
		{"never more than a minute", 8 * time.Second, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Floor, c.Budget, c.MaxWait = 1, 1, time.Hour })
				r := w.known("r", mib)
				if got := w.RetryAfter(); got != time.Second {
					t.Errorf("%v before anybody has waited, want 1s", got)
				}
				holds := w.in(r)
				visits := map[*visit]bool{}
				for range 13 {
					visits[w.visit(background, r)] = true
				}
				for range 3 {
					time.Sleep(test.every)
					holds.Abandon()
					for v := range visits {
						if !v.waits() {
							holds = v.mustBeIn("it is its turn")
							delete(visits, v)
						}
					}
				}
				if got := w.RetryAfter(); got != test.want {
					t.Errorf("%v with 10 waiting, one let in every %v; want %v", got, test.every, test.want)
				}
				w.Close()
				holds.Abandon()
			})
		})
	}
}

func TestRoutesAreKeptByName(t *testing.T) {
	w := newWorld(t)
	a, b := w.Route("a"), w.Route("b")
	if a == b || a != w.Route("a") || b != w.Route("b") {
		t.Error("not one route for each name")
	}
}

func TestWhatTricklesCountsForLittle(t *testing.T) {
	for name, weight := range map[string]int64{"a heavy route": 20 * mib, "a light one": 1000} {
		for _, built := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, built: %v", name, built), func(t *testing.T) {
				w := newWorld(t)
				r := w.known("a", weight)
				a := w.in(r)
				w.allocated.Add(100 * mib) // by others
				if built {
					a.Built(mib)
				}
				a.Trickles()
				a.Trickles()
				a.Outgrown(50 * mib) // since it began
				if got := w.weight(a); got > lightWeight {
					t.Errorf("it weighs %d", got)
				}
				w.mu.Lock()
				working := w.working
				w.mu.Unlock()
				if working != 0 {
					t.Errorf("%d bytes are being worked on", working)
				}
				before := r.weight()
				if a.Leave(50*mib, 0); r.weight() > before {
					t.Errorf("its route has learned %d from %d", r.weight(), before)
				}
			})
		}
	}
}
