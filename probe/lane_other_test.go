//go:build !linux || !(amd64 || arm64) || !go1.26 || go1.27 || msan || asan

package probe

import (
	"net"
	"testing"
)

func runChild() {}

func hasLane() bool { return false }

func behindGate(*Lane) (net.Listener, func(*testing.T) func()) { return nil, nil }
