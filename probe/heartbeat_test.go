package probe

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func watched(t testing.TB, r *Registry, name string, limit time.Duration) *Heartbeat {
	t.Helper()
	h, err := r.Heartbeat(name, limit)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAHeartbeatFailsLivenessOnceItIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t)
		time.Sleep(time.Hour) // a registry older than the loop
		h := watched(t, r, "consumer", time.Minute)
		for range 3 { // the making counts as a beat, and one mends what was late
			time.Sleep(time.Minute - 1)
			wantStatus(t, r, "/livez", 200)
			wantStatus(t, r, "/readyz", 200)
			if s := statusOf(t, r, "consumer"); s.Kind != Liveness || s.State != Pass || s.Err != nil || !s.LastRun.Equal(time.Now().Add(1-time.Minute)) {
				t.Errorf("%+v", s)
			}
			time.Sleep(time.Nanosecond)
			wantStatus(t, r, "/livez", 503)
			wantStatus(t, r, "/livez?verbose", 503)
			wantStatus(t, r, "/healthz", 503)
			wantStatus(t, r, "/readyz", 200)
			time.Sleep(time.Hour)
			wantStatus(t, r, "/livez", 503)
			if s := statusOf(t, r, "consumer"); s.State != Fail || s.Err != ErrNoHeartbeat {
				t.Errorf("%+v", s)
			}
			h.Beat()
			wantStatus(t, r, "/livez", 200)
		}
		for range 100 {
			time.Sleep(time.Minute - 1)
			h.Beat()
		}
		time.Sleep(time.Minute - 1)
		wantStatus(t, r, "/livez", 200)
	})
}

func TestTheLatestHeartbeatDoesNotHideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t)
		a, b := watched(t, r, "a", time.Second), watched(t, r, "b", time.Minute)
		for range 59 {
			time.Sleep(time.Second - 1)
			a.Beat()
			wantStatus(t, r, "/livez", 200)
		}
		time.Sleep(2 * time.Second)
		b.Beat()
		wantStatus(t, r, "/livez", 503)
		a.Beat()
		wantStatus(t, r, "/livez", 200)
	})
}

func TestALoopThatEndsTakesItsHeartbeatOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t)
		old := watched(t, r, "loop", time.Minute)
		time.Sleep(time.Hour)
		wantStatus(t, r, "/livez", 503)
		if err := r.Remove("loop"); err != nil {
			t.Error(err)
		}
		wantStatus(t, r, "/livez", 200)
		watched(t, r, "loop", time.Minute)
		time.Sleep(time.Hour)
		old.Beat() // helps nobody any more
		wantStatus(t, r, "/livez", 503)
	})
}

// A beat and a probe that finds the heartbeat late may come at the same moment.
func TestNoBeatIsLostToAProbe(t *testing.T) {
	r := made(t)
	h := watched(t, r, "loop", time.Hour)
	const rounds = 20_000
	long := 2 * h.limit // has passed
	var round, beaten atomic.Int32
	var group sync.WaitGroup
	group.Go(func() {
		for n := range int32(rounds) {
			for round.Load() <= n {
				runtime.Gosched()
			}
			h.beat(long)
			beaten.Store(n + 1)
		}
	})
	met := 0 // rounds in which the beat came while it was looked at
	for n := range int32(rounds) {
		h.last.Store(0)
		round.Store(n + 1)
		r.mu.Lock()
		v := h.verdict(long)
		r.mu.Unlock()
		for beaten.Load() <= n {
			runtime.Gosched()
		}
		if v.state == Fail && h.late.Load() {
			t.Fatalf("round %d: the beat does not know that it was taken for late", n)
		}
		if v.state == Pass {
			met++
		}
	}
	group.Wait()
	t.Logf("%d of %d beats came first", met, rounds)
}

func TestProbesAndBeatsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t)
		h := watched(t, r, "loop", time.Minute)
		for range 500 {
			time.Sleep(time.Hour)
			var group sync.WaitGroup
			group.Go(h.Beat)
			group.Go(func() { get(r, "/livez") })
			group.Go(func() { r.Status() })
			group.Wait()
			if w := get(r, "/livez"); w.Code != 200 {
				t.Fatalf("%d right after a beat", w.Code)
			}
		}
	})
}

func TestHeartbeatRejectsWithAdvice(t *testing.T) {
	r := made(t, WithReadiness("db", pass))
	for _, tt := range []struct {
		name  string
		limit time.Duration
		want  string
	}{
		{"loop", 0, `heartbeat "loop": its limit, 0s, must be positive`},
		{"loop", -1, "must be positive"},
		{"a b", time.Minute, "use letters"},
		{"db", time.Minute, `two checks are named "db"`},
		{"ping", time.Minute, "taken"},
	} {
		if h, err := r.Heartbeat(tt.name, tt.limit); h != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Heartbeat(%q, %v) = %v, %v; want an error with %q", tt.name, tt.limit, h, err, tt.want)
		}
	}
	closeNow(t, r)
	if h, err := r.Heartbeat("loop", time.Minute); h != nil || !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, %v", h, err)
	}
}

func TestHeartbeatsCostNoGoroutine(t *testing.T) {
	r := started(t)
	before := runtime.NumGoroutine()
	for i := range 100 {
		watched(t, r, fmt.Sprint("loop", i), time.Hour).Beat()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

func TestABeatAllocatesNothing(t *testing.T) {
	h := watched(t, made(t), "loop", time.Hour)
	if n := testing.AllocsPerRun(1000, h.Beat); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBeat(b *testing.B) {
	h := watched(b, made(b), "loop", time.Hour)
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Beat()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				h.Beat()
			}
		})
	})
}
