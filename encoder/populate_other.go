//go:build !linux

package encoder

func populate([]byte) {}
