package server

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Cut breaks the response that w is writing so that its client cannot take
// what it has got for the whole. The handler should return soon after.
//
// HTTP/1 is cut by resetting the connection (RST). Nothing milder will do: a
// body without Content-Length on HTTP/1.0, which nginx speaks to upstreams by
// default, ends where the connection ends, so a closed connection is a
// complete 200. A panic with http.ErrAbortHandler also only closes it, and
// does not even that if something on the way recovers.
//
// On HTTP/2 only the stream is reset, and other requests on the connection go
// on. If no writer down to net/http's can be reached, because one in between
// lacks Unwrap, they go down with it.
//
// If neither stream nor connection can be reached, Cut panics with
// http.ErrAbortHandler.
func Cut(w http.ResponseWriter, r *http.Request) {
	// A write deadline in the past resets the stream on HTTP/2. On HTTP/1 it
	// keeps Hijack below from waiting for a client that does not read.
	err := http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	if err == nil && r.ProtoMajor >= 2 {
		return
	}
	if c := FromContext(r.Context()); c != nil {
		c.reset()
		return
	}
	if nc := hijack(w); nc != nil {
		if t, ok := nc.(*tls.Conn); ok {
			nc = t.NetConn() // past TLS, which would say goodbye
		}
		setLinger0(nc)
		nc.Close()
		return
	}
	panic(http.ErrAbortHandler)
}

// CutWrite resets the connection if o observes a write on it that is not done.
// It reports whether it did. Unlike Cut it is for other goroutines than the
// handler's, who must not hit a request that has come since.
func (c *Conn) CutWrite(o WaitObserver) bool {
	return c.watch.during(o, c.reset)
}

// hijack takes the connection from the first writer in the chain that gives
// it. http.ResponseController would ask only one, and gin's refuses once a
// body has begun.
func hijack(w http.ResponseWriter) net.Conn {
	for {
		if h, ok := w.(http.Hijacker); ok {
			if nc, _, err := h.Hijack(); err == nil {
				return nc
			}
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// setLinger0 has the next close send a reset and forget what is unsent. A
// connection that is not TCP is closed, and its peer sees an end.
func setLinger0(nc net.Conn) {
	if c, ok := nc.(*Conn); ok {
		nc = c.Conn
	}
	if l, ok := nc.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
}
