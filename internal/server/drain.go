package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Serve serves ln with srv, which HTTP has made, until ctx ends, and then
// brings it to an end without breaking a request:
//
//  1. OnDrain; from now on every response says "Connection: close".
//  2. For DrainTime all goes on, new connections included. Clients that keep
//     connections leave with their next response, and proxies learn that this
//     server is going. A connection that stays silent stays open.
//  3. The listener closes, idle connections too, and requests under way have
//     ShutdownTimeout to finish.
//
// It returns nil if they did. If not, it resets the connections that are left
// and returns an error that says how many, and is context.DeadlineExceeded.
// An error of the listener before ctx ends is returned as it is.
//
// ln is a plain listener; with a certificate in srv.TLSConfig, Serve speaks
// TLS on it. For a program that ends on a signal,
//
//	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
//	context.AfterFunc(ctx, stop)
//
// makes the first signal drain and the second one kill, as impatient people
// expect of Ctrl-C.
func (s *Server) Serve(ctx context.Context, srv *http.Server, ln net.Listener) error {
	served := make(chan error, 1)
	go func() {
		served <- serve(srv, s.Listener(ln))
		close(served)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	s.Drain()
	window := time.NewTimer(s.cfg.DrainTime)
	defer window.Stop()
	select {
	case <-served: // nothing is accepted any more: no use in waiting
	case <-window.C:
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	<-served
	if errors.Is(err, context.DeadlineExceeded) {
		cut := s.cutAll()
		srv.Close()
		return fmt.Errorf("server: shutdown took longer than %v, connections cut: %d: %w",
			s.cfg.ShutdownTimeout, cut, err)
	}
	if errors.Is(err, net.ErrClosed) {
		return nil // somebody closed the listener before us
	}
	return err
}

func serve(srv *http.Server, ln net.Listener) error {
	if c := srv.TLSConfig; c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil) {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

// Drain makes every response from now on say "Connection: close", after one
// call of OnDrain. Serve and http.Server.Shutdown call it by themselves.
func (s *Server) Drain() {
	s.onDrain.Do(func() {
		if s.cfg.OnDrain != nil {
			s.cfg.OnDrain()
		}
		s.draining.Store(true)
	})
}

// Draining reports whether Drain has been called.
func (s *Server) Draining() bool { return s.draining.Load() }

// drainHandler sends clients away while the server drains.
type drainHandler struct {
	next     http.Handler
	draining *atomic.Bool
}

// ServeHTTP looks at draining when the header is written, not when the
// request comes in: under load that can be seconds later, and a client that is
// not told comes back, or worse, does so just when the listener closes.
//
// On HTTP/2 the header becomes a GOAWAY, which the client may get at any time
// without losing a request. So there looking once is enough.
func (h *drainHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w1, ok := w.(http1Writer)
	if !ok {
		if h.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.next.ServeHTTP(w, r)
		return
	}
	dw := &drainWriter{http1Writer: w1, draining: h.draining}
	h.next.ServeHTTP(dw, r)
	dw.header(http.StatusOK) // of handlers that write nothing
}

// http1Writer is what net/http's ResponseWriter for HTTP/1 is able to do and
// its callers look for (CloseNotify: gin's c.Stream). Deadlines and full
// duplex are reached through Unwrap.
type http1Writer interface {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	FlushError() error
	CloseNotify() <-chan bool
}

// drainWriter adds "Connection: close" at the last moment. There is one for
// each request, though a connection has but one at a time: a handler that
// writes after it has returned must not write into the next response.
type drainWriter struct {
	http1Writer
	draining *atomic.Bool
	wrote    bool
}

var _ http1Writer = (*drainWriter)(nil)

// header is called before anything that sends the header. An informational
// one (100 to 199) is not the last, and 101 needs its own Connection.
func (w *drainWriter) header(code int) {
	if w.wrote || code >= 100 && code < 200 {
		return
	}
	w.wrote = true
	if w.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

func (w *drainWriter) Unwrap() http.ResponseWriter { return w.http1Writer }

func (w *drainWriter) WriteHeader(code int) {
	w.header(code)
	w.http1Writer.WriteHeader(code)
}

func (w *drainWriter) Write(p []byte) (int, error) {
	w.header(http.StatusOK)
	return w.http1Writer.Write(p)
}

func (w *drainWriter) WriteString(p string) (int, error) {
	w.header(http.StatusOK)
	return w.http1Writer.WriteString(p)
}

func (w *drainWriter) ReadFrom(r io.Reader) (int64, error) {
	w.header(http.StatusOK)
	return w.http1Writer.ReadFrom(r)
}

func (w *drainWriter) Flush() { w.FlushError() }

func (w *drainWriter) FlushError() error {
	w.header(http.StatusOK)
	return w.http1Writer.FlushError()
}

// Hijack hands out the connection as net/http would without this package: the
// *net.TCPConn itself, with no rolling deadline.
func (w *drainWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := w.http1Writer.Hijack()
	if err != nil {
		return nil, nil, err
	}
	if c := underlying(nc); c != nil {
		if rest := c.release(); !rest && nc == net.Conn(c) {
			nc = c.Conn
		}
	}
	return nc, rw, nil
}
