package probe

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The clock of these tests is synctest's: a sleep takes no time and ends only
// when every goroutine of the bubble waits for something.

// errDown is what failing checks return.
var errDown = errors.New("down")

// round is longer than any interval with its jitter.
const round = 11*time.Second + time.Millisecond

func TestNoAnswerIs200BeforeTheFirstResult(t *testing.T) {
	tests := []struct {
		name   string
		option func(string, func(context.Context) error, ...CheckOption) Option
		want   map[string]int // before the first result
	}{
		{"readiness", WithReadiness, map[string]int{"/livez": 200, "/readyz": 503, "/startupz": 200, "/healthz": 503}},
		{"startup, which readiness waits for", WithStartup, map[string]int{"/livez": 200, "/readyz": 503, "/startupz": 503, "/healthz": 503}},
		{"liveness, which would be restarted", WithLiveness, map[string]int{"/livez": 200, "/readyz": 200, "/startupz": 200, "/healthz": 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				r := made(t, tt.option("slow", func(context.Context) error { <-release; return nil }))
				for path, want := range tt.want {
					wantStatus(t, r, path, want)
				}
				r.Start()
				defer closeNow(t, r)
				synctest.Wait() // the check is running now
				for path, want := range tt.want {
					wantStatus(t, r, path, want)
				}
				close(release)
				synctest.Wait()
				for path := range tt.want {
					wantStatus(t, r, path, 200)
				}
			})
		})
	}
}

func TestWhatFailsACheck(t *testing.T) {
	tests := []struct {
		name string
		fn   func(context.Context) error
		want error // by errors.Is
	}{
		{"an error", func(context.Context) error { return errDown }, errDown},
		{"a panic with an error", func(context.Context) error { panic(errDown) }, errDown},
		{"a panic with nil", func(context.Context) error { panic(nil) }, new(runtime.PanicNilError)},
		{"runtime.Goexit", func(context.Context) error { runtime.Goexit(); return nil }, ErrExited},
		{"waiting until its context ends", func(ctx context.Context) error { <-ctx.Done(); return nil }, ErrTimeout},
		{"an error of its own after its context ended", func(ctx context.Context) error { <-ctx.Done(); return errDown }, ErrTimeout},
		{"a panic after its context ended", func(ctx context.Context) error { <-ctx.Done(); panic(errDown) }, ErrTimeout},
		{"waiting longer than its context lasts", func(context.Context) error { time.Sleep(5 * time.Second); return nil }, ErrTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mended atomic.Bool
				r := started(t, WithReadiness("x", func(ctx context.Context) error {
					if mended.Load() {
						return nil
					}
					return tt.fn(ctx)
				}))
				time.Sleep(2 * time.Second)
				wantStatus(t, r, "/readyz", 503)
				wantStatus(t, r, "/livez", 200)
				err := statusOf(t, r, "x").Err
				var nilPanic *runtime.PanicNilError
				if !errors.Is(err, tt.want) && !(errors.As(tt.want, &nilPanic) && errors.As(err, &nilPanic)) {
					t.Errorf("Err = %v, want %v", err, tt.want)
				}

				mended.Store(true)
				time.Sleep(round)
				wantStatus(t, r, "/readyz", 200)
				if err := statusOf(t, r, "x").Err; err != nil {
					t.Errorf("Err = %v although the check passes", err)
				}
			})
		})
	}
}

func TestAPanicKeepsItsValueAndStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t, WithReadiness("x", func(context.Context) error { panic("boom") }))
		synctest.Wait()
		var p *PanicError
		if err := statusOf(t, r, "x").Err; !errors.As(err, &p) {
			t.Fatalf("Err = %v, want a *PanicError", err)
		}
		if p.Value != "boom" || !strings.Contains(string(p.Stack), "check_test.go") || p.Unwrap() != nil || p.Error() != "probe: check panicked: boom" {
			t.Errorf("value %v, unwraps to %v, stack:\n%s", p.Value, p.Unwrap(), p.Stack)
		}
	})
}

