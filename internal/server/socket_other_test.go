//go:build !unix

package server

func smallReceiveBuffer(uintptr) {}
