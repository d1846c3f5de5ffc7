package server

import (
	"sync"
	"time"
)

// waitsAfter is when a write counts as waiting for its client. Handing 256 KB
// to the kernel takes 0.05 to 0.1 ms, so what takes ten times as long waits
// for buffer space.
const waitsAfter = time.Millisecond

// observedWrite is the smallest write that is observed: the size of net/http's
// buffer on a connection, so that all writes that follow one another closely
// have it, and headers and trailers do not.
const observedWrite = 4 << 10

// A WaitObserver hears of writes, and of reads of a request's body, that wait
// for the client. WaitBegin comes on a goroutine of its own, about a millisecond
// into one of n bytes that is not done by then; WaitEnd on the goroutine that
// writes or reads when it is over, whether it succeeded or not. Those of writes
// come in pairs and never at the same time, and so do those of reads, but a
// handler may read and write at once. Of what does not wait neither comes. They
// must neither block nor use the connection.
type WaitObserver interface {
	WaitBegin(n int)
	WaitEnd(n int)
}

// SetObserver has o observe the writes of the request that is being handled,
// nil none. Call it from the handler's goroutine and call it with nil before
// the handler returns. It is for HTTP/1: on HTTP/2 many requests share a
// connection, and one whose client does not read waits for flow control, of
// which the connection knows nothing.
func (c *Conn) SetObserver(o WaitObserver) {
	c.watch.set(o)
	c.observed.Store(o != nil)
}

// watch tells an observer about one connection's writes, or one body's reads. A
// watched one costs a timer's reset and stop, about 0.1 µs.
type watch struct {
	mu     sync.Mutex // guards all below, and orders the observer's calls
	o      WaitObserver
	timer  *time.Timer // kept from one to the next
	n      int
	active bool
	told   WaitObserver // who has heard WaitBegin and is owed WaitEnd
}

func (w *watch) set(o WaitObserver) {
	w.mu.Lock()
	w.o = o
	w.mu.Unlock()
}

// during calls f if something that o observes is going on, which f keeps from
// ending. It reports whether it did.
func (w *watch) during(o WaitObserver, f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.o != o || !w.active {
		return false
	}
	f()
	return true
}

func (w *watch) begin(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active, w.n = true, n
	if w.timer == nil {
		w.timer = time.AfterFunc(waitsAfter, w.waits)
	} else {
		w.timer.Reset(waitsAfter)
	}
}

// waits may come late, during the next one. That is then told too early,
// which does no harm.
func (w *watch) waits() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active && w.told == nil && w.o != nil {
		w.told = w.o
		w.told.WaitBegin(w.n)
	}
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.active = false
	if w.told != nil {
		w.told.WaitEnd(w.n)
		w.told = nil
	}
}
