package probe

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Heartbeat watches a loop of the service's: a consumer, a scheduler, a pump.
// [Registry.Heartbeat] makes one. It costs no goroutine and no timer.
type Heartbeat struct {
	registry *Registry
	limit    time.Duration
	last     atomic.Int64 // the last beat, on the registry's clock
	late     atomic.Bool  // the published answers say so; the next beat makes new ones
}

// Heartbeat adds a liveness check that fails once the last beat is older than
// the limit, and passes again with the next one. Making it counts as the first
// beat, so make it where the loop begins. A loop that ends on purpose takes it
// out with [Registry.Remove].
//
//	beat, err := probes.Heartbeat("consumer", time.Minute)
//	if err != nil {
//		return err
//	}
//	defer probes.Remove("consumer")
//	for message := range messages { // or whenever there has been none for a while
//		beat.Beat()
//		handle(message)
//	}
//
// Who misses the limit is restarted, and a process that is short of processor
// time beats late without being broken. So the limit is a time that load alone
// cannot reach: ten times the longest turn of the loop under load, and a minute
// rather than a second. Zero and negative limits are errors, and so are names
// that [Registry.Add] would refuse. After Close the error is [ErrClosed].
func (r *Registry) Heartbeat(name string, limit time.Duration) (*Heartbeat, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("probe: heartbeat %q: its limit, %v, must be positive", name, limit)
	}
	h := &Heartbeat{registry: r, limit: limit}
	h.last.Store(int64(r.clock()))
	c := newCheck(spec{name: name, kind: Liveness, initially: Pass})
	c.beats, c.told = h, true
	close(c.stopped) // there is no loop
	if err := r.add(c); err != nil {
		return nil, err
	}
	return h, nil
}

// Beat says that the loop goes on. It may be called from any goroutine, also
// after the heartbeat was removed. It reads the clock and writes one word, 40 ns
// and no allocation; only the beat that ends a failure makes new answers as
// well.
func (h *Heartbeat) Beat() { h.beat(h.registry.clock()) }

func (h *Heartbeat) beat(now time.Duration) {
	h.last.Store(int64(now))
	if h.late.Load() {
		h.registry.recovered(h)
	}
}

func (h *Heartbeat) lastBeat() time.Duration { return time.Duration(h.last.Load()) }

// verdict passes until the limit. Registry.mu is held.
func (h *Heartbeat) verdict(now time.Duration) verdict {
	until := h.lastBeat() + h.limit
	if now >= until {
		// A beat that comes from here on sees this, and one that came just
		// before it is seen by looking again: none is lost between the two.
		h.late.Store(true)
		until = h.lastBeat() + h.limit
	}
	if now >= until {
		return verdict{Fail, ErrNoHeartbeat, never}
	}
	return verdict{Pass, nil, until}
}

// recovered publishes that a late heartbeat beats again.
func (r *Registry) recovered(h *Heartbeat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.late.Store(false)
	r.publish()
}
