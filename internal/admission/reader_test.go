package admission

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// reading is a response of 45 MiB to a client.
type reading struct {
	w     *world
	t     *Ticket
	legs  []leg // at first
	rate  int64 // then, in bytes a second
	from  time.Time
	cut   atomic.Bool
	vague bool // sent lags behind
}

// leg is a time in which a client reads at a steady rate.
type leg struct {
	lasts time.Duration
	rate  int64 // bytes a second
}

// atOnce is what a client's kernel takes before the client reads.
func atOnce(bytes int64) leg { return leg{time.Millisecond, bytes * 1000} }

// read has a response wait for its client from now on.
func (w *world) read(a *Ticket, rate int64, first ...leg) *reading {
	r := &reading{w: w, t: a, legs: first, rate: rate, from: time.Now()}
	a.WaitsFor(r.sent, func() { r.cut.Store(true) })
	a.WaitBegin(1)
	return r
}

// sent is what its connection has taken, of this response and of earlier ones.
func (r *reading) sent() (bytes int64, exact bool) {
	n, left := 7.*mib, time.Since(r.from)
	for _, l := range r.legs {
		d := min(left, l.lasts)
		n += d.Seconds() * float64(l.rate)
		left -= d
	}
	return int64(n + left.Seconds()*float64(r.rate)), !r.vague
}

// end is what a handler does whose writes are over, or fail.
func (r *reading) end() {
	r.t.WaitEnd(1)
	r.t.grown = 45 * mib
	if r.cut.Load() {
		r.t.grown = mib // as far as it came
	}
	r.t.Leave(r.t.grown, 0)
}

// want checks who has been cut.
func want(t *testing.T, when string, cut map[*reading]bool) {
	t.Helper()
	synctest.Wait()
	for r, c := range cut {
		if got := r.cut.Load(); got != c {
			t.Errorf("%s: cut is %v for the client that reads %d bytes a second", when, got, r.rate)
		}
	}
}

const (
	readsFor = 5 * time.Second
	stopsFor = time.Second
)

// slowWorld has a budget of 100 MiB, for two responses of 45 MiB.
func slowWorld(t *testing.T) (*world, *Route) {
	w := newWorld(t, func(c *Config) {
		c.MinReadRate, c.ReadsFor, c.StopsFor, c.MaxWait = 100*kib, readsFor, stopsFor, time.Hour
	})
	w.procs.Store(100)
	return w, w.known("r", 45*mib)
}

func TestTheSlowestClientIsCutForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a, b := w.read(w.in(r), 50*kib), w.read(w.in(r), 20*kib)
		time.Sleep(time.Hour)
		want(t, "as long as nobody waits", map[*reading]bool{a: false, b: false})

		v := w.visit(background, r)
		want(t, "as soon as somebody waits", map[*reading]bool{a: false, b: true})
		time.Sleep(readsFor - time.Second)
		v.mustWait("the one that was cut has not left")
		want(t, "while it leaves", map[*reading]bool{a: false})
		b.end()
		v.mustBeIn("it has").Abandon()
		if got := w.weight(b.t); got != 0 {
			t.Errorf("what was cut still weighs %d", got)
		}
		a.end()
		if got := r.weight(); got != 45*mib {
			t.Errorf("a response that was cut short has taught its route a weight of %d", got)
		}
	})
}

func TestAHandlerThatDoesNotEndKeepsNobodyElseFromBeingCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a, b := w.read(w.in(r), 50*kib), w.read(w.in(r), 20*kib)
		time.Sleep(time.Hour)
		v := w.visit(background, r)
		time.Sleep(2 * readsFor)
		want(t, "after a while", map[*reading]bool{a: true, b: true})
		a.end()
		v.mustBeIn("one of them has left").Abandon()
		b.end()
	})
}

