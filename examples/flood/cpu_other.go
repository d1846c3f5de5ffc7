//go:build !linux

package flood

import (
	"errors"
	"time"
)

// CPUTime returns an error here: it needs Linux.
func CPUTime(int) (time.Duration, error) { return 0, errors.New("flood: CPU times need Linux") }
