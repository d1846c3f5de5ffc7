package probe

import (
	"errors"
	"fmt"
)

// The reasons a check can fail without its function having returned an error.
// They appear in [CheckStatus.Err] and in the log, and in an answer only
// [WithReasons].
var (
	// ErrPending: a readiness or startup check has no result yet.
	ErrPending = errors.New("probe: no result yet")
	// ErrTimeout: the run has not returned within its [Timeout].
	ErrTimeout = errors.New("probe: check timed out")
	// ErrStuck: an [Interval] after its timeout the run has still not
	// returned. No other run is started until it does.
	ErrStuck = errors.New("probe: check ignores its context and is still running")
	// ErrStale: the last result is older than the [Staleness] limit.
	ErrStale = errors.New("probe: result is stale")
	// ErrNoHeartbeat: the last beat of a [Heartbeat] is older than its limit.
	ErrNoHeartbeat = errors.New("probe: no heartbeat within its limit")
	// ErrExited: the check called runtime.Goexit, as t.FailNow does.
	ErrExited = errors.New("probe: check ended its goroutine")
)

// ErrClosed is what [Registry.Add], [Registry.Heartbeat] and [Registry.Remove]
// return after Close.
var ErrClosed = errors.New("probe: the registry is closed")

// PanicError is the failure of a check that panicked.
type PanicError struct {
	Value any    // what the check panicked with
	Stack []byte // where, as runtime/debug.Stack prints it
}

// Error returns the panic's value without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("probe: check panicked: %v", e.Value) }

// Unwrap returns the panic's value where it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
