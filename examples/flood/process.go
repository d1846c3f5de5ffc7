package flood

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a server to run as a child.
type Process struct {
	// Path and Args are the program and its arguments, without its name.
	Path string
	Args []string
	// Addr is where it will listen.
	Addr string
	// Procs is its GOMAXPROCS. 0 leaves the environment as it is.
	Procs int
	// Core is the only core it may run on; negative means any. It has no
	// effect anywhere but on Linux.
	Core int
	// Ready is how long it may take until it accepts connections. 0 means 10 s.
	Ready time.Duration
}

// FreeAddr returns a loopback address with a port that was free just now.
func FreeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("flood: no free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// Server is a child that runs.
type Server struct {
	cmd    *exec.Cmd
	output tailBuffer
	exited chan struct{} // closed when the child is gone and err is set
	err    error         // how it ended; guarded by exited
	stop   sync.Once
}

// readyPause is the time between two looks at whether the child listens.
const readyPause = 5 * time.Millisecond

// Start starts the child and returns when it accepts connections. If it ends
// before, takes too long, or ctx ends, it is killed and the error carries what
// it last wrote.
//
// The caller must call Stop. On Linux the child dies with this process however
// that ends.
func Start(ctx context.Context, p Process) (*Server, error) {
	// A port that somebody else holds would accept too, and be taken for ours.
	free, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", p.Addr, errors.Unwrap(err))
	}
	free.Close()

	s := &Server{cmd: exec.Command(p.Path, p.Args...), exited: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if p.Procs > 0 {
		s.cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(p.Procs))
	}
	if err := StartChild(s.cmd, p.Core); err != nil {
		return nil, fmt.Errorf("flood: cannot start %s: %w", p.Path, err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	ready := p.Ready
	if ready <= 0 {
		ready = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", p.Addr)
		if err == nil {
			conn.Close()
			return s, nil
		}
		select {
		case <-s.exited:
			return nil, s.Err()
		case <-ctx.Done():
			s.Stop()
			return nil, fmt.Errorf("the server did not listen on %s within %v%s", p.Addr, ready, s.quoted())
		case <-time.After(readyPause):
		}
	}
}

// StartChild starts cmd with all of its threads on one core; on any core if core
// is negative, or if this is not Linux. A Ctrl-C does not reach it, since it is for
// this process to decide when its children end. On Linux it dies with this process,
// however that ends.
func StartChild(cmd *exec.Cmd, core int) error {
	ownGroup(cmd)
	return startOn(cmd, core)
}

// PID returns the child's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Exited is closed when the child has ended, by whatever reason.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Err tells how the child ended and what it last wrote; nil while it runs.
func (s *Server) Err() error {
	select {
	case <-s.exited:
	default:
		return nil
	}
	how := "ended by itself"
	var exit *exec.ExitError
	if errors.As(s.err, &exit) {
		how = "ended: " + exit.String()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			how = "was killed: " + exit.String()
		}
	}
	return fmt.Errorf("the server process %s%s", how, s.quoted())
}

// Stop kills the child and returns when it is gone. A second call does nothing
// more.
func (s *Server) Stop() {
	s.stop.Do(func() { s.cmd.Process.Kill() })
	<-s.exited
}

// Output returns the last of what the child wrote.
func (s *Server) Output() string { return s.output.String() }

func (s *Server) quoted() string {
	out := strings.TrimSpace(s.Output())
	if out == "" {
		return " (it wrote nothing)"
	}
	return "; it wrote:\n    " + strings.ReplaceAll(out, "\n", "\n    ")
}

// tailBuffer keeps the last few kilobytes written to it.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
}

const tailSize = 4 << 10

var _ io.Writer = (*tailBuffer)(nil)

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
