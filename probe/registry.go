package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Registry holds the checks and the answers made from them. It is an
// [http.Handler]. Make one with [New], start its checks with Start, end them
// with Close. All methods may be called from any goroutine.
//
// A started registry costs one parked goroutine per check, and a second one
// while the check runs.
type Registry struct {
	checks []*check     // immutable; their state is guarded by mu
	logger *slog.Logger // immutable, nil logs nothing
	epoch  time.Time    // immutable; where the registry's clock begins

	routes    atomic.Pointer[[]route] // stored under mu; the slice is immutable
	published atomic.Pointer[answers] // stored under mu; the answers are immutable
	mu        sync.Mutex              // never held while user code runs or anything is written
	draining  bool                    // guarded by mu
	stop      context.CancelFunc      // guarded by mu; nil until Start
	closed    bool                    // guarded by mu

	followers map[chan<- struct{}]struct{} // guarded by mu; told of every change
}

// New returns a registry that answers at once but runs no check before Start:
// liveness is 200, readiness and startup are 503 if they have any checks.
// Without options it has none. The error names everything that is wrong with
// the options and says what to change.
func New(opts ...Option) (*Registry, error) {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	r := &Registry{logger: c.logger, epoch: time.Now()}
	for _, s := range c.checks {
		r.checks = append(r.checks, newCheck(s))
	}
	var routes []route
	for kind, paths := range c.paths {
		for _, path := range paths {
			routes = append(routes, route{path, Kind(kind)})
		}
	}
	r.routes.Store(&routes)
	r.publish()
	return r, nil
}

// Start runs every check now and then once per interval, until Close. A
// second call does nothing, nor does a call after Close.
func (r *Registry) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil || r.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	for _, c := range r.checks {
		go c.loop(ctx, r.report)
	}
}

// Close makes readiness fail, cancels the contexts of running checks and
// waits until their functions have returned. It may be called more than once,
// but not from a check.
//
// If ctx ends first, Close returns its error and the names of the checks that
// ignore theirs; their goroutines end when they do. A closed registry goes on
// answering: liveness stays as it was until its results, if there are any,
// turn stale.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.draining = true
	r.publish()
	started := r.stop != nil
	if started {
		r.stop()
	}
	r.mu.Unlock()
	if !started {
		return nil
	}
	var hanging []error
	for _, c := range r.checks {
		if !c.stops(ctx) {
			hanging = append(hanging, fmt.Errorf("probe: check %q has not returned: %w", c.name, ctx.Err()))
		}
	}
	return errors.Join(hanging...)
}

// SetDraining makes readiness and health fail, or lets their checks decide
// again. Liveness does not change. It takes effect with the next probe.
func (r *Registry) SetDraining(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = on || r.closed
	r.publish()
}

// Release stops serving the given paths, so that something else may. Paths
// that are not served are ignored. It returns the paths it has released.
func (r *Registry) Release(paths ...string) (released []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kept []route
	for _, route := range *r.routes.Load() {
		if slices.Contains(paths, route.path) {
			released = append(released, route.path)
		} else {
			kept = append(kept, route)
		}
	}
	r.routes.Store(&kept)
	r.notify()
	return released
}

// Paths returns the paths that are served, in no particular order.
func (r *Registry) Paths() []string {
	var paths []string
	for _, route := range *r.routes.Load() {
		paths = append(paths, route.path)
	}
	return paths
}

// report takes in a check's result and publishes what follows from it. It
// runs on the check's own goroutine. settled means that the check need not
// run any more.
func (r *Registry) report(c *check, res result) (settled bool) {
	r.mu.Lock()
	c.record(res, r.clock()+c.staleness)
	if c.kind == Startup && c.cause == nil {
		settled, c.freshUntil = true, never
	}
	cause := c.verdict(r.clock())
	passes := cause == nil
	news := passes != c.announced || c.runs == 1 && !res.again
	c.announced = passes
	r.publish()
	r.mu.Unlock()

	if news && r.logger != nil {
		r.log(c, cause)
	}
	return settled
}

func (r *Registry) log(c *check, cause error) {
	if cause == nil {
		r.logger.Info("probe: check passes", "check", c.name, "kind", c.kind.String())
		return
	}
	r.logger.Warn("probe: check fails", "check", c.name, "kind", c.kind.String(), "error", cause)
}

// publish makes the answers anew. mu is held, except in New.
func (r *Registry) publish() *answers {
	a := render(r.checks, r.draining, r.clock())
	r.published.Store(a)
	r.notify()
	return a
}

// current returns answers that are true now. That is one atomic load, one
// comparison with the clock if a result could turn stale, and new answers if
// one just has: the first probe after that moment makes them, so staleness
// needs no goroutine that might itself be late.
func (r *Registry) current() *answers {
	a := r.published.Load()
	if a.until == never || r.clock() < a.until {
		return a
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a = r.published.Load(); r.clock() < a.until {
		return a
	}
	return r.publish()
}

// clock reads the monotonic clock, which no one can set back.
func (r *Registry) clock() time.Duration { return time.Since(r.epoch) }
