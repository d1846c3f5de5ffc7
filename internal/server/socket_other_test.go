//go:build !unix

package server

func setReceiveBuffer(uintptr, int) {}
