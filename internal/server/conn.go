package server

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is a connection on which a write may take for ever as long as the
// client keeps taking bytes, and is cut once it takes none for the stall time.
//
// The deadline rolls by itself. The socket always has one, a fraction of the
// stall time ahead of when it was set; a write that runs into it sets the next
// one and tries again. Writes that do not wait pay nothing for it, neither a
// clock nor a system call, and 18 MB in one Write need not be cut into pieces.
//
// Trying again is what tells a slow client from one that has stopped. The
// kernel wakes a blocked writer only once a quarter of a megabyte has gone, half
// of what may lie unsent (socket_linux.go), or elsewhere a third of the send
// buffer, which may have megabytes: a client that reads 20 KB/s takes from 12 s
// to a minute to wake it. But the kernel takes more from who asks as
// soon as anything is free. What the client's own kernel buffers counts as
// read, and it tells of room a sixteenth of its buffer at a time.
//
// On HTTP/2 this holds for the connection. A client that reads the connection
// but opens no window to one stream is not seen here; what bounds that is a
// write deadline of the handler.
//
// A write deadline set by a handler (http.ResponseController) is kept to the
// letter and takes the place of the rolling one until it is set to zero, as
// net/http does by itself after each request.
type Conn struct {
	net.Conn
	stall   time.Duration
	untrack func(*Conn) // nil if nobody keeps track

	underTLS func() // called when TLS is spoken on it; nil is nothing

	mu        sync.Mutex // guards the next five, and all calls of Conn.SetWriteDeadline and Conn.SetReadDeadline
	deadline  deadlineOwner
	reads     readDeadline
	ahead     []byte // has been read from Conn, and is the next to be read from here
	upload    upload
	readStall time.Duration

	// Mark is for those who handle the connection's requests. Here it has no
	// meaning.
	Mark atomic.Bool

	observed atomic.Bool
	watch    watch
	sent     atomic.Int64 // bytes
	limited  atomic.Bool  // what may lie unsent
}

// deadlineOwner is whose write deadline the socket has.
type deadlineOwner int

const (
	rolling  deadlineOwner = iota // ours
	handlers                      // a handler's, or net/http's during a TLS handshake
	released                      // not our business: no stall time, or hijacked
)

func newConn(nc net.Conn, stall time.Duration) *Conn {
	c := &Conn{Conn: nc, stall: stall}
	if stall == 0 {
		c.deadline = released
	} else {
		c.roll()
	}
	return c
}

// NetConn returns the connection that c wraps.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Sent is how many bytes the kernel has taken of what was written. It lags
// behind by what the kernel has taken of a write since that began to wait, or
// since it last tried again.
func (c *Conn) Sent() int64 { return c.sent.Load() }

// Taken is how many bytes the client has taken of what was written, as far as
// its kernel has told ours. If ours does not tell us, because it is not Linux on
// amd64 or arm64, or the listener's connections hide their sockets, it is Sent,
// and exact is false.
func (c *Conn) Taken() (n int64, exact bool) {
	if n, ok := acked(c.Conn); ok {
		return n, true
	}
	return c.Sent(), false
}

const (
	// A write of up to wholeWrite goes to the kernel at once: an encoder's chunks
	// do, which leave other goroutines their turns in between. As much as a socket
	// takes, 4 MB and more, would keep a processor for milliseconds, of which the
	// scheduler hears nothing.
	wholeWrite = 512 << 10
	// A longer write goes in pieces of writePiece, with a turn for other goroutines
	// after each. While a kernel that is not preemptible (PREEMPT_NONE) copies a
	// piece, no other thread runs, the lane's neither: up to 2.7 ms for 512 KB.
	// Beside c.JSON of 256 clients the probes' p90 is 1.4 ms with pieces of 512 KB,
	// 0.8 with 256 KB and 0.55 with 128 KB. On loopback, where a write may have to
	// wake its reader, sixteen clients get 0 to 4 % less with 256 KB, and 18 % less
	// with 128 KB; chunks of an encoder that are cut in two cost 6 %.
	writePiece = 256 << 10
)

// Write writes all of p, however long that takes a client that reads.
func (c *Conn) Write(p []byte) (int, error) {
	if c.observed.Load() && len(p) >= observedWrite {
		c.watch.begin(len(p))
		defer c.watch.end()
	}
	most := wholeWrite
	if len(p) > wholeWrite {
		most = writePiece
	}
	for n := 0; ; runtime.Gosched() {
		piece := p[n:min(n+most, len(p))]
		m, err := c.write(piece)
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// littleSent is how much may be sent before limitUnsent is called, which costs a
// system call: 2 % of a small response on a connection of its own.
const littleSent = 64 << 10

// limit is called before n bytes are sent.
func (c *Conn) limit(n int64) {
	if !c.limited.Load() && c.sent.Load()+n > littleSent && !c.limited.Swap(true) {
		limitUnsent(c.Conn)
	}
}

// write writes all of p, trying again for as long as the client moves.
func (c *Conn) write(p []byte) (int, error) {
	c.limit(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	if err == nil {
		return n, nil
	}
	var moved time.Time
	for last := 0; errors.Is(err, os.ErrDeadlineExceeded) && c.mayGoOn(&moved, n > last); {
		last = n
		var more int
		more, err = c.Conn.Write(p[n:])
		c.sent.Add(int64(more))
		n += more
	}
	return n, err
}

// looks is how many times per stall time a write that waits tries again. What
// moved during one of its waits it finds out in the next; so that a client may
// rest for all of the stall time, it is given one look more, and is cut at the
// latest three looks late.
const looks = 8

// mayGoOn decides about a write that has run into a deadline. It reports
// whether the write should be tried again; the connection is reset if its
// client has stalled. moved is when the write last got on, and the zero time at
// its first deadline, which never is a stall: nobody knows when it was set.
func (c *Conn) mayGoOn(moved *time.Time, wrote bool) bool {
	if !c.roll() {
		return false
	}
	now := time.Now()
	if wrote || moved.IsZero() {
		*moved = now
	}
	if now.Sub(*moved) >= c.stall+c.stall/looks {
		c.reset() // not a plain close: see Cut
		return false
	}
	return true
}

// roll sets the next deadline and reports whether it was ours to set.
func (c *Conn) roll() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deadline == rolling && c.Conn.SetWriteDeadline(c.next()) == nil
}

func (c *Conn) next() time.Time { return time.Now().Add(c.stall / looks) }

// SetWriteDeadline gives the write deadline to the caller, or with the zero
// time back to the connection.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline != released {
		if t.IsZero() && c.deadline == rolling {
			return nil // net/http after each request: nothing to undo
		}
		c.deadline = handlers
		if t.IsZero() {
			c.deadline = rolling
			t = c.next()
		}
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite ends the sending side, where the connection has two. net/http
// looks for it.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection.
func (c *Conn) Close() error {
	if c.untrack != nil {
		c.untrack(c)
	}
	return c.Conn.Close()
}

// reset closes the connection so that the peer sees an error, not an end, and
// drops what is still to be sent.
func (c *Conn) reset() {
	setLinger0(c.Conn)
	c.Close()
}

// release leaves the connection to a handler that has hijacked it. It reports
// whether some of what has been read ahead is still to be read from here: net/http
// takes 4 KB at once, and so all, unless somebody else has put a reader in between.
func (c *Conn) release() (rest bool) {
	if c.untrack != nil {
		c.untrack(c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reads.asked.Equal(c.reads.socket) {
		c.move()
	}
	if c.deadline != released {
		c.deadline = released
		c.Conn.SetWriteDeadline(time.Time{})
	}
	return len(c.ahead) > 0
}
