package middleware

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/internal/admission"
	"github.com/probelane/probelane/internal/server"
)

// writer is the ResponseWriter of a request that a guard watches. JSON finds its
// way back to the guard by it, through all writers that have Unwrap.
type writer struct {
	gin.ResponseWriter
	guard  *Guard
	c      *gin.Context      // whose request it is
	ticket *admission.Ticket // nil for what is not admitted
	pooled int64             // most that JSON has held of the encoder's own memory
	json   int64             // bytes that are answered compressed
}

var _ gin.ResponseWriter = (*writer)(nil)

// built tells the gate, before n bytes leave, that what is going to be answered
// exists.
func (w *writer) built(n int) {
	if w.ticket != nil {
		w.ticket.Built(0)
		w.ticket.Outgrown(int64(max(w.Size(), 0) + n))
	}
}

// compressed tells the gate how much has been compressed: what a value holds
// goes by its JSON.
func (w *writer) compressed(json int64) {
	w.json = json
	if w.ticket != nil {
		w.ticket.Outgrown(json)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.built(len(p))
	return w.ResponseWriter.Write(p)
}

func (w *writer) WriteString(s string) (int, error) {
	w.built(len(s))
	return w.ResponseWriter.WriteString(s)
}

func (w *writer) Flush() {
	if w.ticket != nil {
		w.ticket.Opened()
	}
	w.ResponseWriter.Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.ticket != nil {
		w.ticket.Opened()
	}
	return w.ResponseWriter.Hijack()
}

// leave gives the request's place up. What was cut short, refused or not found
// says nothing about what its route costs.
func (w *writer) leave(ctx context.Context, conn *server.Conn) {
	status := w.Status()
	if ctx.Err() != nil || status >= 500 || status >= 300 && !w.ticket.Unknown() {
		w.ticket.Abandon()
		return
	}
	w.ticket.Leave(max(int64(w.Size()), w.json, 0), w.pooled)
	if conn != nil && w.ticket.Heavy() {
		if fast, known := w.ticket.KeptUp(); known {
			conn.Mark.Store(fast)
		}
	}
}

// request is the one that is answered, as the app has left it.
func (w *writer) request() *http.Request { return w.c.Request }

// Unwrap lets http.ResponseController through.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watched returns the guard's writer beneath w, if there is one.
func watched(w http.ResponseWriter) *writer {
	for w != nil {
		if g, ok := w.(*writer); ok {
			return g
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
	return nil
}

// Handler returns the guard as gin middleware: it answers the probes that the
// engine has no routes for and admits all other requests. Use it first, so that
// a probe passes neither a logger nor an authentication.
func (g *Guard) Handler() gin.HandlerFunc {
	g.probes.Start()
	return func(c *gin.Context) {
		if c.FullPath() == "" && g.probes.Match(c.Request.URL.Path) {
			g.probes.ServeHTTP(c.Writer, c.Request)
			c.Abort()
			return
		}
		if w := watched(c.Writer); w != nil && w.guard == g {
			return // the server around the engine has admitted it
		}
		g.admit(c, g.route(c.Request.Method, c.FullPath()))
	}
}

// route is what the gate knows a route by, nil if requests to it just pass.
func (g *Guard) route(method, path string) *admission.Route {
	if path == "" || g.cfg.exempt[path] {
		return nil
	}
	return g.gate.Route(method + " " + path)
}

// admit runs the rest of the chain once there is room for it.
func (g *Guard) admit(c *gin.Context, route *admission.Route) {
	w := &writer{ResponseWriter: c.Writer, guard: g, c: c}
	if route != nil {
		conn := connection(c.Request)
		t, err := g.gate.Enter(c.Request.Context(), route, conn != nil && conn.Mark.Load())
		if err != nil {
			g.shed(c, err)
			return
		}
		w.ticket = t
		defer w.leave(c.Request.Context(), conn)
		if t.Heavy() {
			defer observe(t, conn, c.Request.Body)()
		}
	}
	returned := false
	defer func() { g.rescue(c, recover(), returned) }()
	c.Writer = w
	defer failures.take() // nothing is left to the next request on this goroutine
	c.Next()
	// gin sets the type before it encodes. Without one the app has answered
	// nothing, whatever else it could not encode.
	failed := failures.take() && w.Header().Get("Content-Type") != ""
	if (failed || c.IsAborted() && len(c.Errors) > 0) && !w.Written() && w.Status() < 400 {
		g.fail(c)
	}
	returned = true
}

// connection is the one that the request has for itself, nil if there is none.
func connection(r *http.Request) *server.Conn {
	if r.ProtoMajor != 1 {
		return nil
	}
	return server.FromContext(r.Context())
}

// observe tells the gate when a request waits for its client, until the function
// returned is called: for it to take what is written, on HTTP/1, and to send
// the request's body.
func observe(t *admission.Ticket, conn *server.Conn, from io.Reader) (end func()) {
	body, _ := from.(*server.Body)
	if conn == nil && body == nil {
		return func() {}
	}
	t.WaitsFor(func() (bytes int64, exact bool) {
		exact = true
		if conn != nil {
			bytes, exact = conn.Taken()
		}
		if body != nil {
			bytes += body.Received()
		}
		return bytes, exact
	}, func() {
		if (conn == nil || !conn.CutWrite(t)) && body != nil {
			body.Cut(t)
		}
	})
	if conn != nil {
		conn.SetObserver(t)
	}
	if body != nil {
		body.SetObserver(t)
	}
	return func() {
		if conn != nil {
			conn.SetObserver(nil)
		}
		if body != nil {
			body.SetObserver(nil)
		}
	}
}

// rescue makes a panic a 500 while that is still possible, and otherwise a
// visibly broken body. gin.Recovery, if the app has it, comes first.
func (g *Guard) rescue(c *gin.Context, r any, returned bool) {
	if r == nil {
		if !returned && c.Writer.Written() {
			// runtime.Goexit. net/http sends what it still holds and closes the
			// connection, with which a body of HTTP/1.0 is complete.
			server.Cut(c.Writer, c.Request)
		}
		return
	}
	if err, ok := r.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(r)
	}
	if c.Writer.Written() {
		server.Cut(c.Writer, c.Request)
		panic(r) // net/http logs it
	}
	g.log.Error("panic in a handler", "path", c.FullPath(), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	g.fail(c)
}

// fail answers 500 in place of the empty response that was about to go.
func (g *Guard) fail(c *gin.Context) {
	instead(c.Writer, http.StatusInternalServerError)
	unencoded(c)
	c.Abort()
	c.Writer.WriteHeaderNow()
}

// unencoded takes back what a compressing middleware has said of the response
// that was to come: an empty one is not compressed.
func unencoded(c *gin.Context) { c.Writer.Header().Del("Content-Encoding") }

// shed answers a request for which there is no room.
func (g *Guard) shed(c *gin.Context, err error) {
	if c.Request.Context().Err() == nil {
		c.Header("Retry-After", strconv.Itoa(int(g.gate.RetryAfter()/time.Second)))
	}
	unencoded(c)
	_ = c.Error(err)
	c.AbortWithStatus(http.StatusServiceUnavailable)
}