func TestWhoIsNotCut(t *testing.T) {
	tests := []struct {
		name  string
		setup func(w *world, r *Route) *reading // one of two inside
	}{
		{"a client that reads fast enough", func(w *world, r *Route) *reading {
			return w.read(w.in(r), 101*kib)
		}},
		{"a client that pauses and makes up for it", func(w *world, r *Route) *reading {
			var legs []leg
			for range 30 {
				legs = append(legs, leg{900 * time.Millisecond, 0}, leg{time.Second, 200 * kib})
			}
			return w.read(w.in(r), mib, legs...)
		}},
		{"a client far away, whose connection begins slowly", func(w *world, r *Route) *reading {
			w.cfg.MinReadRate = mib
			var legs []leg
			for sent := int64(14_600); sent < 2*mib; sent *= 2 {
				legs = append(legs, leg{599 * time.Millisecond, 0}, atOnce(sent))
			}
			return w.read(w.in(r), 2*mib, legs...)
		}},
		{"a client whose handler takes its time", func(w *world, r *Route) *reading {
			a := w.read(w.in(r), 0, leg{500 * time.Millisecond, 0}, leg{500 * time.Millisecond, 100 * kib})
			time.Sleep(time.Second)
			a.t.WaitEnd(1)
			time.Sleep(time.Hour) // the app's own, not the client's
			return w.read(a.t, 101*kib)
		}},
		{"a response that does not wait", func(w *world, r *Route) *reading {
			a := w.read(w.in(r), kib)
			time.Sleep(time.Minute)
			a.t.WaitEnd(1)
			return a
		}},
		{"a response of which nobody knows how it is read", func(w *world, r *Route) *reading {
			a := &reading{w: w, t: w.in(r)}
			a.t.WaitBegin(1)
			return a
		}},
		{"any while no rate is set", func(w *world, r *Route) *reading {
			w.cfg.MinReadRate = 0
			return w.read(w.in(r), 0)
		}},
		{"a slow client while others are kept out by what is worked on", func(w *world, r *Route) *reading {
			w.procs.Store(1)
			return w.read(w.in(r), 0)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, r := slowWorld(t)
				a := tt.setup(w, r)
				b := w.in(r)
				v := w.visit(background, r)
				time.Sleep(30 * time.Second)
				v.mustWait("there is no room")
				want(t, "after half a minute", map[*reading]bool{a: false})
				b.Abandon()
				v.mustBeIn("there is").Abandon()
				a.t.Abandon()
			})
		})
	}
}

func TestAClientIsGivenTimeToShowHowItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		for _, tt := range []struct {
			name  string
			first []leg
			rate  int64
			vague bool
			time  time.Duration
		}{
			{"it has stopped", nil, 0, false, stopsFor},
			{"perhaps it has stopped", nil, 0, true, readsFor},
			{"half as fast as it should be", []leg{atOnce(beginning)}, 50 * kib, false, 2 * stopsFor},
			{"the same, where that is not known at once", []leg{atOnce(beginning)}, 50 * kib, true, 2 * readsFor},
			{"its connection begins", nil, 20 * kib, false, readsFor * 5 / 4},
			{"its kernel has taken much at first", []leg{atOnce(6 * mib)}, 50 * kib, false, 2 * stopsFor},
			{"it has read fast for long", []leg{{time.Minute, 200 * kib}}, 50 * kib, false, time.Minute + 2*stopsFor},
			{"it has paused and not made up for it", []leg{atOnce(beginning), {900 * time.Millisecond, 0}, {800 * time.Millisecond, 150 * kib}}, 50 * kib, false,
				3 * time.Second},
		} {
			a, b := w.read(w.in(r), tt.rate, tt.first...), w.in(r)
			a.vague = tt.vague
			v := w.visit(background, r)
			time.Sleep(tt.time - time.Millisecond)
			want(t, tt.name+", at first", map[*reading]bool{a: false})
			time.Sleep(2 * looksEvery)
			want(t, tt.name+", then", map[*reading]bool{a: true})
			a.end()
			v.mustBeIn("it has left").Abandon()
			b.Abandon()
		}
	})
}

