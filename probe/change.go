package probe

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// Change is what a hook is told of a check; see [WithChangeHook].
type Change struct {
	Name string
	Kind Kind
	// From and To are the states before and after. They may be equal for a
	// check's first result.
	From, To State
	// Err is why To is not Pass; nil if it is.
	Err error
	// At is when it was noticed.
	At time.Time
}

// maxChanges bounds what waits for a hook that does not return. A hundred
// checks that change at every interval of 10 s fill it in two minutes.
const maxChanges = 1024

// announcer tells the logger and the hooks what has changed. Registry.Start
// starts its goroutine, Registry.Close ends it. That also looks when a result
// turns stale or a heartbeat is late, which otherwise only a probe would notice.
type announcer struct {
	logger *slog.Logger   // immutable, nil logs nothing
	hooks  []func(Change) // immutable
	wake   chan struct{}  // holds one
	ended  chan struct{}  // closed when its goroutine is gone

	// The rest is guarded by Registry.mu.

	pending []Change
	asleep  time.Duration // until when, on the registry's clock; never is for good
}

// newAnnouncer returns nil if there is nobody to tell.
func newAnnouncer(c *config) *announcer {
	if c.logger == nil && len(c.hooks) == 0 {
		return nil
	}
	return &announcer{
		logger: c.logger,
		hooks:  c.hooks,
		wake:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
		asleep: never,
	}
}

// observe takes down what has changed, unless too much waits already: then it
// is found later, by comparison. until is when the checks must be looked at
// again. Registry.mu is held.
func (a *announcer) observe(checks []*check, now, until time.Duration) {
	for _, c := range checks {
		if !c.told && c.runs == 0 {
			continue
		}
		v := c.verdict(now)
		if c.told && v.state == c.seen || len(a.pending) == maxChanges {
			continue
		}
		a.pending = append(a.pending, Change{
			Name: c.name, Kind: c.kind, From: c.seen, To: v.state, Err: v.err, At: time.Now(),
		})
		c.told, c.seen = true, v.state
	}
	if len(a.pending) > 0 || until < a.asleep {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// announce tells every change until ctx ends, and what is left then. It holds
// no lock while a hook runs.
func (r *Registry) announce(ctx context.Context) {
	returned := false
	defer func() {
		if !returned { // a hook has called runtime.Goexit
			go r.announce(ctx)
			return
		}
		close(r.announcer.ended)
	}()
	for {
		c, ok, until := r.nextChange()
		if ok {
			r.announcer.tell(c)
		} else if !r.rest(ctx, until) {
			returned = true
			return
		}
	}
}

// nextChange takes the first change that waits. If there is none, until is when
// to look again.
func (r *Registry) nextChange() (c Change, ok bool, until time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.announcer
	until = r.published.Load().until
	if len(a.pending) == 0 {
		a.observe(r.checks, r.clock(), until) // what found no room
	}
	if len(a.pending) == 0 {
		a.asleep = until
		return c, false, until
	}
	c = a.pending[0]
	a.pending = a.pending[1:]
	return c, true, until
}

// rest waits until there may be something to tell; false means that it is over.
func (r *Registry) rest(ctx context.Context, until time.Duration) bool {
	var due <-chan time.Time
	if until != never {
		timer := time.NewTimer(until - r.clock())
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-r.announcer.wake:
		return true
	case <-due:
		r.current() // publishes what is true now
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *announcer) tell(c Change) {
	a.guarded(c, a.log)
	for _, hook := range a.hooks {
		a.guarded(c, hook)
	}
}

// guarded calls a hook, or the logger, whose handler may panic as well.
func (a *announcer) guarded(c Change, hook func(Change)) {
	defer func() {
		v := recover()
		if v == nil || a.logger == nil {
			return
		}
		defer func() { _ = recover() }() // it was the logger
		a.logger.Error("probe: change hook panicked", "check", c.Name, "panic", v, "stack", string(debug.Stack()))
	}()
	hook(c)
}

func (a *announcer) log(c Change) {
	if a.logger == nil {
		return
	}
	switch c.To {
	case Pass:
		a.logger.Info("probe: check passes", "check", c.Name, "kind", c.Kind.String())
	case Warn:
		a.logger.Warn("probe: check is degraded", "check", c.Name, "kind", c.Kind.String(), "error", c.Err)
	default:
		a.logger.Warn("probe: check fails", "check", c.Name, "kind", c.Kind.String(), "error", c.Err)
	}
}
