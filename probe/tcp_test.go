package probe

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestTCP(t *testing.T) {
	l := listenTCP(t)
	check := TCP(l.Addr().String())
	for range 3 {
		wantPass(t, check)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the server read %d bytes, %v; want a connection that is closed and had nothing", n, err)
		}
		conn.Close()
	}
	l.Close()
	if err := wantFailure(t, check, "dial tcp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v, want it refused", err)
	}
}