// Nobody looks while nobody waits.
func TestAClientThatHasBecomeSlowIsNotedBeforeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a, b := w.read(w.in(r), 50*kib, atOnce(6*mib)), w.in(r)
		time.Sleep(time.Minute)
		v := w.visit(background, r)
		want(t, "all in all it is on time", map[*reading]bool{a: false})
		time.Sleep(2*stopsFor + 2*looksEvery)
		want(t, "for some time it has not been", map[*reading]bool{a: true})
		a.end()
		v.mustBeIn("it has left").Abandon()
		b.Abandon()
	})
}

// crowd are clients in a closed loop, as in examples/starvation: a response
// takes 10 ms to be made, and then as long as its client reads.
type crowd struct {
	w                     *world
	r                     *Route
	size                  int64 // of a response
	end                   time.Time
	done                  sync.WaitGroup
	fast, slow, cut, shed atomic.Int64 // responses that came to an end, and those that did not
}

const crowdWeight = 18 * mib

func newCrowd(t *testing.T, lasts time.Duration) *crowd {
	w := newWorld(t, func(c *Config) {
		c.Budget, c.WorkingSet, c.MaxWaiting, c.MaxWait = 256*mib, 48*mib, 1000, 15*time.Second
		c.MinReadRate, c.ReadsFor, c.StopsFor = mib, readsFor, stopsFor
	})
	return &crowd{w: w, r: w.known("r", crowdWeight), size: crowdWeight, end: time.Now().Add(lasts)}
}

// clients come, whose kernels take so much at once, and which then take bytes at
// every tick.
func (c *crowd) clients(n int, atOnce int64, tick time.Duration, bytes int64, ended *atomic.Int64) {
	for range n {
		c.done.Go(func() {
			var taken atomic.Int64 // of its connection
			keepsUp := false
			for time.Now().Before(c.end) {
				a, err := c.w.Enter(background, c.r, keepsUp)
				if err != nil {
					c.shed.Add(1)
					time.Sleep(time.Second)
					continue
				}
				cut := make(chan struct{})
				a.WaitsFor(func() (int64, bool) { return taken.Load(), true }, func() { close(cut) })
				time.Sleep(10 * time.Millisecond)
				a.Built(c.size)
				a.WaitBegin(1)
				taken.Add(atOnce)
				left, wasCut := c.size-atOnce, false
				for left > 0 && !wasCut && time.Now().Before(c.end) {
					select {
					case <-cut:
						wasCut = true
					case <-time.After(tick):
						taken.Add(bytes)
						left -= bytes
					}
				}
				a.WaitEnd(1)
				switch {
				case wasCut:
					a.Abandon()
					keepsUp = false // on another connection
					c.cut.Add(1)
				case left > 0:
					a.Abandon()
				default:
					a.Leave(c.size, c.size)
					keepsUp, _ = a.KeptUp()
					ended.Add(1)
				}
			}
		})
	}
}

// Who is let in is a matter of chance. With 48 fast clients it happens once in
// 10,000 times that so many slow ones come before as may be cut.
func TestFastClientsGetOnBesideACrowdOfSlowOnes(t *testing.T) {
	const lasts = 30 * time.Second
	serve := func(name string, others func(*crowd)) (fast int64) {
		synctest.Test(t, func(t *testing.T) {
			c := newCrowd(t, lasts)
			others(c)
			synctest.Wait() // they come first
			c.clients(48, 0, time.Millisecond, crowdWeight, &c.fast)
			c.done.Wait()
			fast = c.fast.Load()
			t.Logf("%s: %d fast responses, %d slow ones, %d cut, %d shed", name, fast, c.slow.Load(), c.cut.Load(), c.shed.Load())
		})
		return fast
	}
	stalled := func(c *crowd, n int) { c.clients(n, 0, lasts, 0, &c.slow) }
	slow := func(c *crowd, n int, atOnce int64) {
		c.clients(n, atOnce, 100*time.Millisecond, 50_000, &c.slow)
	}
	alone := serve("alone", func(*crowd) {})
	for name, others := range map[string]func(*crowd){
		"beside 100 that stall and 100 that are slow": func(c *crowd) { stalled(c, 100); slow(c, 100, 0) },
		"beside 200 that are slow":                    func(c *crowd) { slow(c, 200, 0) },
		"beside 200 whose kernels take 6 MiB at once": func(c *crowd) { slow(c, 200, 6*mib) },
	} {
		if n := serve(name, others); n*2 < alone {
			t.Errorf("%s, %d responses to fast clients in %v; alone it is %d", name, n, lasts, alone)
		}
	}
}

