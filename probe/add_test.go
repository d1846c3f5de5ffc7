package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func add(t testing.TB, r *Registry, kind Kind, name string, fn func(context.Context) error, opts ...CheckOption) {
	t.Helper()
	if err := r.Add(kind, name, fn, opts...); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, r *Registry, name string) {
	t.Helper()
	if err := r.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func TestACheckIsAddedAndRemoved(t *testing.T) {
	for name, before := range map[string]bool{"before Start": true, "while serving": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ok atomic.Bool
				r := made(t, WithReadiness("db", pass))
				defer closeNow(t, r)
				if !before {
					r.Start()
				}
				add(t, r, Readiness, "shard", func(context.Context) error {
					if ok.Load() {
						return nil
					}
					return errDown
				}, Interval(time.Second))
				if err := statusOf(t, r, "shard").Err; before && err != ErrPending {
					t.Errorf("Err = %v before the first run", err)
				}
				r.Start()
				synctest.Wait()
				wantStatus(t, r, "/readyz", 503)
				if err := statusOf(t, r, "shard").Err; err != errDown {
					t.Errorf("Err = %v, want the first run's", err)
				}
				ok.Store(true)
				time.Sleep(2 * time.Second)
				wantStatus(t, r, "/readyz", 200)

				ok.Store(false)
				time.Sleep(2 * time.Second)
				wantStatus(t, r, "/readyz", 503)
				remove(t, r, "shard")
				wantStatus(t, r, "/readyz", 200)
				if got := get(r, "/readyz?verbose").Body.String(); strings.Contains(got, "shard") {
					t.Errorf("still in\n%s", got)
				}
			})
		})
	}
}

func TestACheckThatIsRemovedBeforeStartDoesNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := made(t, WithReadiness("x", func(context.Context) error { runs.Add(1); return nil }))
		remove(t, r, "x")
		wantStatus(t, r, "/readyz", 200)
		r.Start()
		time.Sleep(time.Minute)
		closeNow(t, r)
		if runs.Load() != 0 {
			t.Error("it ran")
		}
	})
}

func TestAddIsPendingUntilTheFirstResultUnlessToldOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t)
		release := make(chan struct{})
		hang := func(context.Context) error { <-release; return nil }
		defer close(release)
		add(t, r, Readiness, "patient", hang, Timeout(time.Hour), Initially(Pass))
		synctest.Wait()
		wantStatus(t, r, "/readyz", 200)
		add(t, r, Readiness, "strict", hang, Timeout(time.Hour))
		synctest.Wait()
		wantStatus(t, r, "/readyz", 503)
	})
}

func TestRemoveEndsTheRunAndIgnoresItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told changes
		var cause error
		r := started(t, WithChangeHook(told.hook))
		ended := make(chan struct{})
		add(t, r, Readiness, "x", func(ctx context.Context) error {
			defer close(ended)
			<-ctx.Done()
			cause = ctx.Err()
			return nil
		}, Timeout(time.Hour))
		synctest.Wait()
		remove(t, r, "x")
		<-ended
		synctest.Wait()
		if cause != context.Canceled {
			t.Errorf("the run's context ended with %v", cause)
		}
		if n := len(r.Status().Checks); n != 0 {
			t.Errorf("%d checks", n)
		}
		told.want(t)
	})
}

func TestANameIsFreeAgainThoughTheOldRunHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := made(t)
		r.Start()
		add(t, r, Readiness, "x", func(context.Context) error { <-release; return errDown })
		synctest.Wait()
		remove(t, r, "x")
		add(t, r, Readiness, "x", pass)
		synctest.Wait()
		wantStatus(t, r, "/readyz", 200)

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || strings.Count(err.Error(), `"x"`) != 1 {
			t.Errorf("Close: %v, want the removed check's name", err)
		}
		close(release)
		closeNow(t, r)
	})
}

func TestARemovedCheckThatReturnsIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t)
		for _, kind := range []Kind{Liveness, Readiness, Startup} {
			add(t, r, kind, "x", pass)
			synctest.Wait()
			remove(t, r, "x")
			synctest.Wait()
			if n := len(r.leaving); n != 0 {
				t.Errorf("%v: %d removed checks are still held", kind, n)
			}
		}
	})
}

func TestACheckMayRemoveItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t)
		add(t, r, Readiness, "x", func(context.Context) error { return errors.Join(errDown, r.Remove("x")) })
		synctest.Wait()
		wantStatus(t, r, "/readyz", 200)
	})
}

func TestAddAndRemoveRejectWithAdvice(t *testing.T) {
	r := made(t, WithReadiness("db", pass))
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a name that is in use", r.Add(Liveness, "db", pass), `two checks are named "db"`},
		{"a name that is none", r.Add(Liveness, "a/b", pass), `check name "a/b": use letters`},
		{"the registry's own name", r.Add(Liveness, "ping", pass), `"ping" is taken`},
		{"a kind that has no checks", r.Add(Health, "x", pass), "use Liveness, Readiness or Startup"},
		{"a kind that there is not", r.Add(99, "x", pass), "use Liveness, Readiness or Startup"},
		{"no function", r.Add(Liveness, "x", nil), "its function is nil"},
		{"two faults, the first", r.Add(Liveness, "a b", nil), "a b"},
		{"two faults, the second", r.Add(Liveness, "a b", nil), "nil"},
		{"a state that is none", r.Add(Liveness, "x", pass, Initially(3)), "Initially(3) is no state"},
		{"an unknown name", r.Remove("nobody"), `no check is named "nobody"`},
		{"the registry's own entry", r.Remove("ping"), `no check is named "ping"`},
	}
	for _, tt := range tests {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, tt.err, tt.want)
		}
	}
	if n := len(r.Status().Checks); n != 1 {
		t.Errorf("%d checks, want the first alone", n)
	}
	closeNow(t, r)
	if err := r.Add(Readiness, "late", pass); !errors.Is(err, ErrClosed) {
		t.Errorf("Add after Close: %v", err)
	}
	if err := r.Remove("db"); !errors.Is(err, ErrClosed) {
		t.Errorf("Remove after Close: %v", err)
	}
}

// For the race detector, and for what must hold meanwhile: names are unique,
// and a check that is always there always decides.
func TestChecksComeAndGoWhileProbesAreAnswered(t *testing.T) {
	var told changes
	r := made(t, WithChangeHook(told.hook), WithReadiness("down", func(context.Context) error { return errDown }))
	r.Start()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 200 {
				name := fmt.Sprint("x", rand.N(5))
				switch rand.N(3) {
				case 0:
					_ = r.Add(Kind(n%3), name, pass, Interval(time.Millisecond))
				case 1:
					if h, err := r.Heartbeat(name, time.Microsecond); err == nil {
						h.Beat()
					}
				default:
					_ = r.Remove(name)
				}
				if i == 0 {
					wantStatus(t, r, "/readyz?verbose", 503)
				}
				seen := map[string]bool{}
				for _, c := range r.Status().Checks {
					if seen[c.Name] {
						t.Errorf("two checks are named %q", c.Name)
					}
					seen[c.Name] = true
				}
			}
		})
	}
	group.Wait()
	closeNow(t, r)
	if len(told.lines()) == 0 {
		t.Error("no change was told")
	}
}
