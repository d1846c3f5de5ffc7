//go:build !linux

package encoder

func populate(b []byte) (n int, fresh bool) { return len(b), false }