func TestACrowdOfSlowClientsComesToTheEnd(t *testing.T) {
	for name, atOnce := range map[string]int64{"at a steady rate": 0, "with kernels that take 6 MiB at once": 6 * mib} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, 5*time.Minute)
				c.clients(100, atOnce, 100*time.Millisecond, 50_000, &c.slow)
				c.done.Wait()
				ended, cut := c.slow.Load(), c.cut.Load()
				// At 0.5 MB/s a response takes 38 s, and the budget is one for 14.
				if least := int64(14 * 5); ended < least {
					t.Errorf("%d responses came to the end in five minutes, want %d at least", ended, least)
				}
				if most := (maxCredit*c.w.cfg.Budget+ended*crowdWeight/slowPerCredit)/crowdWeight + 1; cut > most {
					t.Errorf("%d were cut and %d came to the end, want %d cut at the most", cut, ended, most)
				}
			})
		})
	}
}

func TestWhereAllAreSlowMostMayFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		b := w.in(r)
		credit, weight := maxCredit*w.cfg.Budget, r.weight()
		serve := func(rate int64) (cut bool) {
			a := w.read(w.in(r), rate)
			v := w.visit(background, r)
			time.Sleep(time.Minute)
			synctest.Wait()
			a.end()
			v.mustBeIn("another one has left").Abandon()
			return a.cut.Load()
		}
		slowOnes := func(n int) (cut int) {
			for i := range n {
				got := serve(10 * kib)
				if want := credit > 0; got != want {
					t.Fatalf("client %d of %d: cut is %v, want %v", i, n, got, want)
				}
				if got {
					credit -= weight
					cut++
				} else {
					credit += weight / slowPerCredit
				}
			}
			return cut
		}
		// A budget is two of them and some.
		if n := slowOnes(20); n < 2*maxCredit || n == 20 {
			t.Errorf("%d of 20 were cut", n)
		}
		for range 2 {
			if serve(mib) {
				t.Error("a fast one was cut")
			}
			credit += weight
		}
		if n := slowOnes(20); n < 5 || n > 8 {
			t.Errorf("%d of 20 were cut, where two fast ones had been served", n)
		}
		for range 2 {
			if !serve(kib) {
				t.Error("one that would take hours was not cut, though that costs nothing")
			}
		}
		b.Abandon()
	})
}

// That those end whose responses are small is not the merit of the others.
func TestSlowClientsOfSmallResponsesDoNotPayForCuttingThoseOfLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 5*time.Minute)
		small := &crowd{w: c.w, r: c.w.known("small", mib), size: mib, end: c.end}
		c.clients(100, 0, 100*time.Millisecond, 50_000, &c.slow)
		small.clients(20, 0, 100*time.Millisecond, 50_000, &small.slow)
		c.done.Wait()
		small.done.Wait()
		if ended := c.slow.Load(); ended < 35 {
			t.Errorf("%d large responses came to the end in five minutes and %d were cut, beside %d small ones", ended, c.cut.Load(), small.slow.Load())
		}
	})
}

