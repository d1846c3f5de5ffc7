package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Option configures a [Registry].
type Option func(*config)

// CheckOption configures one check.
type CheckOption func(*spec)

// config is what the options write and validate reads. Nothing else may
// change it.
type config struct {
	checks []spec
	paths  [kinds][]string
	style  style
	logger *slog.Logger
	hooks  []func(Change)
}

// spec describes one check.
type spec struct {
	name string
	kind Kind
	fn   func(context.Context) error

	interval  time.Duration
	timeout   time.Duration
	staleness time.Duration

	failureThreshold int
	successThreshold int
	initially        State // until the first result
}

func defaults() config {
	return config{
		// The paths of kube-apiserver, which most charts and dashboards
		// expect; /startupz is named in their manner.
		// https://kubernetes.io/docs/reference/using-api/health-checks/
		paths: [kinds][]string{
			Liveness:  {"/livez"},
			Readiness: {"/readyz"},
			Startup:   {"/startupz"},
			Health:    {"/healthz"},
		},
		style: defaultStyle(),
	}
}

func checkDefaults(kind Kind) spec {
	// A process that is new is not dead, and not ready either.
	initially := Fail
	if kind == Liveness {
		initially = Pass
	}
	return spec{
		kind:      kind,
		initially: initially,
		// kubelet's own defaults: a slower check would give it the same
		// answer twice, a faster one would find no reader.
		// https://kubernetes.io/docs/concepts/workloads/pods/probes/
		interval: 10 * time.Second,
		timeout:  time.Second,
		// One each, because kubelet and load balancers count failures
		// themselves; counting twice would multiply their patience.
		failureThreshold: 1,
		successThreshold: 1,
	}
}

// WithLiveness adds a check to /livez. It passes until its first result says
// otherwise. Kubernetes answers a failing liveness probe with a restart, so
// check only what a restart of this process would mend, never a dependency.
// See [WithReadiness] for name, fn and the defaults.
func WithLiveness(name string, fn func(context.Context) error, opts ...CheckOption) Option {
	return withCheck(Liveness, name, fn, opts)
}

// WithReadiness adds a check to /readyz. It fails until its first result.
//
// The name is unique in the registry, begins with a letter or digit, and goes
// on with letters, digits, '-', '_' and '.', because it becomes part of URLs.
// "ping" and "shutdown" are taken.
//
// fn reports health by returning nil. It is called from a goroutine of the
// registry, never twice at a time, with a context that ends after the check's
// [Timeout] or when the registry is closed. A panic or runtime.Goexit in it
// counts as a failure.
func WithReadiness(name string, fn func(context.Context) error, opts ...CheckOption) Option {
	return withCheck(Readiness, name, fn, opts)
}

// WithStartup adds a check to /startupz, and to /readyz as well: what has not
// started is not ready. It fails until it has passed, is then never run
// again, and passes for good. See [WithReadiness] for name, fn and the
// defaults.
func WithStartup(name string, fn func(context.Context) error, opts ...CheckOption) Option {
	return withCheck(Startup, name, fn, opts)
}

func withCheck(kind Kind, name string, fn func(context.Context) error, opts []CheckOption) Option {
	return func(c *config) { c.checks = append(c.checks, newSpec(kind, name, fn, opts)) }
}

func newSpec(kind Kind, name string, fn func(context.Context) error, opts []CheckOption) spec {
	s := checkDefaults(kind)
	s.name, s.fn = name, fn
	for _, opt := range opts {
		opt(&s)
	}
	return s
}

// WithPaths replaces the paths that one endpoint is served under. Without
// paths the endpoint is not served at all. The defaults are /livez, /readyz,
// /startupz and /healthz.
//
// Each check that counts for the endpoint has a path of its own below each of
// them, such as /readyz/database, unless the path ends in '/'.
func WithPaths(kind Kind, paths ...string) Option {
	return func(c *config) { c.paths[kind] = paths }
}

// WithStatuses sets the status codes of an endpoint or check that passes and
// of one that fails. The defaults are 200 and 503; kube-apiserver has 200 and
// 500. passing is from 200 to 299 but not 204 or 205, which have no body,
// failing from 400 to 599. Everything else is an error, 0 as well.
func WithStatuses(passing, failing int) Option {
	return func(c *config) { c.style.pass, c.style.fail = passing, failing }
}

// WithReasons has the answers say why a check fails, in place of "reason
// withheld": the text of the error, in one line, its first 256 bytes at most.
// Such texts may name hosts and users, so this is for probes that strangers
// cannot reach. By default only [Registry.Status] and the log have them.
func WithReasons() Option {
	return func(c *config) { c.style.reasons = true }
}

// WithLogger logs the first result of each check and every change from then
// on: failing and degraded as a warning with the reason, passing as
// information. Nil, the default, logs nothing. Lines are written where change
// hooks are called, never from a check's goroutine or a probe's.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) { c.logger = logger }
}

// WithChangeHook has hook called with the first result of each check and with
// every change of its state from then on, until the registry is closed. Several
// hooks are called in the order in which they were given; nil is an error.
//
// Hooks are called one at a time, in the order of the changes, from a
// goroutine of their own that holds no lock: a slow hook delays the hooks
// after it and nothing else. Beyond 1,024 changes that wait for one, what a
// check has been meanwhile is left out, and what it is then is told. A panic is
// logged to the logger, if there is one, and costs no more than the rest of
// that call. A hook may use the registry, except that Close would wait for it.
func WithChangeHook(hook func(Change)) Option {
	return func(c *config) { c.hooks = append(c.hooks, hook) }
}

