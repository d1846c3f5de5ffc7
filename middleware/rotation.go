package middleware

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/probelane/probelane/internal/admission"
	"github.com/probelane/probelane/probe"
)

const (
	// inRotation is how many times longer the process stays in rotation than
	// out of it, on average, while it is overloaded: three quarters of a fleet
	// serve. The others' share raises the load of these by a third.
	inRotation = 3
	// Queues this full, as parts of the most that may wait, begin and end
	// overload. Far apart, because a queue that clients fill and empty swings.
	highWater = 2
	lowWater  = 8

	// The check only reads counters. When it is late, that is because there is
	// no processor for it, and this must not send the whole fleet out of
	// rotation at once.
	rotationTimeout   = time.Minute
	rotationStaleness = 10 * time.Minute
)

type rotationConfig struct {
	on       bool
	out      time.Duration // on average
	interval time.Duration // between two looks at the gate
}

// rotation decides whether an overloaded process is to get new connections. It
// belongs to the goroutine of its check.
type rotation struct {
	out     time.Duration
	waiting int // at most
	spread  func(mean time.Duration) time.Duration

	overloaded bool
	left       bool      // out of rotation
	until      time.Time // out of rotation then, or back in it
	shed       int64     // at the last look
}

// spread is at random between a half and one and a half of the mean.
func spread(mean time.Duration) time.Duration { return mean/2 + rand.N(mean) }

// watchRotation adds the check. It runs once the gate exists.
func (g *Guard) watchRotation() error {
	r := &rotation{out: g.cfg.rotation.out, waiting: g.cfg.maxWaiting, spread: spread}
	return g.probes.Add(probe.Readiness, "overload",
		func(context.Context) error { return r.look(time.Now(), g.gate.Stats()) },
		probe.Interval(g.cfg.rotation.interval), probe.Timeout(rotationTimeout), probe.Staleness(rotationStaleness),
		probe.Initially(probe.Pass))
}

// look takes in how the gate does. The error is nil, or degraded while the
// process is overloaded and still in rotation, or a failure.
func (r *rotation) look(now time.Time, s admission.Stats) error {
	turnedAway := s.Shed - r.shed
	r.shed = s.Shed
	if r.left && now.Before(r.until) {
		return fmt.Errorf("overloaded: out of rotation for another %v", r.until.Sub(now).Round(time.Second))
	}
	if r.left {
		// Back, and overload that goes on counts from here.
		r.left, r.overloaded = false, false
	}
	switch {
	case turnedAway > 0, s.Waiting*highWater >= r.waiting:
		if !r.overloaded {
			r.overloaded, r.until = true, now.Add(r.spread(inRotation*r.out))
		}
	case s.Waiting*lowWater < r.waiting:
		r.overloaded = false
	}
	if !r.overloaded {
		return nil
	}
	if now.Before(r.until) {
		return probe.Degraded(fmt.Errorf("overloaded: %d requests wait, %d were turned away since the last look", s.Waiting, turnedAway))
	}
	r.left, r.until = true, now.Add(r.spread(r.out))
	return fmt.Errorf("overloaded for long: out of rotation for %v", r.until.Sub(now).Round(time.Second))
}