func TestAHungCheckTurnsRedAndIsNotRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		release := make(chan struct{})
		r := started(t, WithReadiness("db", func(context.Context) error {
			if runs.Add(1) == 2 {
				<-release // whatever the context says
			}
			return nil
		}))
		synctest.Wait()
		wantStatus(t, r, "/readyz", 200)

		time.Sleep(round + time.Second) // the second run and its timeout
		wantStatus(t, r, "/readyz", 503)
		if err := statusOf(t, r, "db").Err; !errors.Is(err, ErrTimeout) {
			t.Errorf("Err = %v, want ErrTimeout", err)
		}

		time.Sleep(time.Hour)
		wantStatus(t, r, "/readyz", 503)
		if err := statusOf(t, r, "db").Err; !errors.Is(err, ErrStuck) {
			t.Errorf("Err = %v, want ErrStuck", err)
		}
		if got := runs.Load(); got != 2 {
			t.Errorf("%d runs were started, want 2: none beside the hanging one", got)
		}

		close(release)
		synctest.Wait()
		wantStatus(t, r, "/readyz", 503) // the late nil does not count
		time.Sleep(round)
		wantStatus(t, r, "/readyz", 200)
	})
}

func TestAHungCheckTurnsStaleBelowItsThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		release := make(chan struct{})
		r := started(t, patientCheck("db", func(context.Context) error {
			if hang.Load() {
				<-release
			}
			return nil
		}))
		defer close(release)
		synctest.Wait()
		hang.Store(true)
		time.Sleep(round + time.Second) // the timeout is a result too
		wantStatus(t, r, "/readyz", 200)
		time.Sleep(31 * time.Second)
		wantStatus(t, r, "/readyz", 503)
		if err := statusOf(t, r, "db").Err; err != ErrStale {
			t.Errorf("Err = %v, want ErrStale", err)
		}
	})
}

// patientCheck is a readiness check whose threshold it does not reach in a test.
func patientCheck(name string, fn func(context.Context) error) Option {
	return WithReadiness(name, fn, FailureThreshold(100))
}

// Where no goroutine gets a turn, nobody is left to publish anything.
func TestAResultTurnsStaleThoughNobodyPublishes(t *testing.T) {
	for _, option := range []struct {
		path string
		with func(string, func(context.Context) error, ...CheckOption) Option
	}{{"/livez", WithLiveness}, {"/readyz", WithReadiness}} {
		t.Run(option.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := passing(t, option.with("db", pass)) // without goroutines
				time.Sleep(31*time.Second - 1)
				wantStatus(t, r, option.path, 200)
				time.Sleep(time.Nanosecond)
				wantStatus(t, r, option.path, 503)
				wantStatus(t, r, option.path+"?verbose", 503)
			})
		})
	}
}

func TestTheFirstResultToTurnStaleCounts(t *testing.T) {
	short := []CheckOption{Staleness(20 * time.Second)}
	for _, tt := range []struct {
		name          string
		first, second []CheckOption
	}{{"the first check's", short, nil}, {"the second check's", nil, short}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := passing(t, WithReadiness("a", pass, tt.first...), WithReadiness("b", pass, tt.second...))
				time.Sleep(20*time.Second - time.Nanosecond)
				wantStatus(t, r, "/readyz", 200)
				time.Sleep(time.Nanosecond)
				wantStatus(t, r, "/readyz", 503)
			})
		})
	}
}

func TestStartupPassesOnceAndForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := started(t, WithStartup("cache", func(context.Context) error {
			if runs.Add(1) < 3 {
				return errDown
			}
			return nil
		}))
		synctest.Wait()
		wantStatus(t, r, "/startupz", 503)
		time.Sleep(3 * round)
		wantStatus(t, r, "/startupz", 200)
		time.Sleep(time.Hour)
		wantStatus(t, r, "/startupz", 200)
		if got := runs.Load(); got != 3 {
			t.Errorf("the check ran %d times, want 3: not again after it passed", got)
		}
	})
}

