//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan && !race

package probe

// instrumented: see lane_race_linux.go. Without the race detector coverage
// counts with plain instructions.
func instrumented() bool { return false }
