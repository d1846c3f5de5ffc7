package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// jitterPart: an interval varies by one part in so many. A tenth spreads the
// checks of a fleet that was deployed at once within a few rounds, and is too
// little to be noticed in what an interval promises.
const jitterPart = 10

// never is later than any reading of the registry's clock.
const never = time.Duration(math.MaxInt64)

// check is one check and its state. Registry.Start or Add starts its loop,
// Remove or Close ends it. A heartbeat is a check without a loop.
type check struct {
	spec                  // immutable
	beats   *Heartbeat    // immutable; nil for a check that is run
	stopped chan struct{} // closed with Registry.mu held, when neither the loop nor a run is left

	// The rest is guarded by Registry.mu.

	end context.CancelFunc // of the loop; nil before it begins

	cause      error          // why the check fails, nil if it does not
	warning    error          // why it is degraded while it does not fail
	reasons    [states]string // what they say, by the state they are for
	freshUntil time.Duration  // on the registry's clock: from then on the result is stale; never without one
	failures   int            // in a row
	successes  int            // in a row
	last       result
	runs       uint64 // that have a result, ErrTimeout included

	told bool  // the check's first result is among the changes
	seen State // when the changes were looked for last
}

// verdict is what a check says at one moment.
type verdict struct {
	state State
	err   error         // why it is not Pass
	until time.Duration // on the registry's clock: then it must be asked again, though nothing was published
}

// result is what became of a run.
type result struct {
	err      error
	degraded bool      // err is a warning
	reason   string    // what err says
	at       time.Time // when this was decided: the run's end or its timeout
	took     time.Duration

	// again: not a run of its own but an earlier one that still hangs. It
	// counts as a failure and does not make the check's result any fresher.
	again bool
}

func newCheck(s spec) *check {
	c := &check{spec: s, stopped: make(chan struct{}), freshUntil: never, seen: s.initially}
	switch s.initially {
	case Fail:
		c.cause, c.reasons[Fail] = ErrPending, ErrPending.Error()
	case Warn:
		c.warning, c.reasons[Warn] = ErrPending, ErrPending.Error()
	}
	return c
}

// loop runs the check until ctx ends or report says it is settled. It holds
// no lock while the check's function runs, and keeps at most one run alive.
func (c *check) loop(ctx context.Context, report func(*check, result) (settled bool)) {
	for {
		r := begin(ctx, &c.spec)
		res := r.outcome()
		if ctx.Err() == nil && report(c, res) {
			return
		}
		c.pause(ctx)
		for ctx.Err() == nil && r.hangs() {
			report(c, result{err: ErrStuck, reason: ErrStuck.Error(), at: res.at, took: time.Since(r.began), again: true})
			c.pause(ctx)
		}
		if ctx.Err() != nil {
			<-r.returned
			return
		}
	}
}

// pause waits for about an interval, or until ctx ends.
func (c *check) pause(ctx context.Context) {
	spread := c.interval / jitterPart
	timer := time.NewTimer(c.interval - spread + rand.N(2*spread+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// record takes in a result. Registry.mu is held.
func (c *check) record(res result, freshUntil time.Duration) {
	if !res.again {
		c.runs++
		c.freshUntil = freshUntil
	}
	c.last = res
	if res.err != nil && !res.degraded {
		c.successes = 0
		c.failures++
		if c.cause != nil || c.failures >= c.failureThreshold {
			c.cause, c.reasons[Fail] = res.err, res.reason
		}
		return
	}
	c.failures = 0
	c.successes++
	c.warning, c.reasons[Warn] = res.err, res.reason
	if c.successes >= c.successThreshold {
		c.cause = nil
	}
}

// settled tells whether the check need not run any more. Registry.mu is held.
func (c *check) settled() bool {
	return c.kind == Startup && c.successes >= c.successThreshold
}

// verdict says how the check stands at a moment of the registry's clock.
// Registry.mu is held.
func (c *check) verdict(now time.Duration) verdict {
	switch {
	case c.beats != nil:
		return c.beats.verdict(now)
	case c.cause != nil:
		return verdict{Fail, c.cause, never}
	case now >= c.freshUntil:
		return verdict{Fail, ErrStale, never}
	case c.warning != nil:
		return verdict{Warn, c.warning, c.freshUntil}
	}
	return verdict{Pass, nil, c.freshUntil}
}

// reason is what a verdict's error says. Registry.mu is held, so none but this
// package's own errors are asked.
func (c *check) reason(v verdict) string {
	switch {
	case v.state == Pass:
		return ""
	case v.state == Warn, c.cause != nil:
		return c.reasons[v.state]
	}
	return v.err.Error() // ErrStale or ErrNoHeartbeat
}
