package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// console prints lines and, on a terminal, keeps a progress bar below them.
type console struct {
	w   io.Writer
	bar bool // a terminal is there to redraw a line on

	mu       sync.Mutex // guards what follows, and w
	drawn    bool
	closed   bool
	name     string
	index    int
	of       int
	start    time.Time
	duration time.Duration
	stop     chan struct{}
	done     sync.WaitGroup
}

func newConsole(w io.Writer) *console {
	con := &console{w: w, bar: isTerminal(w), stop: make(chan struct{})}
	if con.bar {
		con.done.Go(con.redraw)
	}
	return con
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// redraw keeps the bar moving while nothing is printed.
func (con *console) redraw() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-con.stop:
			return
		case now := <-tick.C:
			con.mu.Lock()
			con.erase()
			con.draw(now)
			con.mu.Unlock()
		}
	}
}

// printf prints above the bar.
func (con *console) printf(format string, args ...any) {
	con.mu.Lock()
	defer con.mu.Unlock()
	con.erase()
	fmt.Fprintf(con.w, format, args...)
	con.draw(time.Now())
}

// stage says that the server of that name, the index-th of so many, is next.
func (con *console) stage(index, of int, name string) {
	con.mu.Lock()
	defer con.mu.Unlock()
	con.index, con.of, con.name = index, of, name
	con.start = time.Time{}
}

// begin says that its flood begins now and how long it lasts.
func (con *console) begin(duration time.Duration) {
	con.mu.Lock()
	defer con.mu.Unlock()
	con.start, con.duration = time.Now(), duration
}

// close takes the bar away. Further calls do nothing.
func (con *console) close() {
	con.mu.Lock()
	if con.closed {
		con.mu.Unlock()
		return
	}
	con.closed = true
	con.erase()
	con.mu.Unlock()
	close(con.stop)
	con.done.Wait()
}

// erase and draw are called with mu held.
func (con *console) erase() {
	if con.drawn {
		fmt.Fprint(con.w, "\r\x1b[K")
		con.drawn = false
	}
}

func (con *console) draw(now time.Time) {
	if !con.bar || con.closed || con.of == 0 {
		return
	}
	fmt.Fprint(con.w, con.line(now))
	con.drawn = true
}

// line is the bar: over all servers, as they take equally long.
func (con *console) line(now time.Time) string {
	const width = 36
	share, left := 0.0, "starting"
	if !con.start.IsZero() {
		gone := min(now.Sub(con.start), con.duration)
		share = gone.Seconds() / con.duration.Seconds()
		left = fmt.Sprintf("%2.0f s left", (con.duration - gone).Seconds())
	}
	full := int(width * (float64(con.index) + share) / float64(con.of))
	return fmt.Sprintf("[%s%s] %d of %d, %s, %s",
		strings.Repeat("#", full), strings.Repeat("-", width-full), con.index+1, con.of, con.name, left)
}
