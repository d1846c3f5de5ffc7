package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsDegradedAndWhatFails(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want State
	}{
		{"nil", nil, Pass},
		{"a marked nil", Degraded(nil), Pass},
		{"an error without a mark", errDown, Fail},
		{"a marked error", Degraded(errDown), Warn},
		{"wrapped after it was marked", fmt.Errorf("replica: %w", Degraded(errDown)), Warn},
		{"joined marked errors", errors.Join(Degraded(errDown), fmt.Errorf("x: %w", Degraded(errDown))), Warn},
		{"joined with one that has no mark", errors.Join(Degraded(errDown), errDown), Fail},
		{"several wrapped, one without a mark", fmt.Errorf("%w, %w", errDown, Degraded(errDown)), Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := started(t, WithReadiness("x", func(context.Context) error { return tt.err }))
				synctest.Wait()
				s := statusOf(t, r, "x")
				if s.State != tt.want || s.OK != (tt.want != Fail) || s.Err != tt.err || s.LastErr != tt.err {
					t.Errorf("%+v, want the state %v", s, tt.want)
				}
			})
		})
	}
	t.Run("a panic with a marked error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := started(t, WithReadiness("x", func(context.Context) error { panic(Degraded(errDown)) }))
			synctest.Wait()
			if s := statusOf(t, r, "x"); s.State != Fail || !errors.Is(s.Err, errDown) {
				t.Errorf("%+v", s)
			}
		})
	})
}

// unwrapFunc is an error whose Unwrap does whatever a test wants.
type unwrapFunc func() error

func (unwrapFunc) Error() string   { return "odd" }
func (f unwrapFunc) Unwrap() error { return f() }

func TestAnErrorThatMisbehavesFailsItsCheckAlone(t *testing.T) {
	for name, odd := range map[string]unwrapFunc{
		"panics":             func() error { panic("boom") },
		"ends its goroutine": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := started(t, WithReadiness("x", func(context.Context) error { return odd }), WithReadiness("y", pass))
				time.Sleep(round)
				if x, y := statusOf(t, r, "x"), statusOf(t, r, "y"); x.State != Fail || x.Runs != 2 || y.State != Pass {
					t.Errorf("%+v, %+v", x, y)
				}
			})
		})
	}
	t.Run("uses the registry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var r *Registry
			odd := unwrapFunc(func() error { r.Status(); return Degraded(errDown) })
			r = made(t, WithReadiness("x", func(context.Context) error { return odd }))
			r.Start()
			defer closeNow(t, r)
			synctest.Wait()
			if x := statusOf(t, r, "x"); x.State != Warn {
				t.Errorf("%+v", x)
			}
		})
	})
}

func TestADegradedCheckIsSeenAndFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t, WithReadiness("replica", func(context.Context) error { return Degraded(errDown) }))
		synctest.Wait()
		wantStatus(t, r, "/readyz", 200)
		if got, want := get(r, "/readyz?verbose").Body.String(),
			"[+]ping ok\n[+]shutdown ok\n[+]replica degraded: reason withheld\nreadyz check passed\n"; got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		if s := r.Status(); !s.Ready || !s.Live || !s.Started {
			t.Errorf("%+v", s)
		}
	})
}

func TestThresholdsCountDegradedAsASuccess(t *testing.T) {
	results := []error{Degraded(errDown), errDown, Degraded(errDown), Degraded(errDown), nil, errDown, errDown, nil, nil}
	states := []State{Fail, Fail, Fail, Warn, Pass, Pass, Fail, Fail, Pass}
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		r := started(t, WithReadiness("x", func(context.Context) error { return results[n.Load()] },
			FailureThreshold(2), SuccessThreshold(2)))
		for i, want := range states {
			synctest.Wait()
			if got := statusOf(t, r, "x").State; got != want {
				t.Errorf("after %d results: %v, want %v", i+1, got, want)
			}
			if i+1 < len(results) {
				n.Add(1)
				for runs := statusOf(t, r, "x").Runs; statusOf(t, r, "x").Runs == runs; {
					time.Sleep(time.Second)
				}
			}
		}
	})
}

func TestADegradedResultTurnsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t, WithReadiness("x", pass))
		r.report(r.checks[0], result{err: Degraded(errDown), degraded: true, at: time.Now()})
		wantStatus(t, r, "/readyz", 200)
		time.Sleep(31 * time.Second)
		wantStatus(t, r, "/readyz", 503)
		if s := statusOf(t, r, "x"); s.State != Fail || s.Err != ErrStale {
			t.Errorf("%+v", s)
		}
	})
}

func TestInitially(t *testing.T) {
	for _, kind := range []Kind{Liveness, Readiness, Startup} {
		for _, initially := range []State{Pass, Warn, Fail} {
			t.Run(fmt.Sprint(kind, " ", initially), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan error)
					r := made(t)
					if err := r.Add(kind, "x", func(context.Context) error { return <-release },
						Initially(initially), FailureThreshold(2), Interval(time.Second)); err != nil {
						t.Fatal(err)
					}
					want := 200
					if initially == Fail {
						want = 503
					}
					path := "/" + kind.endpoint()
					wantStatus(t, r, path, want)
					r.Start()
					defer closeNow(t, r)
					synctest.Wait() // the check runs
					wantStatus(t, r, path, want)
					s := statusOf(t, r, "x")
					if s.State != initially || (s.Err == ErrPending) != (initially != Pass) {
						t.Errorf("%+v", s)
					}
					release <- errDown // one failure is none yet, and no success either
					synctest.Wait()
					wantStatus(t, r, path, want)
					time.Sleep(1100 * time.Millisecond)
					release <- errDown
					synctest.Wait()
					wantStatus(t, r, path, 503)
					time.Sleep(1100 * time.Millisecond)
					release <- nil
					synctest.Wait()
					wantStatus(t, r, path, 200)
					close(release)
				})
			})
		}
	}
}

func TestDegradedInEveryAnswer(t *testing.T) {
	replica := func(context.Context) error { return Degraded(errors.New("replica.internal lags")) }
	synctest.Test(t, func(t *testing.T) {
		secret := started(t, WithReadiness("replica", replica))
		open := started(t, WithReadiness("replica", replica), WithReasons())
		synctest.Wait()
		for _, tt := range []struct {
			target, secret, open string
		}{
			{"/readyz", "ok", "ok"},
			{"/readyz/replica", "ok", "ok"},
			{"/readyz?verbose&exclude=ping",
				"[+]ping excluded: ok\n[+]shutdown ok\n[+]replica degraded: reason withheld\nreadyz check passed\n",
				"[+]ping excluded: ok\n[+]shutdown ok\n[+]replica degraded: replica.internal lags\nreadyz check passed\n"},
			{"/readyz/replica?format=json",
				`{"status":"warn","checks":{"replica":[{"componentType":"component","status":"warn","output":"reason withheld"}]}}` + "\n",
				`{"status":"warn","checks":{"replica":[{"componentType":"component","status":"warn","output":"replica.internal lags"}]}}` + "\n"},
			{"/livez?format=json",
				`{"status":"pass","checks":{"ping":[{"componentType":"component","status":"pass"}]}}` + "\n",
				`{"status":"pass","checks":{"ping":[{"componentType":"component","status":"pass"}]}}` + "\n"},
		} {
			for r, want := range map[*Registry]string{secret: tt.secret, open: tt.open} {
				if w := get(r, tt.target); w.Code != 200 || w.Body.String() != want {
					t.Errorf("%s: %d\n%s\nwant %s", tt.target, w.Code, w.Body, want)
				}
			}
		}
	})
}

func TestTheReasonOfALateHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := made(t, WithReasons())
		if _, err := r.Heartbeat("consumer", time.Minute); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, r, "/livez/consumer", 200)
		time.Sleep(time.Minute)
		if got, want := get(r, "/livez/consumer").Body.String(), "[-]consumer failed: "+ErrNoHeartbeat.Error()+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := r.Remove("consumer"); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, r, "/livez/consumer", 404)
		if r.Match("/livez/consumer") {
			t.Error("the path of a check that was removed is still taken")
		}
	})
}
