package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// A Server holds what the http.Servers it makes share: the configuration,
// whether they drain, and the connections they have open. It needs no closing.
type Server struct {
	cfg      Config
	draining atomic.Bool
	onDrain  sync.Once

	mu    sync.Mutex
	conns map[*Conn]struct{} // guarded by mu
}

// New checks cfg and returns a Server for it.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, conns: make(map[*Conn]struct{})}, nil
}

// HTTP returns an http.Server for h, nil being http.DefaultServeMux as in
// net/http. It may be adjusted, and run without Serve too; then connections
// have rolling write deadlines only if its listener comes from Listener.
// A ConnContext set later should call the one that is there, because Cut and
// FromContext live on it.
func (s *Server) HTTP(h http.Handler) *http.Server {
	if h == nil {
		h = http.DefaultServeMux
	}
	srv := &http.Server{
		Handler:           &drainHandler{next: &uploadHandler{next: h, stall: s.cfg.ReadStall}, draining: &s.draining},
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeaderBytes,
		ErrorLog:          s.cfg.ErrorLog,
		ConnContext:       connContext,
	}
	srv.RegisterOnShutdown(s.Drain) // for those who call Shutdown themselves
	return srv
}

// Listener returns ln with every connection guarded by a rolling write
// deadline. Serve does this by itself. TLS belongs on top of it: connections
// that are TLS already pass as they are. If ln has a method UnderTLS, it is
// called for every connection on which a server of HTTP speaks TLS. If it is an
// AheadListener, ReadAhead takes the place of Accept.
func (s *Server) Listener(ln net.Listener) net.Listener {
	l := &listener{Listener: ln, s: s}
	if a, ok := ln.(AheadListener); ok {
		l.accept = a.ReadAhead
	} else {
		l.accept = func() (net.Conn, []byte, error) {
			c, err := ln.Accept()
			return c, nil, err
		}
	}
	return l
}

// An AheadListener may have read the beginning of what a connection has sent. Such a
// connection is none of TLS already.
type AheadListener interface {
	ReadAhead() (c net.Conn, ahead []byte, err error)
}

type listener struct {
	net.Listener
	accept func() (c net.Conn, ahead []byte, err error)
	s      *Server
}

// Accept leaves errors to http.Server, which waits and tries again after those
// that pass, such as a lack of descriptors.
func (l *listener) Accept() (net.Conn, error) {
	nc, ahead, err := l.accept()
	if err != nil {
		return nil, err
	}
	if _, ok := nc.(*tls.Conn); ok {
		return nc, nil // net/http asks for this very type
	}
	c := l.s.track(nc)
	c.ahead = ahead
	if t, ok := l.Listener.(interface{ UnderTLS() }); ok {
		c.underTLS = t.UnderTLS
	}
	return c, nil
}

func (s *Server) track(nc net.Conn) *Conn {
	c := newConn(nc, s.cfg.WriteStall)
	c.untrack = s.untrack
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	return c
}

func (s *Server) untrack(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// cutAll resets the connections that are open and returns how many they were.
func (s *Server) cutAll() int {
	s.mu.Lock()
	open := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.reset()
	}
	return len(open)
}

type connKey struct{}

// connContext makes the connection known to FromContext, also where it did
// not come through Listener: then it can still be cut.
func connContext(ctx context.Context, nc net.Conn) context.Context {
	c := underlying(nc)
	t, secure := nc.(*tls.Conn)
	switch {
	case c == nil && secure:
		c = newConn(t.NetConn(), 0)
	case c == nil:
		c = newConn(nc, 0)
	case secure && c.underTLS != nil:
		c.underTLS()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// underlying returns the Conn that nc is or, under TLS, rests on; nil if none.
func underlying(nc net.Conn) *Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*Conn)
	return c
}

// FromContext returns the connection a request came on, given the request's
// context, or nil if its server was not made by HTTP.
func FromContext(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}