func TestThresholds(t *testing.T) {
	const passes, fails = true, false
	tests := []struct {
		name    string
		failure int
		success int
		results []bool
		want    []int // /readyz after each result
	}{
		{"one and one follow every result", 1, 1, []bool{passes, fails, passes}, []int{200, 503, 200}},
		{"three failures in a row", 3, 1, []bool{passes, fails, fails, passes, fails, fails, fails, passes}, []int{200, 200, 200, 200, 200, 200, 503, 200}},
		{"a failure threshold does not help a check that never passed", 3, 1, []bool{fails, passes}, []int{503, 200}},
		{"two successes in a row", 1, 2, []bool{passes, passes, fails, passes, fails, passes, passes}, []int{503, 200, 503, 503, 503, 503, 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results := make(chan bool)
				r := started(t, WithReadiness("x", func(ctx context.Context) error {
					select {
					case ok := <-results:
						if ok {
							return nil
						}
						return errDown
					case <-ctx.Done():
						return ctx.Err()
					}
				}, Interval(time.Second), Timeout(time.Hour),
					FailureThreshold(tt.failure), SuccessThreshold(tt.success)))
				for i, result := range tt.results {
					results <- result
					synctest.Wait()
					if got := get(r, "/readyz").Code; got != tt.want[i] {
						t.Errorf("after result %d: %d, want %d", i+1, got, tt.want[i])
					}
				}
			})
		})
	}
}

func TestIntervalsVaryByUpToATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var began []time.Time
		r := made(t, WithReadiness("x", func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			began = append(began, time.Now())
			return nil
		}))
		r.Start()
		time.Sleep(time.Hour)
		closeNow(t, r)

		distinct := map[time.Duration]bool{}
		for i := 1; i < len(began); i++ {
			gap := began[i].Sub(began[i-1])
			distinct[gap] = true
			if gap < 9*time.Second || gap > 11*time.Second {
				t.Errorf("run %d began %v after the one before, want 10s ± 1s", i, gap)
			}
		}
		if len(began) < 300 || len(distinct) < 100 {
			t.Errorf("%d runs with %d different gaps in an hour", len(began), len(distinct))
		}
	})
}

func TestNeverTwoRunsOfOneCheckAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opts []Option
		var runs atomic.Int32
		for _, name := range []string{"a", "b", "c"} {
			var running atomic.Int32
			opts = append(opts, WithReadiness(name, func(context.Context) error {
				if now := running.Add(1); now != 1 {
					t.Errorf("%d runs of %s at once", now, name)
				}
				defer running.Add(-1)
				runs.Add(1)
				switch rand.N(4) {
				case 0:
					panic("boom")
				case 1:
					runtime.Goexit()
				}
				time.Sleep(rand.N(5 * time.Second)) // ignores its timeout of 1s
				return nil
			}, Interval(time.Second)))
		}
		r := made(t, opts...)
		r.Start()
		for range 1000 {
			time.Sleep(rand.N(2 * time.Second))
			get(r, "/readyz") // probes start nothing
			r.Start()         // neither does this
		}
		closeNow(t, r)
		if runs.Load() < 300 {
			t.Errorf("only %d runs", runs.Load())
		}
	})
}

func TestAProbeRunsNoCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := started(t, WithReadiness("x", func(context.Context) error { runs.Add(1); return nil }))
		synctest.Wait()
		for range 100 {
			get(r, "/readyz")
			get(r, "/healthz?verbose")
		}
		if got := runs.Load(); got != 1 {
			t.Errorf("%d runs, want the first alone", got)
		}
	})
}

func TestTheLogHasTheFirstResultAndEveryChange(t *testing.T) {
	const (
		passes = "level=INFO msg=\"probe: check passes\" check=db kind=readiness\n"
		fails  = "level=WARN msg=\"probe: check fails\" check=db kind=readiness error=down\n"
	)
	tests := []struct {
		name    string
		minutes []bool // whether the check passes during each
		want    string
	}{
		{"passing throughout", []bool{true, true}, passes},
		{"failing throughout", []bool{false, false}, fails},
		{"failing later", []bool{true, false}, passes + fails},
		{"mended", []bool{false, true, true}, fails + passes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ok atomic.Bool
				var out strings.Builder // written by the check's goroutine, read after Close
				log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
					ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
						if a.Key == slog.TimeKey {
							return slog.Attr{}
						}
						return a
					},
				}))
				r := made(t, WithLogger(log), WithReadiness("db", func(context.Context) error {
					if ok.Load() {
						return nil
					}
					return errDown
				}))
				for i, passes := range tt.minutes {
					ok.Store(passes)
					if i == 0 {
						r.Start()
					}
					time.Sleep(time.Minute)
				}
				closeNow(t, r)
				if out.String() != tt.want {
					t.Errorf("log:\n%swant:\n%s", out.String(), tt.want)
				}
			})
		})
	}
}
