package middleware

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/internal/server"
)

// ask sends a request on a connection of its own, and leaves its response
// unread.
func (s *served) ask(path string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	_ = c.SetDeadline(time.Now().Add(deadline))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func TestAClientThatDoesNotReadIsCutForThoseWhoWait(t *testing.T) {
	const size = 8 << 20 // more than the sockets between them take
	r := gin.New()
	r.GET("/big", func(c *gin.Context) { c.JSON(200, strings.Repeat("x", size)) })
	// Who takes nothing has a rate of zero long before the server cuts it for
	// having stalled.
	s := serve(t, r, WithMemoryBudget(size), WithMinReadRate(64<<20), func(c *config) { c.readsFor = 500 * time.Millisecond })
	s.wantStatus("/big", http.StatusOK) // so that its weight is known
	var stalled []net.Conn
	for range floor {
		stalled = append(stalled, s.ask("/big"))
	}
	until(t, func() bool { return s.guard.Stats().InFlight == floor })
	s.wantStatus("/big", http.StatusOK)
	if st := s.guard.Stats(); st.Cut == 0 || st.Shed != 0 {
		t.Errorf("%+v", st)
	}
	cut := 0
	for _, c := range stalled {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, syscall.ECONNRESET) {
			cut++
		}
	}
	if cut == 0 {
		t.Error("nobody's connection was reset")
	}
}

func TestASlowClientIsLeftAloneWhileThereIsRoom(t *testing.T) {
	const size = 8 << 20 // more than the sockets between them take
	r := gin.New()
	r.GET("/big", func(c *gin.Context) { c.JSON(200, strings.Repeat("x", size)) })
	// No stall: a busy machine may take long for the others.
	s := serve(t, r, WithMinReadRate(1<<40), WithWriteStall(0), func(c *config) { c.readsFor = time.Nanosecond })
	s.wantStatus("/big", http.StatusOK)
	c := s.ask("/big")
	until(t, func() bool { return s.guard.Stats().InFlight == 1 })
	for range 5 {
		s.wantStatus("/big", http.StatusOK)
	}
	if st := s.guard.Stats(); st.Cut != 0 {
		t.Errorf("%+v", st)
	}
	// Now it reads as others do: through so small a buffer that takes long.
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 20)
	_ = c.SetDeadline(time.Now().Add(deadline))
	if _, err := io.CopyN(io.Discard, c, size); err != nil {
		t.Errorf("the rest of a response that was left alone: %v", err)
	}
}

func TestAConnectionIsKnownByHowItReads(t *testing.T) {
	const size = 4 << 20
	marks := make(chan bool, 1)
	r := gin.New()
	r.GET("/big", func(c *gin.Context) {
		marks <- server.FromContext(c.Request.Context()).Mark.Load()
		c.JSON(200, strings.Repeat("x", size))
	})
	s := serve(t, r, WithMinReadRate(1))
	for i, want := range []bool{false, true, true} { // on one connection
		s.wantStatus("/big", http.StatusOK)
		if got := await(t, marks); got != want {
			t.Errorf("request %d: known to be fast: %v", i, got)
		}
	}
}
