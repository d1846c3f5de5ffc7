package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

// children returns the processes that a process has started and that still run.
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	status, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range status {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), fmt.Sprintf("\nPPid:\t%d\n", pid)) {
			continue // another's, or it has ended
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, child)
	}
	return all
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
			p.serverPID(t, "plain") // until its flood is under way
			var ends []func()
			for _, child := range children(t, p.cmd.Process.Pid) {
				ends = append(ends, gone(t, child))
			}
			if len(ends) != 2 {
				t.Errorf("%d children, want the server and the prober", len(ends))
			}
			if err := p.cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			if got := p.wait(t); got != tc.exit {
				t.Errorf("exit status %d, want %d", got, tc.exit)
			}
			if !strings.Contains(p.stderr.String(), tc.told) {
				t.Errorf("stderr: %s", &p.stderr)
			}
			for _, gone := range ends {
				gone()
			}
		})
	}
}