// Seven responses of 12 MiB leave 16 MiB of the budget, to the first who comes.
func TestAsManyAreCutAsThoseWhoWaitNeed(t *testing.T) {
	const weight = 12 * mib
	for waiting, cut := range []int{0, 0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := slowWorld(t)
			r := w.known("r12", weight)
			var stopped []*reading
			for range 7 {
				stopped = append(stopped, w.read(w.in(r), 0))
			}
			time.Sleep(time.Minute)
			var visits []*visit
			in := 0
			for range waiting {
				visits = append(visits, w.visit(background, r))
			}
			time.Sleep(stopsFor + 2*looksEvery)
			n := 0
			for _, a := range stopped {
				if a.cut.Load() {
					n++
				}
				a.end()
			}
			for _, v := range visits {
				v.mustBeIn("all have left").Abandon()
				in++
			}
			if n != cut || in != waiting {
				t.Errorf("%d were cut for %d who waited, want %d", n, waiting, cut)
			}
		})
	}
}

func TestWhoHoldsNextToNothingIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a := w.in(r)
		a.Opened() // an event stream, or a conversation
		quiet := w.read(a, 0)
		b, c := w.read(w.in(r), mib), w.read(w.in(r), mib)
		v := w.visit(background, r)
		time.Sleep(time.Minute)
		want(t, "though it has taken nothing", map[*reading]bool{quiet: false, b: false, c: false})
		b.end()
		v.mustBeIn("one has left").Abandon()
		c.end()
		quiet.t.Abandon()
	})
}

func TestRequestsWhoseBodiesArriveKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t) // with a working set of 40 MiB
		r := w.known("r", 20*mib)
		a, b := w.in(r), w.in(r)
		v := w.visit(background, r)
		v.mustWait("two are worked on")
		a.WaitBegin(1)
		v.mustBeIn("one of them waits for its client").Abandon()
		a.WaitEnd(1)
		v = w.visit(background, r)
		v.mustWait("two are worked on again")
		a.Abandon()
		v.mustBeIn("one has left").Abandon()
		b.Abandon()
	})
}

// A request that waits for its body builds nothing: what others allocate then is
// theirs alone.
func TestWhatIsAllocatedWhileABodyArrivesIsNotForIt(t *testing.T) {
	w := newWorld(t)
	r := w.known("r", 4*mib)
	a, b := w.in(r), w.in(r)
	a.WaitBegin(1)
	w.allocated.Add(2 * mib)
	b.Built(0)
	if got, want := w.weight(b), int64(2*mib*2/3); got != want {
		t.Errorf("the one that builds weighs %d, want %d: two were building when it entered, and one is", got, want)
	}
	a.WaitEnd(1)
	w.allocated.Add(mib)
	a.Built(0)
	if got, want := w.weight(a), int64(mib*2/2); got != want {
		t.Errorf("the one whose body arrived weighs %d, want %d", got, want)
	}
	a.Abandon()
	b.Abandon()
	c := w.in(r)
	c.WaitBegin(1)
	c.Built(0) // by another goroutine
	c.WaitEnd(1)
	d := w.in(r)
	d.WaitBegin(1)
	d.Abandon()
	d.WaitEnd(1)
	c.Abandon()
}

func TestARequestThatReadsAndWritesAtOnceWaitsOnce(t *testing.T) {
	w := newWorld(t)
	r := w.known("r", 20*mib)
	a := w.in(r)
	working := func() int64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.working
	}
	for i, step := range []struct {
		do   func(int)
		want int64
	}{{a.WaitBegin, 0}, {a.WaitBegin, 0}, {a.WaitEnd, 0}, {a.WaitEnd, 20 * mib}, {a.WaitEnd, 20 * mib}} {
		if step.do(1); working() != step.want {
			t.Errorf("step %d: %d are worked on, want %d", i, working(), step.want)
		}
	}
	a.Abandon()
}

// visitFast is visit for a client that is known to be fast.
func (w *world) visitFast(r *Route) *visit {
	v := &visit{w: w, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.t, v.err = w.Enter(background, r, true)
	}()
	synctest.Wait()
	return v
}

