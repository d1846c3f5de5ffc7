package admission

import "sync/atomic"

// Route is what the gate knows of one route. It is guarded by the gate's mu.
type Route struct {
	light    atomic.Bool // known to be; written with mu held, read without
	answered bool        // at least once
	value    int64       // bytes of heap that a response costs
	pooled   int64       // bytes that its encoder holds from its own pools meanwhile
	guess    *Ticket     // all that is known is a guess from this one

	waiters []*waiter // in order of arrival
	fast    int       // how many of them are known to be
	passed  int64     // what it has been let in for, in bytes; see Gate.next
}

// waiter is a request that waits at the gate.
type waiter struct {
	ready chan *Ticket // buffered, so that letting in never blocks; nil is for turned away
	err   error        // why, set before
	route *Route
	fast  bool
	since int64 // nanoseconds on the gate's clock
}

const (
	// lightWeight is what a request may hold without being counted as heavy.
	lightWeight = 256 << 10
	// unknownWeight is what a request is thought to hold whose route has not
	// answered yet: little enough for a hundred to enter at once, and enough to
	// be measured. What they really allocate is watched meanwhile.
	unknownWeight = 320 << 10
)

// weight is how many bytes a request to the route is going to hold.
func (r *Route) weight() int64 {
	if !r.answered {
		return unknownWeight
	}
	return r.value + r.pooled
}

// builds reports whether a response may need much memory before it is encoded.
func (r *Route) builds() bool { return !r.answered || heavy(r.value) > 0 }

// learn takes in what one response has cost. What is more counts at once by
// half, what is less by little, so that a route that answers one row or a
// million is treated as one that may answer a million.
func (r *Route) learn(value, pooled int64) {
	if !r.answered {
		r.answered = true
		r.value, r.pooled = value, pooled
	} else {
		r.value = approach(r.value, value)
		r.pooled = approach(r.pooled, pooled)
	}
	r.guess = nil
	r.light.Store(r.weight() <= lightWeight)
}

func approach(from, to int64) int64 {
	if to > from {
		return from + (to-from+1)/2
	}
	return from - (from-to+7)/8
}
