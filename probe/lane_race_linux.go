//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan && race

package probe

import (
	"io"
	"runtime/coverage"
	"strings"
)

// instrumented tells whether the lane's code may have been given what cannot
// run without a P. Under the race detector coverage counts with sync/atomic,
// whose calls the detector takes for itself, and it looks for the P's memory.
//
// There is no call that asks. A built program has its meta-data, and the only
// error of a test binary that speaks of -cover is that of one without; it comes
// before anything is cleared.
func instrumented() bool {
	return coverage.WriteMeta(io.Discard) == nil ||
		!strings.Contains(coverage.ClearCounters().Error(), "not built with -cover")
}