func TestRoomIsLeftToClientsKnownToBeFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := slowWorld(t)
		w.procs.Store(1) // a working set of 40 MiB
		r := w.known("r20", 20*mib)
		var slow []*reading
		for range 3 { // what is left of the budget of 100 MiB
			slow = append(slow, w.read(w.in(r), mib))
		}
		time.Sleep(time.Second)
		first := w.visitFast(r).mustBeIn("there is room")
		v := w.visit(background, r)
		v.mustWait("the rest is left to fast ones")
		second := w.visitFast(r).mustBeIn("it is fast, and may overtake who could not enter")
		third := w.visitFast(r)
		third.mustWait("all is used up")
		first.Abandon()
		third.mustBeIn("of those who wait it is the one that may").Abandon()
		second.Abandon()
		v.mustWait("a fast one has only just been here")
		time.Sleep(2 * fastFor)
		v.mustBeIn("they come no more").Abandon()
		for _, a := range slow {
			if a.cut.Load() {
				t.Error("one that is not slow was cut")
			}
			a.end()
		}
	})
}

// Nobody knows yet how they are going to be read.
func TestResponsesInTheMakingDoNotUseRoomThatIsLeftToFastClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := slowWorld(t)
		w.procs.Store(1) // a working set of 40 MiB
		r := w.known("r20", 20*mib)
		time.Sleep(time.Second)
		w.visitFast(r).mustBeIn("there is room").Abandon()
		a, b := w.read(w.in(r), mib), w.read(w.in(r), mib)
		made := w.in(r)
		v := w.visit(background, r)
		v.mustWait("60 MiB of 100 are used by those who are not known")
		w.visitFast(r).mustBeIn("the rest is left to fast ones").Abandon()
		made.Abandon()
		v.mustBeIn("one of the others has left").Abandon()
		a.end()
		b.end()
	})
}

// However long it waits: others would take each place that becomes free.
func TestRoomIsLeftToAFastClientThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := slowWorld(t)
		w.procs.Store(1)
		r := w.known("r20", 20*mib)
		var slow []*reading
		for range 5 { // the budget of 100 MiB
			slow = append(slow, w.read(w.in(r), mib))
		}
		other := w.visit(background, r)
		other.mustWait("all is used up")
		fast := w.visitFast(r)
		fast.mustWait("all is used up")
		time.Sleep(2 * fastFor)
		slow[0].t.Abandon()
		other.mustWait("a fast one has waited for this")
		fast.mustBeIn("there is room for it").Abandon()
		for _, a := range slow[1:] {
			a.t.Abandon()
		}
		other.mustBeIn("there is room for all").Abandon()
	})
}

// Who was cut comes back at once. Where the last to come is the first to be let
// in, because all wait long, nobody else would ever be.
func TestRoomThatCutsHaveMadeIsForAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a, b := w.read(w.in(r), mib), w.read(w.in(r), mib)
		patient := w.visit(background, r)
		patient.mustWait("all is used up")
		time.Sleep(40 * time.Minute) // of the hour that it may wait
		next := w.visit(background, r)
		a.end()
		patient.mustWait("the last goes first")
		for range 100 {
			holder := w.read(next.mustBeIn("there is room"), 0)
			next = w.visit(background, r)
			time.Sleep(2 * stopsFor)
			want(t, "by now", map[*reading]bool{holder: true, b: false})
			holder.end()
			synctest.Wait()
			select {
			case <-patient.done:
				patient.t.Abandon()
				next.mustBeIn("there is room").Abandon()
				b.end()
				return
			default:
			}
		}
		t.Fatal("one that waits was let in never, others a hundred times")
	})
}

