package probe

import (
	"strings"
	"testing"
	"time"
)

func TestNewRejectsWithAdvice(t *testing.T) {
	tests := []struct {
		name string
		opts []Option
		want string // part of the error
	}{
		{"two checks of one name", []Option{WithReadiness("db", pass), WithReadiness("db", pass)}, `two checks are named "db": give one of them another name`},
		{"two checks of one name and different kinds", []Option{WithReadiness("db", pass), WithLiveness("db", pass)}, `two checks are named "db"`},
		{"a nil function", []Option{WithStartup("cache", nil)}, `check "cache": its function is nil`},
		{"an empty name", []Option{WithReadiness("", pass)}, `check name ""`},
		{"a slash in a name", []Option{WithReadiness("a/b", pass)}, `check name "a/b": use letters`},
		{"a line break in a name", []Option{WithReadiness("a\nb", pass)}, `check name "a\nb": use letters`},
		{"a name that is a path element of its own", []Option{WithReadiness("..", pass)}, `beginning with a letter or digit`},
		{"a name the registry uses", []Option{WithReadiness("shutdown", pass)}, `"shutdown" is taken`},
		{"an interval of zero", []Option{WithReadiness("db", pass, Interval(0))}, `Interval(0s) must be positive; leave it out for 10s`},
		{"a negative interval", []Option{WithReadiness("db", pass, Interval(-time.Second))}, `Interval(-1s) must be positive`},
		{"a timeout of zero", []Option{WithReadiness("db", pass, Timeout(0))}, `Timeout(0s) must be positive`},
		{"a staleness that healthy runs exceed", []Option{WithReadiness("db", pass, Staleness(10*time.Second))}, `use at least 12s`},
		{"a negative staleness", []Option{WithReadiness("db", pass, Staleness(-1))}, `use at least 12s`},
		{"a failure threshold of zero", []Option{WithReadiness("db", pass, FailureThreshold(0))}, `FailureThreshold(0) must be at least 1`},
		{"a success threshold of zero", []Option{WithReadiness("db", pass, SuccessThreshold(0))}, `SuccessThreshold(0) must be at least 1`},
		{"a path without a slash", []Option{WithPaths(Liveness, "livez")}, `liveness path "livez" must begin with '/'`},
		{"a path with a query", []Option{WithPaths(Liveness, "/livez?x")}, `can never match`},
		{"one path for two endpoints", []Option{WithPaths(Liveness, "/healthz")}, `path "/healthz" is given twice, for liveness and for health`},
		{"a passing status without a body", []Option{WithStatuses(204, 503)}, `status 204 for what passes: use one from 200 to 299 that has a body`},
		{"a passing status that resets content", []Option{WithStatuses(205, 503)}, `status 205 for what passes`},
		{"a passing status of zero", []Option{WithStatuses(0, 503)}, `status 0 for what passes`},
		{"a passing status that redirects", []Option{WithStatuses(302, 503)}, `status 302 for what passes`},
		{"a failing status that passes", []Option{WithStatuses(200, 200)}, `status 200 for what fails: use one from 400 to 599, such as 503`},
		{"a failing status that does not exist", []Option{WithStatuses(200, 600)}, `status 600 for what fails`},
		{"one path twice for one endpoint", []Option{WithPaths(Startup, "/s", "/s")}, `path "/s" is given twice`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := New(tt.opts...)
			if err == nil {
				t.Fatalf("New succeeded, want an error with %q", tt.want)
			}
			if r != nil {
				t.Error("New returned a registry beside its error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v\nwant it to contain %q", err, tt.want)
			}
		})
	}
}

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	_, err := New(WithReadiness("a b", nil, Interval(0)), WithPaths(Health, "x"))
	for _, want := range []string{`"a b"`, "nil", "Interval(0s)", `"x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v\nwant it to mention %s", err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	r := made(t, WithReadiness("db.primary_0-a", pass))
	s := r.checks[0].spec
	if s.interval != 10*time.Second || s.timeout != time.Second || s.staleness != 31*time.Second {
		t.Errorf("interval %v, timeout %v, staleness %v; want 10s, 1s, 31s", s.interval, s.timeout, s.staleness)
	}
	if s.failureThreshold != 1 || s.successThreshold != 1 {
		t.Errorf("thresholds %d and %d, want 1 and 1", s.failureThreshold, s.successThreshold)
	}
	for _, path := range []string{"/livez", "/readyz", "/startupz", "/healthz"} {
		if !r.Match(path) {
			t.Errorf("%s is not served by default", path)
		}
	}
}

func TestTheShortestAllowedStalenessIsAllowed(t *testing.T) {
	made(t, WithReadiness("db", pass, Staleness(12*time.Second)))
}
