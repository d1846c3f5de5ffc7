//go:build linux && (amd64 || arm64)

package server

import (
	"net"
	"syscall"
	"unsafe"
)

const (
	tcpNotSentLowat = 25  // TCP_NOTSENT_LOWAT of linux/tcp.h
	bytesAcked      = 120 // where tcpi_bytes_acked is in struct tcp_info, since Linux 4.1
)

// unsentMost is how much a socket takes beyond what is on its way. Without a
// limit Linux lets it grow to 4 MB (tcp_wmem) for a client that does not read:
// that much is encoded for nobody, and held by the kernel where no budget sees
// it. A client that reads is not held up: sixteen of them took as many responses
// of 18 MB from one core on loopback with 256 KB, 512 KB, 1 MB and no limit.
const unsentMost = 512 << 10

// limitUnsent makes a write wait sooner.
func limitUnsent(nc net.Conn) {
	control(nc, func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, unsentMost)
	})
}

// acked is how many bytes the peer has acknowledged, if nc is a TCP socket.
func acked(nc net.Conn) (n int64, ok bool) {
	control(nc, func(fd uintptr) {
		var info [bytesAcked + 8]byte
		size := uint32(len(info))
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && int(size) == len(info) {
			n, ok = *(*int64)(unsafe.Pointer(&info[bytesAcked])), true
		}
	})
	return n, ok
}

func control(nc net.Conn, f func(fd uintptr)) {
	if c, ok := nc.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			raw.Control(f)
		}
	}
}
