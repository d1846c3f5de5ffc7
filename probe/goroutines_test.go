package probe

import (
	"runtime"
	"testing"
)

func TestGoroutines(t *testing.T) {
	limit := runtime.NumGoroutine() + 50
	check := Goroutines(limit)
	wantPass(t, check)
	release := make(chan struct{})
	defer close(release)
	for range limit {
		go func() { <-release }()
	}
	wantFailure(t, check, "goroutines, more than ")
}
