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

// A WriteObserver hears of writes that wait for the client. WriteBegin comes
// on a goroutine of its own, about a millisecond into a write of n bytes that
// is not done by then; WriteEnd on the writing goroutine when that write is
// over, whether it succeeded or not. They come in pairs and never at the same
// time; of writes that do not wait neither comes. They must neither block nor
// use the connection.
type WriteObserver interface {
	WriteBegin(n int)
	WriteEnd(n int)
}

// SetObserver has o observe the writes of the request that is being handled,
// nil none. Call it from the handler's goroutine and call it with nil before
// the handler returns. It is for HTTP/1: on HTTP/2 many requests share a
// connection, and one whose client does not read waits for flow control, of
// which the connection knows nothing.
func (c *Conn) SetObserver(o WriteObserver) {
	c.watch.mu.Lock()
	c.watch.o = o
	c.watch.mu.Unlock()
	c.observed.Store(o != nil)
}

// writeWatch tells an observer about one connection's writes. A watched write
// costs a timer's reset and stop, about 0.1 µs.
type writeWatch struct {
	mu      sync.Mutex // guards all below, and orders the observer's calls
	o       WriteObserver
	timer   *time.Timer // kept from write to write
	n       int
	writing bool
	told    WriteObserver // who has heard WriteBegin and is owed WriteEnd
}

func (w *writeWatch) begin(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing, w.n = true, n
	if w.timer == nil {
		w.timer = time.AfterFunc(waitsAfter, w.waits)
	} else {
		w.timer.Reset(waitsAfter)
	}
}

// waits may come late, during the next write. That is then told too early,
// which does no harm.
func (w *writeWatch) waits() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing && w.told == nil && w.o != nil {
		w.told = w.o
		w.told.WriteBegin(w.n)
	}
}

func (w *writeWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.writing = false
	if w.told != nil {
		w.told.WriteEnd(w.n)
		w.told = nil
	}
}
