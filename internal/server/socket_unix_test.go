//go:build unix

package server

import "syscall"

func setReceiveBuffer(fd uintptr, size int) {
	syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size)
}
