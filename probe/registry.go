package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Registry holds the checks and the answers made from them. It is an
// [http.Handler]. Make one with [New], start its checks with Start, end them
// with Close. All methods may be called from any goroutine.
//
// A started registry costs one parked goroutine per check, a second one while
// the check runs, and one for everything that hooks and a logger are told.
// Heartbeats cost none.
type Registry struct {
	epoch     time.Time  // immutable; where the registry's clock begins
	style     *style     // immutable
	second    byteSet    // immutable; see secondBytes
	announcer *announcer // immutable; nil without hooks and a logger

	routes    atomic.Pointer[[]route] // stored under mu; the slice is immutable
	published atomic.Pointer[answers] // stored under mu; the answers are immutable
	mu        sync.Mutex              // never held while user code runs or anything is written
	checks    []*check                // guarded by mu, and so is their state
	leaving   map[*check]struct{}     // guarded by mu; removed, but their loops have not ended yet
	draining  bool                    // guarded by mu
	running   context.Context         // guarded by mu; the parent of the loops' contexts, nil until Start
	stop      context.CancelFunc      // guarded by mu; ends running
	hush      context.CancelFunc      // guarded by mu; ends the announcer, nil until Start or without one
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
	r := &Registry{style: &c.style, epoch: time.Now(), announcer: newAnnouncer(&c), leaving: map[*check]struct{}{}}
	for _, s := range c.checks {
		r.checks = append(r.checks, newCheck(s))
	}
	routes := newRoutes(c.paths)
	r.second = secondBytes(routes)
	r.routes.Store(&routes)
	r.publish()
	return r, nil
}

// Start runs every check now and then once per interval, until Close. A
// second call does nothing, nor does a call after Close.
func (r *Registry) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil || r.closed {
		return
	}
	r.running, r.stop = context.WithCancel(context.Background())
	if r.announcer != nil {
		var ctx context.Context
		ctx, r.hush = context.WithCancel(context.Background())
		go r.announce(ctx)
	}
	for _, c := range r.checks {
		r.launch(c)
	}
}

// launch starts a check's loop. mu is held.
func (r *Registry) launch(c *check) {
	if c.beats != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.running)
	c.end = cancel
	go func() {
		defer cancel()
		c.loop(ctx, r.report)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.leaving, c)
		close(c.stopped)
	}()
}

// Add adds a check while the registry serves, or before Start. It is run at
// once and then as those that were given to [New] are. Until its first result
// a readiness or startup check fails, and so do its endpoints; [Initially]
// changes that. Name, fn and the defaults are those of [WithReadiness]; a check
// of kind Health is an error. After Close the error is [ErrClosed].
func (r *Registry) Add(kind Kind, name string, fn func(context.Context) error, opts ...CheckOption) error {
	if kind >= Health {
		return fmt.Errorf("probe: check %q cannot be added to kind %d: use Liveness, Readiness or Startup", name, uint8(kind))
	}
	s := newSpec(kind, name, fn, opts)
	if problems := s.validate(); problems != nil {
		return errors.Join(append(validateName(name, false), problems...)...)
	}
	return r.add(newCheck(s))
}

func (r *Registry) add(c *check) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	if problems := validateName(c.name, r.find(c.name) >= 0); problems != nil {
		return problems[0]
	}
	r.checks = append(r.checks, c)
	if r.running != nil {
		r.launch(c)
	}
	r.publish()
	return nil
}

// Remove takes a check or a heartbeat out of the answers and ends it. The
// context of its run is cancelled, and what that still returns is ignored;
// Remove does not wait for it, Close does. The name may be used again at once.
// A name that no check has is an error; after Close the error is [ErrClosed].
func (r *Registry) Remove(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	i := r.find(name)
	if i < 0 {
		return fmt.Errorf("probe: no check is named %q", name)
	}
	c := r.checks[i]
	r.checks = slices.Delete(r.checks, i, i+1)
	if c.end != nil {
		select {
		case <-c.stopped: // a startup check that has passed
		default:
			r.leaving[c] = struct{}{}
		}
		c.end()
	}
	r.publish()
	return nil
}

// find returns a check's place, or -1. mu is held.
func (r *Registry) find(name string) int {
	return slices.IndexFunc(r.checks, func(c *check) bool { return c.name == name })
}

// Close makes readiness fail, cancels the contexts of running checks, waits
// until their functions have returned, those of removed checks included, and
// until hooks have been told what happened. It may be called more than once,
// but not from a check or a hook.
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
	started := r.running != nil
	if started {
		r.stop()
	}
	ending := slices.AppendSeq(slices.Clone(r.checks), maps.Keys(r.leaving))
	r.mu.Unlock()
	if !started {
		return nil
	}
	var hanging []error
	for _, c := range ending {
		if !ends(ctx, c.stopped) {
			hanging = append(hanging, fmt.Errorf("probe: check %q has not returned: %w", c.name, ctx.Err()))
		}
	}
	if r.hush != nil {
		r.hush()
		if !ends(ctx, r.announcer.ended) {
			hanging = append(hanging, fmt.Errorf("probe: a change hook has not returned: %w", ctx.Err()))
		}
	}
	return errors.Join(hanging...)
}

// ends waits until ended is closed, and reports whether it was before ctx
// ended.
func ends(ctx context.Context, ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// SetDraining makes readiness and health fail, or lets their checks decide
// again. Liveness does not change. It takes effect with the next probe.
func (r *Registry) SetDraining(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = on || r.closed
	r.publish()
}

// Release stops serving the given paths, so that something else may: an
// endpoint with the paths of its checks ("/readyz"), all of the latter
// ("/readyz/"), or one of them ("/readyz/database"). Paths that are not served
// are ignored. It returns the paths it has released.
func (r *Registry) Release(paths ...string) (released []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.published.Load()
	var kept []route
	for _, rt := range *r.routes.Load() {
		if slices.Contains(paths, rt.path) {
			released = append(released, rt.path)
			continue
		}
		rt.without = slices.Clone(rt.without)
		for _, path := range paths {
			name, below := strings.CutPrefix(path, rt.path+"/")
			switch {
			case !below || !rt.below(name):
			case name == "":
				rt.closed = true
				released = append(released, path)
			default:
				rt.without = append(rt.without, name)
				if all.find(rt.kind, name) != nil {
					released = append(released, path)
				}
			}
		}
		kept = append(kept, rt)
	}
	r.routes.Store(&kept)
	r.notify()
	return released
}

// Paths returns the paths of the endpoints that are served, in no particular
// order.
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
	defer r.mu.Unlock()
	c.record(res, r.clock()+c.staleness)
	if settled = c.settled(); settled {
		c.freshUntil = never
	}
	r.publish()
	return settled
}

// publish makes the answers anew, and has hooks told of what is new in them. mu
// is held, except in New.
func (r *Registry) publish() *answers {
	now := r.clock()
	a := render(r.style, r.checks, r.draining, now)
	r.published.Store(a)
	if r.announcer != nil {
		r.announcer.observe(r.checks, now, a.until)
	}
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