func TestWhoHasStoppedIsCutForThoseWhoMayNotUseWhatIsLeftToFastOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := slowWorld(t)
		w.procs.Store(1)
		r := w.known("r20", 20*mib)
		a, b, c := w.read(w.in(r), 0), w.read(w.in(r), mib), w.read(w.in(r), mib)
		time.Sleep(time.Second)
		w.visitFast(r).mustBeIn("there is room").Abandon()
		v := w.visit(background, r)
		v.mustWait("the rest is left to fast ones")
		for range 2 * stopsFor / (fastFor / 2) {
			w.visitFast(r).mustBeIn("room is left to it").Abandon()
			time.Sleep(fastFor / 2)
		}
		want(t, "after a while", map[*reading]bool{a: true, b: false, c: false})
		a.end()
		v.mustBeIn("it has left").Abandon()
		b.end()
		c.end()
	})
}

func TestKeptUp(t *testing.T) {
	for _, tt := range []struct {
		name       string
		serve      func(w *world, r *Route) *Ticket
		yes, known bool
	}{
		{"a fast client", func(w *world, r *Route) *Ticket {
			a := w.read(w.in(r), mib)
			time.Sleep(time.Second)
			a.end()
			return a.t
		}, true, true},
		{"one that was never waited for", func(w *world, r *Route) *Ticket {
			a := w.in(r)
			a.WaitsFor(func() (int64, bool) { return 0, true }, func() {})
			a.Leave(45*mib, 0)
			return a
		}, true, true},
		{"one that is slow, after however short a time", func(w *world, r *Route) *Ticket {
			a := w.read(w.in(r), 90*kib)
			time.Sleep(time.Second)
			a.end()
			return a.t
		}, false, true},
		{"a slow one", func(w *world, r *Route) *Ticket {
			a := w.read(w.in(r), 10*kib)
			time.Sleep(time.Minute)
			a.end()
			return a.t
		}, false, true},
		{"one that is not watched", func(w *world, r *Route) *Ticket {
			a := w.in(r)
			a.Leave(45*mib, 0)
			return a
		}, false, false},
		{"one that was not answered in full", func(w *world, r *Route) *Ticket {
			a := w.read(w.in(r), mib)
			a.t.Abandon()
			return a.t
		}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, r := slowWorld(t)
				if yes, known := tt.serve(w, r).KeptUp(); yes != tt.yes || known != tt.known {
					t.Errorf("%v, known %v; want %v, %v", yes, known, tt.yes, tt.known)
				}
			})
		})
	}
}

// What moves between two waits counts, too: a body that comes in bursts is read in
// small pieces, and only the first of each is waited for.
func TestABurstThatIsReadInPiecesCountsInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		w.cfg.MinReadRate = mib
		a, b := w.in(r), w.in(r)
		var taken atomic.Int64
		var cut atomic.Bool
		a.WaitsFor(func() (int64, bool) { return taken.Load(), true }, func() { cut.Store(true) })
		v := w.visit(background, r)
		for range 100 { // 2 MB/s
			a.WaitBegin(1)
			time.Sleep(100 * time.Millisecond)
			taken.Add(4_000)
			a.WaitEnd(1)
			taken.Add(196_000)
		}
		synctest.Wait()
		if cut.Load() {
			t.Error("a client that keeps up was cut")
		}
		a.Abandon()
		v.mustBeIn("one has left").Abandon()
		b.Abandon()
	})
}

