package flood

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// child is this test binary in one of the roles of TestMain.
func child(t *testing.T, role string) Process {
	t.Helper()
	addr := freeAddr(t)
	t.Setenv("FLOOD_TEST_CHILD", role)
	t.Setenv("FLOOD_TEST_ADDR", addr)
	return Process{Path: os.Args[0], Addr: addr, Core: -1}
}

func TestStartReturnsWhenTheChildListens(t *testing.T) {
	p := child(t, "serve")
	p.Procs = 1
	s, err := Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if _, err := Verify(t.Context(), p.Addr, "/procs", -1); err != nil { // "1" is JSON
		t.Errorf("the child does not serve: %v", err)
	}
	if s.Err() != nil {
		t.Errorf("a running child has an error: %v", s.Err())
	}
	if got := s.Output(); !strings.Contains(got, "serving") {
		t.Errorf("output %q", got)
	}
	s.Stop()
	s.Stop()
	<-s.Exited()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("after Stop: %v", err)
	}
	conn, err := net.Dial("tcp", p.Addr)
	if err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}

func TestStartTellsWhyTheChildFailed(t *testing.T) {
	_, err := Start(t.Context(), child(t, "fail"))
	if err == nil || !strings.Contains(err.Error(), "no database") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want how it ended and what it wrote", err)
	}
}

func TestStartTellsOfABusyPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := child(t, "serve")
	p.Addr = ln.Addr().String()
	_, err = Start(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), p.Addr) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

func TestStartKillsAChildThatDoesNotListen(t *testing.T) {
	p := child(t, "silent")
	p.Ready = 50 * time.Millisecond
	if _, err := Start(t.Context(), p); err == nil || !strings.Contains(err.Error(), "did not listen") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, p); err == nil {
		t.Error("no error under a context that has ended")
	}
}

func TestStartTellsOfAProgramThatDoesNotExist(t *testing.T) {
	if _, err := Start(t.Context(), Process{Path: "/nonexistent", Addr: freeAddr(t), Core: -1}); err == nil {
		t.Error("no error")
	}
}

func TestTailBufferKeepsTheLastOfIt(t *testing.T) {
	var b tailBuffer
	for range 1000 {
		b.Write([]byte("0123456789"))
	}
	b.Write([]byte("end"))
	if got := b.String(); len(got) != tailSize || !strings.HasSuffix(got, "789end") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-6:])
	}
}
