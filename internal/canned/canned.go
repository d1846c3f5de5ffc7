// Package canned has an HTTP client without a network, for tests and benchmarks:
// what remains is what net/http and its handlers do, without the system calls,
// which take ten times as long.
package canned

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// Client is a connection from which so many requests can be read. What is written
// to it is counted and forgotten.
type Client struct {
	net.Conn
	Answers int // with status 200
	Moves   int // of its read deadline

	request  string
	requests int           // still to be read
	stop     chan struct{} // ends net/http's look for a client that left
	closed   chan struct{}
}

// Serve makes n requests of a server, one after another on one connection. wrap
// returns the listener that it serves, given one that has this connection.
func Serve(srv *http.Server, wrap func(net.Listener) net.Listener, request string, n int) *Client {
	c := &Client{request: request, requests: n, stop: make(chan struct{}, 1), closed: make(chan struct{})}
	ln := listener{make(chan net.Conn, 1)}
	ln.conns <- c
	close(ln.conns)
	srv.Serve(wrap(ln))
	<-c.closed
	return c
}

// Bench is Serve with b.N requests, all of which have to be answered.
func Bench(b *testing.B, srv *http.Server, wrap func(net.Listener) net.Listener, request string) {
	b.ReportAllocs()
	b.ResetTimer()
	c := Serve(srv, wrap, request, b.N)
	b.StopTimer()
	if c.Answers != b.N {
		b.Fatalf("%d answers to %d requests", c.Answers, b.N)
	}
}

// Read reads a request. net/http reads a single byte to see whether the client
// has left while a handler works.
func (c *Client) Read(p []byte) (int, error) {
	if len(p) == 1 {
		<-c.stop
		return 0, os.ErrDeadlineExceeded
	}
	if c.requests == 0 {
		return 0, io.EOF
	}
	c.requests--
	return copy(p, c.request), nil
}

func (c *Client) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 200 OK")) {
		c.Answers++
	}
	return len(p), nil
}

func (c *Client) SetReadDeadline(t time.Time) error {
	c.Moves++
	if !t.IsZero() && t.Unix() < 1e9 {
		c.stop <- struct{}{}
	}
	return nil
}

func (c *Client) SetWriteDeadline(time.Time) error { return nil }
func (c *Client) SetDeadline(time.Time) error      { return nil }
func (c *Client) Close() error                     { close(c.closed); return nil }
func (c *Client) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *Client) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// listener gives out one connection.
type listener struct{ conns chan net.Conn }

func (l listener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, errors.New("no more")
}
func (l listener) Close() error   { return nil }
func (l listener) Addr() net.Addr { return &net.TCPAddr{} }