// Those known to be fast may keep the working set full. Others wait for memory all
// the same, and those who have stopped are cut for them.
func TestWhoHasStoppedIsCutWhileFastClientsKeepTheProcessorsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := slowWorld(t)
		w.procs.Store(1)
		r := w.known("r20", 20*mib)
		stopped := []*reading{w.read(w.in(r), 0), w.read(w.in(r), 0), w.read(w.in(r), 0)}
		busy, end := context.WithCancel(background)
		var fast sync.WaitGroup
		for range 3 {
			fast.Go(func() {
				for busy.Err() == nil {
					a, err := w.Enter(busy, r, true)
					if err != nil {
						return
					}
					time.Sleep(10 * time.Millisecond)
					a.Abandon()
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		v := w.visit(background, r)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		cut := false
		for _, a := range stopped {
			cut = cut || a.cut.Load()
			a.end()
		}
		if !cut {
			t.Error("none of them was cut")
		}
		end()
		fast.Wait()
		v.mustBeIn("they have left").Abandon()
	})
}

// A cut that comes when its request waits no more leaves nothing behind.
func TestACutThatComesTooLateIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a, b := w.read(w.in(r), 0), w.in(r)
		v := w.visit(background, r)
		time.Sleep(2 * time.Second)
		want(t, "after two seconds", map[*reading]bool{a: true})
		a.t.WaitEnd(1) // it has not been hit
		time.Sleep(10 * time.Second)
		a.t.WaitBegin(1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		a.end()
		v.mustBeIn("it has left").Abandon()
		b.Abandon()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.leaving != 0 {
			t.Errorf("%d MiB are leaving, and nobody is inside", w.leaving/mib)
		}
	})
}

// A connection begins slowly where packets need long, whenever somebody looks, and
// whatever has been sent on it before.
func TestAConnectionBeginsSlowly(t *testing.T) {
	begins := func(rtt time.Duration) (legs []leg) {
		for sent := int64(14_600); sent < 700*kib; sent *= 2 {
			legs = append(legs, leg{rtt - time.Millisecond, 0}, atOnce(sent))
		}
		return legs
	}
	for _, c := range []struct {
		name   string
		rate   int64
		upload int64
		looks  time.Duration
		rtt    time.Duration
	}{
		{"looked at from the beginning", 1200 * kib, 0, 0, 600 * time.Millisecond},
		{"looked at after 6 s", 1200 * kib, 0, 6 * time.Second, 600 * time.Millisecond},
		{"looked at after 15 s", 1200 * kib, 0, 15 * time.Second, 600 * time.Millisecond},
		{"after a body of 300 KiB", 6 * mib, 300 * kib, 0, 300 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, r := slowWorld(t)
				w.cfg.MinReadRate = mib
				legs := begins(c.rtt)
				if c.upload > 0 {
					legs = append([]leg{{c.rtt - time.Millisecond, 0}, atOnce(c.upload)}, legs...)
				}
				a, b := w.read(w.in(r), c.rate, legs...), w.in(r)
				if c.upload > 0 {
					time.Sleep(c.rtt)
				}
				a.t.WaitEnd(1)
				a.t.Built(45 * mib)
				a.t.WaitBegin(1)
				time.Sleep(c.looks)
				v := w.visit(background, r)
				time.Sleep(3 * time.Second)
				want(t, "after 3 s", map[*reading]bool{a: false})
				a.end()
				v.mustBeIn("it has left").Abandon()
				b.Abandon()
			})
		})
	}
}

// The time for which the process stands still is not held against clients.
func TestClientsAreNotLateWhileTheProcessStandsStill(t *testing.T) {
	for _, freeze := range []time.Duration{1500 * time.Millisecond, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w, r := slowWorld(t)
			w.cfg.MinReadRate = mib
			start := time.Now()
			var frozen atomic.Int64
			w.cfg.nanoseconds = func() int64 { return int64(time.Since(start)) + frozen.Load() }
			a, b := w.read(w.in(r), 3*mib), w.in(r)
			v := w.visit(background, r)
			time.Sleep(3100 * time.Millisecond)
			frozen.Add(int64(freeze))
			time.Sleep(time.Second)
			want(t, "after it", map[*reading]bool{a: false})
			a.end()
			v.mustBeIn("it has left").Abandon()
			b.Abandon()
		})
	}
}

// One that begins to wait while the keeper is late has not been waited for yet.
func TestAStandstillIsNotCreditedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		a := w.read(w.in(r), 0)
		time.Sleep(10 * time.Millisecond)
		w.stoodStill(int64(time.Second))
		a.t.WaitEnd(1)
		if got := a.t.reader.over.waited; got < 0 {
			t.Errorf("it has been waited for %v", time.Duration(got))
		}
		a.t.Abandon()
	})
}
