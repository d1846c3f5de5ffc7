package probe

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// run is one execution of a check's function, on a goroutine of its own. The
// check's loop starts it, and does not end before it has returned.
type run struct {
	ctx      context.Context // ends with the check's timeout
	began    time.Time
	returned chan struct{} // closed when the function has come back, however it did
	err      error         // written before returned is closed, read only after
	degraded bool          // err is a warning; guarded as err is
	reason   string        // what err says; guarded as err is
	late     bool          // the function came back after its time; guarded as err is
}

func begin(ctx context.Context, s *spec) *run {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	r := &run{ctx: ctx, began: time.Now(), returned: make(chan struct{})}
	go func() {
		defer cancel()
		r.call(s.fn)
	}()
	return r
}

// call runs fn and closes returned even if fn panics or ends its goroutine.
func (r *run) call(fn func(context.Context) error) {
	defer close(r.returned)
	defer func() { r.late = r.ctx.Err() != nil }()
	// What an error is and what it says, only the error knows, and that is the
	// user's code as well: it is asked here, within the timeout.
	defer func() { r.reason = reasonOf(r.err) }()
	r.err = ErrExited // overwritten unless fn calls Goexit
	defer func() {
		if v := recover(); v != nil {
			r.err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	err := fn(r.ctx)
	r.degraded = isDegraded(err)
	r.err = err
}

// outcome waits for the function, but not beyond its timeout, and returns what
// became of the run. What a function returns later than that does not count, be
// it nil. Whether it was late is decided where it returns: under load this
// goroutine may get its turn much later, and a result that was there in time is
// good.
func (r *run) outcome() result {
	select {
	case <-r.returned:
	case <-r.ctx.Done():
	}
	res := result{at: time.Now(), took: time.Since(r.began)}
	if r.hangs() || r.late {
		res.err = fmt.Errorf("%w after %v", ErrTimeout, res.took.Round(time.Millisecond))
		res.reason = res.err.Error()
		return res
	}
	res.err, res.degraded, res.reason = r.err, r.degraded, r.reason
	return res
}

// hangs tells whether the function has yet to return.
func (r *run) hangs() bool {
	select {
	case <-r.returned:
		return false
	default:
		return true
	}
}
