package server

import (
	"net"
	"syscall"
	"unsafe"
)

// unacked returns how many bytes the kernel still holds for the peer: not sent,
// or not acknowledged (SIOCOUTQ in tcp(7), the number TIOCOUTQ).
//
// That a write got on is not enough to know that the client reads. Linux wakes
// a blocked writer only when a third of the send buffer is free, and the
// buffer grows to 4 MB (tcp_wmem): at 20 KB/s that is a minute between two
// wake-ups, during which the client has read all the time.
func unacked(nc net.Conn) (n int, known bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	var queued int32
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued)))
	})
	return int(queued), err == nil && errno == 0
}
