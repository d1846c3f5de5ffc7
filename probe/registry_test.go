package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainingFailsReadinessAndLeavesLiveness(t *testing.T) {
	r := made(t)
	for _, draining := range []bool{true, false, true} {
		r.SetDraining(draining)
		readiness := 200
		if draining {
			readiness = 503
		}
		wantStatus(t, r, "/readyz", readiness)
		wantStatus(t, r, "/healthz", readiness)
		wantStatus(t, r, "/livez", 200)
		wantStatus(t, r, "/startupz", 200)
		if s := r.Status(); s.Draining != draining || s.Ready == draining || !s.Live || !s.Started {
			t.Errorf("after SetDraining(%v): %+v", draining, s)
		}
	}
}

func TestCloseEndsRunningChecksByTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		r := made(t, WithReadiness("x", func(ctx context.Context) error {
			<-ctx.Done()
			cause = ctx.Err()
			return cause
		}, Timeout(time.Hour)))
		r.Start()
		synctest.Wait()
		began := time.Now()
		closeNow(t, r)
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if cause != context.Canceled {
			t.Errorf("the check's context ended with %v, want it canceled", cause)
		}
	})
}

func TestCloseReturnsByItsContextWhileACheckHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := made(t, WithReadiness("quick", pass),
			WithReadiness("hung", func(context.Context) error { <-release; return nil }))
		r.Start()
		synctest.Wait()

		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		began := time.Now()
		err := r.Close(ctx)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Close took %v, want the 3s of its context", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `"hung"`) || strings.Contains(err.Error(), "quick") {
			t.Errorf("Close: %v, want the deadline and the name of the hung check alone", err)
		}

		close(release)
		closeNow(t, r) // a second call waits for what is left
	})
}

func TestAClosedRegistryIsNotReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := made(t, WithLiveness("loop", func(context.Context) error { runs.Add(1); return nil }))
		r.Start()
		synctest.Wait()
		closeNow(t, r)
		r.Start()
		r.SetDraining(false)
		wantStatus(t, r, "/readyz", 503)
		wantStatus(t, r, "/livez", 200)
		time.Sleep(time.Minute)
		wantStatus(t, r, "/livez", 503) // nobody has looked for a minute
		if got := runs.Load(); got != 1 {
			t.Errorf("%d runs, want none after Close", got)
		}
	})
}

func TestCloseBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t, WithReadiness("x", pass))
		closeNow(t, r)
		r.Start()
		synctest.Wait()
		if runs := statusOf(t, r, "x").Runs; runs != 0 {
			t.Errorf("%d runs after Close", runs)
		}
		closeNow(t, r)
	})
}

func TestReleaseLeavesPathsToOthers(t *testing.T) {
	r := made(t)
	if got, want := r.Release("/healthz", "/nowhere"), []string{"/healthz"}; !slices.Equal(got, want) {
		t.Errorf("released %v, want %v", got, want)
	}
	if got := r.Release("/healthz"); got != nil {
		t.Errorf("released %v a second time", got)
	}
	if r.Match("/healthz") || !r.Match("/livez") {
		t.Error("want /livez served and /healthz not")
	}
	if got, want := slices.Sorted(slices.Values(r.Paths())), []string{"/livez", "/readyz", "/startupz"}; !slices.Equal(got, want) {
		t.Errorf("Paths() = %v, want %v", got, want)
	}
	wantStatus(t, r, "/healthz", 404)
}

func TestStatusHoldsWhatAnswersWithhold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t,
			WithLiveness("loop", pass),
			WithReadiness("db", func(context.Context) error {
				time.Sleep(20 * time.Millisecond)
				return errDown
			}))
		begin := time.Now()
		time.Sleep(time.Second)
		s := r.Status()
		if !s.Live || s.Ready || !s.Started || s.Draining || len(s.Checks) != 2 {
			t.Errorf("status %+v", s)
		}
		want := CheckStatus{
			Name: "db", Kind: Readiness, State: Fail, Err: errDown, LastErr: errDown,
			LastRun: begin.Add(20 * time.Millisecond), Took: 20 * time.Millisecond, Runs: 1,
		}
		if got := s.Checks[1]; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got := s.Checks[0]; !got.OK || got.Err != nil || got.LastErr != nil {
			t.Errorf("passing check: %+v", got)
		}
	})
}

// For the race detector, and for answers that hang together: whatever is
// going on, a probe sees 200 with "ok" or 503 with a list, and liveness is 200.
func TestProbesDuringEveryKindOfChange(t *testing.T) {
	var flip atomic.Bool
	r := made(t, WithReadiness("x", func(context.Context) error {
		if flip.Load() {
			return errDown
		}
		return nil
	}, Interval(100*time.Microsecond), Timeout(time.Minute)))

	var probers, changers sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		changers.Go(func() {
			for n := range 200 {
				switch i {
				case 0:
					r.SetDraining(n%2 == 0)
				case 1:
					flip.Store(n%2 == 0)
				case 2:
					r.Status()
				case 3:
					r.Start()
				}
			}
		})
		probers.Go(func() {
			for {
				w := get(r, "/readyz")
				if (w.Code == 200) != (w.Body.String() == "ok") {
					t.Errorf("%d with body %q", w.Code, w.Body)
				}
				if w := get(r, "/livez"); w.Code != 200 {
					t.Errorf("liveness %d", w.Code)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	changers.Wait()
	closeNow(t, r)
	close(done)
	probers.Wait()
}

// What the documentation says that a registry costs.
func TestGoroutinesOfARegistry(t *testing.T) {
	const checks = 20
	begun, release := make(chan struct{}, checks), make(chan struct{})
	var opts []Option
	for i := range checks {
		opts = append(opts, WithReadiness(fmt.Sprint("x", i), func(context.Context) error {
			begun <- struct{}{}
			<-release
			return nil
		}, Interval(time.Hour)))
	}
	for _, tt := range []struct {
		name       string
		opts       []Option
		announcers int
	}{{"with a hook", []Option{WithChangeHook(func(Change) {})}, 1}, {"without hooks", nil, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			r := started(t, append(tt.opts, opts...)...)
			watched(t, r, "loop", time.Hour)
			for range checks {
				<-begun
			}
			wantGoroutines(t, map[string]int{"(*check).loop": checks, "(*run).call": checks, "(*Registry).announce": tt.announcers})
			for range checks {
				release <- struct{}{}
			}
			wantGoroutines(t, map[string]int{"(*check).loop": checks, "(*run).call": 0, "(*Registry).announce": tt.announcers})
		})
	}
}

// wantGoroutines waits until so many goroutines of this package, in all, are in
// the functions.
func wantGoroutines(t *testing.T, want map[string]int) {
	t.Helper()
	const pkg = "github.com/probelane/probelane/probe."
	stacks := make([]byte, 1<<20)
	got := map[string]int{}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		clear(got)
		all, wanted := 0, 0
		for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if !strings.Contains(stack, "created by "+pkg+"(*") && !strings.Contains(stack, "created by "+pkg+"begin") {
				continue
			}
			all++
			for function := range want {
				if strings.Contains(stack, pkg+function+"(") {
					got[function]++
				}
			}
		}
		equal := true
		for function, n := range want {
			wanted += n
			equal = equal && got[function] == n
		}
		if equal && all == wanted {
			return
		}
	}
	t.Errorf("goroutines in %v, want %v and no others", got, want)
}
