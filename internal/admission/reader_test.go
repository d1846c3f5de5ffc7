package admission

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// reading is a response of 45 MiB to a client that reads at a steady rate.
type reading struct {
	w    *world
	t    *Ticket
	rate int64 // bytes a second
	from time.Time
	cut  atomic.Bool
}

// read has a response wait for its client from now on.
func (w *world) read(a *Ticket, rate int64) *reading {
	r := &reading{w: w, t: a, rate: rate, from: time.Now()}
	a.WaitsFor(r.sent, func() { r.cut.Store(true) })
	a.WaitBegin(1)
	return r
}

// sent is what its connection has taken, of this response and of earlier ones.
func (r *reading) sent() int64 {
	return 7*mib + int64(time.Since(r.from).Seconds()*float64(r.rate))
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

const readsFor = 5 * time.Second

// slowWorld has a budget of 100 MiB, for two responses of 45 MiB.
func slowWorld(t *testing.T) (*world, *Route) {
	w := newWorld(t, func(c *Config) { c.MinReadRate, c.ReadsFor, c.MaxWait = 100*kib, readsFor, time.Hour })
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
			return w.read(w.in(r), 100*kib)
		}},
		{"a client that was fast before", func(w *world, r *Route) *reading {
			a := w.read(w.in(r), mib)
			time.Sleep(time.Minute)
			a.t.WaitEnd(1)
			time.Sleep(time.Hour) // the app's own time, not the client's
			return w.read(a.t, kib)
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
		a, b := w.read(w.in(r), 0), w.in(r)
		v := w.visit(background, r)
		time.Sleep(readsFor - time.Millisecond)
		want(t, "at first", map[*reading]bool{a: false})
		time.Sleep(unknownFor)
		want(t, "then", map[*reading]bool{a: true})
		a.end()
		v.mustBeIn("it has left").Abandon()
		b.Abandon()
	})
}

func TestWhereAllAreSlowMostMayFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := slowWorld(t)
		b := w.in(r)
		serve := func(rate int64) (cut bool) {
			a := w.read(w.in(r), rate)
			v := w.visit(background, r)
			time.Sleep(time.Minute)
			synctest.Wait()
			a.end()
			v.mustBeIn("another one has left").Abandon()
			return a.cut.Load()
		}
		for i := range maxCredit {
			if !serve(kib) {
				t.Fatalf("client %d was not cut", i)
			}
		}
		if serve(kib) {
			t.Error("one more was cut, though none of them was fast")
		}
		if serve(mib) {
			t.Error("a fast one was cut")
		}
		if !serve(kib) || serve(kib) {
			t.Error("a fast one has been served: that is worth one that is cut, not more")
		}
		if got := w.Stats().Cut; got != maxCredit+1 {
			t.Errorf("%d were cut", got)
		}
		b.Abandon()
	})
}
