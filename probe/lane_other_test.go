//go:build !linux || !(amd64 || arm64) || !go1.26 || go1.27 || msan || asan

package probe

func runChild() {}

func hasLane() bool { return false }
