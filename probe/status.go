package probe

import "time"

// Status is the registry's state at one moment, for the service's own eyes:
// unlike an answer it holds the errors.
type Status struct {
	Live     bool // /livez answers 200
	Ready    bool // /readyz answers 200
	Started  bool // /startupz answers 200
	Draining bool // SetDraining(true) or Close was called
	Checks   []CheckStatus
}

// CheckStatus is the state of one check.
type CheckStatus struct {
	Name string
	Kind Kind
	// State is how the check stands.
	State State
	// OK tells that no endpoint fails for it: State is not Fail.
	OK bool
	// Err is why State is not Pass: what the check's function returned, a
	// [*PanicError], or one of this package's errors.
	Err error
	// LastErr is how the last run ended. It can differ from Err while a
	// threshold is being counted up to. Nil before the first result.
	LastErr error
	// LastRun is when the last run ended or timed out. Zero before that. Of a
	// [Heartbeat] it is the last beat; Took and Runs are zero.
	LastRun time.Time
	// Took is how long the last run took, or has taken so far if it hangs.
	Took time.Duration
	// Runs counts the runs that ended or timed out.
	Runs uint64
}

// Status returns a copy of the present state, checks in the order in which
// they were given to [New], and then as they were added.
func (r *Registry) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Live: true, Ready: !r.draining, Started: true, Draining: r.draining}
	now := r.clock()
	for _, c := range r.checks {
		v := c.verdict(now)
		if v.state == Fail {
			s.Live = s.Live && !Liveness.covers(c.kind)
			s.Ready = s.Ready && !Readiness.covers(c.kind)
			s.Started = s.Started && !Startup.covers(c.kind)
		}
		status := CheckStatus{
			Name:    c.name,
			Kind:    c.kind,
			State:   v.state,
			OK:      v.state != Fail,
			Err:     v.err,
			LastErr: c.last.err,
			LastRun: c.last.at,
			Took:    c.last.took,
			Runs:    c.runs,
		}
		if c.beats != nil {
			status.LastRun = r.epoch.Add(c.beats.lastBeat())
		}
		s.Checks = append(s.Checks, status)
	}
	return s
}
