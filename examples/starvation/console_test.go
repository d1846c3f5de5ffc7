package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConsoleWithoutATerminalPrintsLinesOnly(t *testing.T) {
	var out bytes.Buffer
	con := newConsole(&out)
	con.stage(0, 3, "plain")
	con.begin(time.Second)
	con.printf("one\n")
	con.close()
	con.close()
	if got, want := out.String(), "one\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestConsoleKeepsTheBarBelowTheLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		con := &console{w: &out, bar: true, stop: make(chan struct{})}
		con.done.Go(con.redraw)
		con.stage(1, 3, "offload")
		con.begin(10 * time.Second)
		con.printf("one\n")
		time.Sleep(5 * time.Second) // the fake clock's
		synctest.Wait()
		con.printf("two\n")
		con.close()

		frames := strings.Split(out.String(), "\r\x1b[K")
		if len(frames) < 20 {
			t.Errorf("drawn %d times in five seconds", len(frames))
		}
		if got, want := frames[0], "one\n[############------------------------] 2 of 3, offload, 10 s left"; got != want {
			t.Errorf("first %q, want %q", got, want)
		}
		if got, want := frames[len(frames)-2], "two\n[##################------------------] 2 of 3, offload,  5 s left"; got != want {
			t.Errorf("last %q, want %q", got, want)
		}
		if got := frames[len(frames)-1]; got != "" {
			t.Errorf("left behind %q, want nothing", got)
		}
	})
}

func TestBarFitsIntoALine(t *testing.T) {
	con := &console{of: 4, index: 3, name: "offload", start: time.Now(), duration: 600 * time.Second}
	for _, after := range []time.Duration{0, 300 * time.Second, time.Hour} {
		if got := con.line(con.start.Add(after)); len(got) > 79 {
			t.Errorf("%d columns: %s", len(got), got)
		}
	}
}
