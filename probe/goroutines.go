package probe

import (
	"context"
	"fmt"
	"runtime"
)

// Goroutines returns a check that fails while there are more than limit
// goroutines, for leaks that a restart would mend. Each request of a busy
// service takes two or three, those that wait included, and this is not to
// restart it: the limit is many times what the service needs under full load.
func Goroutines(limit int) func(context.Context) error {
	if limit <= 0 {
		return mistaken(fmt.Errorf("probe: Goroutines(%d): the limit must be positive", limit))
	}
	return func(context.Context) error {
		if n := runtime.NumGoroutine(); n > limit {
			return fmt.Errorf("probe: %d goroutines, more than %d", n, limit)
		}
		return nil
	}
}