// Interval sets the time between the end of one run and the start of the
// next. Each is stretched or shortened at random by up to a tenth, so that
// the checks of a fleet do not meet at their database. The default is 10 s.
// Zero and negative values are errors.
func Interval(d time.Duration) CheckOption {
	return func(s *spec) { s.interval = d }
}

// Timeout sets how long a run may take. A run that has not returned by then
// has failed, whether it watches its context or not. The default is 1 s. Zero
// and negative values are errors.
func Timeout(d time.Duration) CheckOption {
	return func(s *spec) { s.timeout = d }
}

// Staleness sets the age at which a result no longer counts and the check
// fails. It must leave room for one interval, its jitter and one timeout. The
// default, and the meaning of zero, is three intervals and one timeout: two
// results in a row may be lost, the third may not. Negative values are
// errors.
func Staleness(d time.Duration) CheckOption {
	return func(s *spec) { s.staleness = d }
}

// FailureThreshold sets how many failures in a row turn a passing check into
// a failing one. The default is 1. Less than 1 is an error. A check that
// hangs fails once per interval, and turns stale besides.
func FailureThreshold(n int) CheckOption {
	return func(s *spec) { s.failureThreshold = n }
}

// SuccessThreshold sets how many successes in a row turn a failing check into
// a passing one, the very first time included. The default is 1. Less than 1
// is an error.
func SuccessThreshold(n int) CheckOption {
	return func(s *spec) { s.successThreshold = n }
}

// Initially sets what a check counts as until its first result. The default is
// [Fail] for readiness and startup, and [Pass] for liveness. Readiness that
// passes initially is for checks that are added while serving: what is no
// worse than before should not take the process out of rotation.
func Initially(state State) CheckOption {
	return func(s *spec) { s.initially = state }
}

// validate reports everything that is wrong, so that one start is enough to
// find out, and fills in what is derived.
func (c *config) validate() error {
	var problems []error
	names := map[string]bool{}
	for i := range c.checks {
		s := &c.checks[i]
		problems = append(problems, validateName(s.name, names[s.name])...)
		problems = append(problems, s.validate()...)
		names[s.name] = true
	}
	for _, hook := range c.hooks {
		if hook == nil {
			problems = append(problems, errors.New("probe: WithChangeHook(nil): pass a func(probe.Change), or leave it out"))
		}
	}
	problems = append(problems, c.validatePaths()...)
	return errors.Join(append(problems, c.style.validate()...)...)
}

func validateName(name string, taken bool) []error {
	var problem error
	switch {
	case !validName(name):
		problem = fmt.Errorf("probe: check name %q: use letters, digits, '-', '_' and '.', beginning with a letter or digit", name)
	case name == pingName || name == shutdownName:
		problem = fmt.Errorf("probe: check name %q is taken by the registry itself: choose another", name)
	case taken:
		problem = fmt.Errorf("probe: two checks are named %q: give one of them another name", name)
	default:
		return nil
	}
	return []error{problem}
}

func (s *spec) validate() (problems []error) {
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("probe: check %q: %s", s.name, fmt.Sprintf(format, args...)))
	}
	if s.fn == nil {
		wrong("its function is nil: pass a func(context.Context) error")
	}
	if s.interval <= 0 {
		wrong("Interval(%v) must be positive; leave it out for 10s", s.interval)
	}
	if s.timeout <= 0 {
		wrong("Timeout(%v) must be positive; leave it out for 1s", s.timeout)
	}
	if s.failureThreshold < 1 {
		wrong("FailureThreshold(%d) must be at least 1", s.failureThreshold)
	}
	if s.successThreshold < 1 {
		wrong("SuccessThreshold(%d) must be at least 1", s.successThreshold)
	}
	if s.initially >= states {
		wrong("Initially(%d) is no state: use Pass, Warn or Fail", uint8(s.initially))
	}
	if s.staleness == 0 {
		s.staleness = 3*s.interval + s.timeout
	}
	if least := s.interval + s.interval/jitterPart + s.timeout; s.staleness < least {
		wrong("Staleness(%v) would pass between two healthy runs: use at least %v, or shorten the interval", s.staleness, least)
	}
	return problems
}

func (c *config) validatePaths() (problems []error) {
	owner := map[string]Kind{}
	for kind, paths := range c.paths {
		kind := Kind(kind)
		for _, path := range paths {
			if !strings.HasPrefix(path, "/") {
				problems = append(problems, fmt.Errorf("probe: %v path %q must begin with '/'", kind, path))
			}
			if strings.ContainsAny(path, "?#") {
				problems = append(problems, fmt.Errorf("probe: %v path %q can never match: leave out '?' and '#'", kind, path))
			}
			if other, taken := owner[path]; taken {
				problems = append(problems, fmt.Errorf("probe: path %q is given twice, for %v and for %v: each path answers one question", path, other, kind))
			}
			owner[path] = kind
		}
	}
	return problems
}

func (s *style) validate() (problems []error) {
	if s.pass < 200 || s.pass > 299 || s.pass == http.StatusNoContent || s.pass == http.StatusResetContent {
		problems = append(problems, fmt.Errorf("probe: status %d for what passes: use one from 200 to 299 that has a body, such as 200", s.pass))
	}
	if s.fail < 400 || s.fail > 599 {
		problems = append(problems, fmt.Errorf("probe: status %d for what fails: use one from 400 to 599, such as 503", s.fail))
	}
	return problems
}

func validName(name string) bool {
	for i, c := range []byte(name) {
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return name != ""
}
