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

// check is one check and its state. Registry.Start starts its loop,
// Registry.Close ends it.
type check struct {
	spec                  // immutable
	stopped chan struct{} // closed when neither the loop nor a run is left

	// The rest is guarded by Registry.mu.

	cause      error         // why the check fails, nil if it passes
	reason     string        // what cause says, if answers may tell
	freshUntil time.Duration // on the registry's clock: from then on the result is stale; never without one
	failures   int           // in a row
	successes  int           // in a row
	last       result
	runs       uint64 // that have a result, ErrTimeout included
	announced  bool   // the check was passing when the log was told last
}

// result is what became of a run.
type result struct {
	err  error
	at   time.Time // when this was decided: the run's end or its timeout
	took time.Duration

	reason string // what err says, if answers may tell

	// again: not a run of its own but an earlier one that still hangs. It
	// counts as a failure and does not make the check's result any fresher.
	again bool
}

func newCheck(s spec) *check {
	c := &check{spec: s, stopped: make(chan struct{}), freshUntil: never}
	if s.kind != Liveness {
		c.cause, c.reason = ErrPending, ErrPending.Error()
	}
	return c
}

// loop runs the check until ctx ends or report says it is settled. It holds
// no lock while the check's function runs, and keeps at most one run alive.
func (c *check) loop(ctx context.Context, report func(*check, result) (settled bool)) {
	defer close(c.stopped)
	for {
		r := begin(ctx, &c.spec)
		res := result{err: r.outcome(), at: time.Now(), took: time.Since(r.began)}
		if ctx.Err() == nil && report(c, res) {
			return
		}
		c.pause(ctx)
		for ctx.Err() == nil && r.hangs() {
			report(c, result{err: ErrStuck, at: res.at, took: time.Since(r.began), again: true})
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
	if res.err != nil {
		c.successes = 0
		c.failures++
		if c.cause != nil || c.failures >= c.failureThreshold {
			c.cause, c.reason = res.err, res.reason
		}
		return
	}
	c.failures = 0
	c.successes++
	if c.successes >= c.successThreshold {
		c.cause = nil
	}
}

// verdict says why the check fails at a moment of the registry's clock, or
// nil if it passes. Registry.mu is held.
func (c *check) verdict(now time.Duration) error {
	if c.cause == nil && now >= c.freshUntil {
		return ErrStale
	}
	return c.cause
}

// grade says how the check is doing at a moment of the registry's clock and, if
// that is not well, why. Registry.mu is held.
func (c *check) grade(now time.Duration) (g grade, reason string) {
	switch {
	case c.cause != nil:
		return fails, c.reason
	case now >= c.freshUntil:
		return fails, ErrStale.Error()
	}
	return passes, ""
}

// stops waits until the loop and its run are gone, and reports whether they
// went before ctx ended.
func (c *check) stops(ctx context.Context) bool {
	select {
	case <-c.stopped:
		return true
	case <-ctx.Done():
	}
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}
