package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// changes collects what a hook is told.
type changes struct {
	mu  sync.Mutex
	all []Change
}

func (c *changes) hook(change Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, change)
}

// lines are the changes without their time.
func (c *changes) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, change := range c.all {
		lines = append(lines, fmt.Sprint(change.Kind, " ", change.Name, " ", change.From, " ", change.To, " ", change.Err))
	}
	return lines
}

func (c *changes) want(t *testing.T, want ...string) {
	t.Helper()
	if got := c.lines(); !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHooksAreToldTheFirstResultAndEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told changes
		var now atomic.Pointer[error]
		set := func(err error) { now.Store(&err) }
		set(nil)
		r := started(t, WithChangeHook(told.hook), WithReadiness("db", func(context.Context) error { return *now.Load() }))
		for _, err := range []error{nil, nil, errDown, errors.New("other"), Degraded(errDown), nil} {
			set(err)
			time.Sleep(time.Minute)
		}
		told.want(t,
			"readiness db fail pass <nil>",
			"readiness db pass fail down",
			"readiness db fail warn down",
			"readiness db warn pass <nil>")
		for i, c := range told.all {
			if i > 0 && !c.At.After(told.all[i-1].At) || time.Since(c.At) > time.Hour {
				t.Errorf("change %d at %v", i, c.At)
			}
		}
		if err := r.Add(Liveness, "loop", func(context.Context) error { return errDown }, FailureThreshold(2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, want := told.lines()[4:], []string{"liveness loop pass pass <nil>", "liveness loop pass fail down"}; !slices.Equal(got, want) {
			t.Errorf("of a check that was added: %q, want %q", got, want)
		}
	})
}

func TestHooksAreToldWhatNobodyAskedFor(t *testing.T) {
	t.Run("that a result is stale", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var told changes
			release := make(chan struct{})
			var runs atomic.Int32
			started(t, WithChangeHook(told.hook), patientCheck("db", func(context.Context) error {
				if runs.Add(1) > 1 {
					<-release
				}
				return nil
			}))
			defer close(release)
			time.Sleep(time.Hour)
			told.want(t, "readiness db fail pass <nil>", "readiness db pass fail "+ErrStale.Error())
		})
	})
	t.Run("that a heartbeat is late, and when", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var told changes
			r := started(t, WithChangeHook(told.hook))
			synctest.Wait() // nothing to look for yet
			made := time.Now()
			h := watched(t, r, "loop", time.Minute)
			time.Sleep(time.Hour)
			h.Beat()
			mended := time.Now()
			time.Sleep(2 * time.Minute)
			told.want(t, "liveness loop pass fail "+ErrNoHeartbeat.Error(), "liveness loop fail pass <nil>",
				"liveness loop pass fail "+ErrNoHeartbeat.Error())
			if got := told.all[0].At.Sub(made); got != time.Minute {
				t.Errorf("told after %v", got)
			}
			if got := told.all[1].At.Sub(mended); got != 0 {
				t.Errorf("told of the beat after %v", got)
			}
		})
	})
}

func TestHooksAreCalledInTheOrderInWhichTheyWereGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string // the hooks' goroutine has it until Close
		hook := func(name string) Option {
			return WithChangeHook(func(c Change) { order = append(order, name+c.Name) })
		}
		r := made(t, hook("first-"), hook("second-"), WithReadiness("a", pass),
			WithReadiness("b", func(context.Context) error { time.Sleep(time.Millisecond); return nil }))
		r.Start()
		time.Sleep(time.Second)
		closeNow(t, r)
		if want := []string{"first-a", "second-a", "first-b", "second-b"}; !slices.Equal(order, want) {
			t.Errorf("%q, want %q", order, want)
		}
	})
}

func TestAHookThatHangsHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var runs atomic.Int32
		r := made(t, WithChangeHook(func(Change) { <-release }),
			WithReadiness("x", func(context.Context) error {
				if runs.Add(1)%2 == 0 {
					return errDown
				}
				return nil
			}, Interval(time.Second)))
		h := watched(t, r, "loop", time.Second)
		r.Start()
		time.Sleep(time.Hour)
		if n := runs.Load(); n < 3000 {
			t.Errorf("%d runs in an hour", n)
		}
		wantStatus(t, r, "/livez", 503) // noticed by a probe, that calls no hook
		h.Beat()
		wantStatus(t, r, "/livez", 200)

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hook") {
			t.Errorf("Close: %v, want it to name the hook", err)
		}
		close(release)
		closeNow(t, r)
	})
}

func TestTheLastStateIsToldWhateverWasLeftOut(t *testing.T) {
	for _, last := range []error{nil, errDown} {
		synctest.Test(t, func(t *testing.T) {
			var told changes
			release := make(chan struct{})
			var ended atomic.Bool
			var runs atomic.Int32
			r := started(t, WithChangeHook(func(c Change) { <-release; told.hook(c) }),
				WithReadiness("x", func(context.Context) error {
					n := runs.Add(1)
					if ended.Load() {
						return last
					}
					if n%2 == 0 {
						return errDown
					}
					return nil
				}, Interval(time.Second)))
			for runs.Load() < 3*maxChanges {
				time.Sleep(time.Minute)
			}
			ended.Store(true)
			time.Sleep(time.Minute)
			close(release)
			synctest.Wait()
			lines := told.lines()
			if len(lines) < maxChanges || len(lines) > maxChanges+2 {
				t.Errorf("%d changes, want about %d", len(lines), maxChanges)
			}
			for i := 1; i < len(told.all); i++ {
				if told.all[i].From != told.all[i-1].To {
					t.Fatalf("change %d is from %v, the one before was to %v", i, told.all[i].From, told.all[i-1].To)
				}
			}
			if got, want := told.all[len(told.all)-1].To, statusOf(t, r, "x").State; got != want || (want == Pass) != (last == nil) {
				t.Errorf("the last told is %v, the check's state %v", got, want)
			}
		})
	}
}

func TestAHookMayUseTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Registry
		hook := func(c Change) {
			if c.Name != "trigger" {
				return
			}
			r.Status()
			r.SetDraining(true)
			if err := r.Add(Readiness, "added", pass); err != nil {
				t.Error(err)
			}
			if err := r.Remove("trigger"); err != nil {
				t.Error(err)
			}
			get(r, "/readyz")
		}
		r = made(t, WithChangeHook(hook), WithReadiness("trigger", pass))
		r.Start()
		defer closeNow(t, r)
		time.Sleep(time.Second)
		s := r.Status()
		if !s.Draining || len(s.Checks) != 1 || s.Checks[0].Name != "added" || !s.Checks[0].OK {
			t.Errorf("%+v", s)
		}
	})
}

func TestAHookThatPanicsOrExitsIsCalledAgain(t *testing.T) {
	for name, bad := range map[string]func(){"panic": func() { panic("boom") }, "runtime.Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told changes
				var out strings.Builder // the hooks' goroutine has it until Close
				r := made(t, WithLogger(slog.New(slog.NewTextHandler(&out, nil))),
					WithChangeHook(func(c Change) { told.hook(c); bad() }),
					WithReadiness("a", pass), WithReadiness("b", pass))
				r.Start()
				time.Sleep(time.Second)
				closeNow(t, r)
				if got := len(told.lines()); got != 2 {
					t.Errorf("%d calls, want 2", got)
				}
				if got := strings.Count(out.String(), "change hook panicked"); name == "panic" && (got != 2 || !strings.Contains(out.String(), "change_test.go")) {
					t.Errorf("log:\n%s", &out)
				}
			})
		})
	}
}

// panicking is a log handler that panics, in whatever it is asked for.
type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool { panic("boom") }

func TestALoggerThatPanicsEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told changes
		r := started(t, WithLogger(slog.New(panicking{})), WithChangeHook(told.hook), WithReadiness("db", pass))
		time.Sleep(time.Second)
		told.want(t, "readiness db fail pass <nil>")
		wantStatus(t, r, "/readyz", 200)
	})
}
