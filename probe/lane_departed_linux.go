//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"syscall"
)

// departed is a connection that its client has reset. What came before can be
// read all the same, but a connection made from a descriptor has no RemoteAddr
// then, and net/http relies on one.
type departed struct {
	*net.TCPConn
	remote net.Addr
}

var _ net.Conn = departed{}

func (d departed) RemoteAddr() net.Addr { return d.remote }

// addr is what net would make of it for a TCP connection.
func (s *sockaddr) addr() *net.TCPAddr {
	a := &net.TCPAddr{Port: int(binary.BigEndian.Uint16(s[2:]))}
	switch binary.NativeEndian.Uint16(s[:]) {
	case syscall.AF_INET:
		a.IP = slices.Clone(net.IP(s[4:8]))
	case syscall.AF_INET6:
		a.IP = slices.Clone(net.IP(s[8:24]))
		if scope := int(binary.NativeEndian.Uint32(s[24:])); scope != 0 {
			a.Zone = strconv.Itoa(scope)
			if i, err := net.InterfaceByIndex(scope); err == nil {
				a.Zone = i.Name
			}
		}
	}
	return a
}
