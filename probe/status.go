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
	// OK is what the answers say of the check.
	OK bool
	// Err is why the check fails: what its function returned, a
	// [*PanicError], or one of this package's errors. Nil if OK.
	Err error
	// LastErr is how the last run ended. It can differ from Err while a
	// threshold is being counted up to. Nil before the first result.
	LastErr error
	// LastRun is when the last run ended or timed out. Zero before that.
	LastRun time.Time
	// Took is how long the last run took, or has taken so far if it hangs.
	Took time.Duration
	// Runs counts the runs that ended or timed out.
	Runs uint64
}

// Status returns a copy of the present state, checks in the order in which
// they were given to [New].
func (r *Registry) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Live: true, Ready: !r.draining, Started: true, Draining: r.draining}
	now := r.clock()
	for _, c := range r.checks {
		err := c.verdict(now)
		if err != nil {
			s.Live = s.Live && !Liveness.covers(c.kind)
			s.Ready = s.Ready && !Readiness.covers(c.kind)
			s.Started = s.Started && !Startup.covers(c.kind)
		}
		s.Checks = append(s.Checks, CheckStatus{
			Name:    c.name,
			Kind:    c.kind,
			OK:      err == nil,
			Err:     err,
			LastErr: c.last.err,
			LastRun: c.last.at,
			Took:    c.last.took,
			Runs:    c.runs,
		})
	}
	return s
}
