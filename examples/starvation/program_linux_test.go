package main

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gone waits, by the kernel's word, until a process has ended.
func gone(t *testing.T, pid int) func() {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	return func() {
		t.Helper()
		defer unix.Close(fd)
		for end := time.Now().Add(tooLong); ; {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(tooLong.Milliseconds()))
			if err == unix.EINTR && time.Now().Before(end) {
				continue
			}
			if n != 1 {
				t.Fatalf("process %d still runs: %v", pid, err)
			}
			return
		}
	}
}

func TestNoProcessIsLeftBehind(t *testing.T) {
	for _, tc := range []struct {
		name   string
		signal unix.Signal
		exit   int // -1: ended by the signal itself
		told   string
	}{
		{"on Ctrl-C", unix.SIGINT, exitInterrupted, "interrupted"},
		{"on SIGTERM", unix.SIGTERM, exitInterrupted, "interrupted"},
		{"on a closed terminal", unix.SIGHUP, exitInterrupted, "interrupted"},
		{"on a signal that cannot be caught", unix.SIGKILL, -1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, "-seconds", "60", "-entities", "50", "-c", "2", "-servers", "plain,guarded")
			gone := gone(t, p.serverPID(t, "plain"))
			if err := p.cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			if got := p.wait(t); got != tc.exit {
				t.Errorf("exit status %d, want %d", got, tc.exit)
			}
			if !strings.Contains(p.stderr.String(), tc.told) {
				t.Errorf("stderr: %s", &p.stderr)
			}
			gone()
		})
	}
}
