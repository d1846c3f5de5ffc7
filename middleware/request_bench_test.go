package middleware

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// canned is a client without a network: so many requests to read on one
// connection, and answers counted. What remains is what net/http, gin and a
// guard do, without the system calls, which take ten times as long.
type canned struct {
	net.Conn
	requests, answers int
	stop              chan struct{} // ends net/http's look for a client that left
	closed            chan struct{}
}

func (c *canned) Read(p []byte) (int, error) {
	if len(p) == 1 {
		<-c.stop
		return 0, os.ErrDeadlineExceeded
	}
	if c.requests == 0 {
		return 0, io.EOF
	}
	c.requests--
	return copy(p, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n"), nil
}

func (c *canned) Write(p []byte) (int, error) {
	if string(p[:min(15, len(p))]) == "HTTP/1.1 200 OK" {
		c.answers++
	}
	return len(p), nil
}

func (c *canned) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Unix() < 1e9 {
		c.stop <- struct{}{}
	}
	return nil
}
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) Close() error                     { close(c.closed); return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// cannedListener gives out one connection.
type cannedListener struct{ conns chan net.Conn }

func (l cannedListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, errors.New("no more")
}
func (l cannedListener) Close() error   { return nil }
func (l cannedListener) Addr() net.Addr { return &net.TCPAddr{} }

// BenchmarkRequest is one small request on a kept connection, answered by gin as
// it is and by gin behind a guard.
func BenchmarkRequest(b *testing.B) {
	type person struct {
		ID     int    `json:"id"`
		Name   string `json:"name"`
		City   string `json:"city"`
		Active bool   `json:"active"`
	}
	r := gin.New()
	r.GET("/small", func(c *gin.Context) {
		c.JSON(200, person{ID: 1, Name: "Ada Lovelace", City: "London", Active: true})
	})
	bench := func(b *testing.B, srv *http.Server, wrap func(net.Listener) net.Listener) {
		c := &canned{requests: b.N, stop: make(chan struct{}, 1), closed: make(chan struct{})}
		ln := cannedListener{make(chan net.Conn, 1)}
		ln.conns <- c
		close(ln.conns)
		b.ReportAllocs()
		b.ResetTimer()
		_ = srv.Serve(wrap(ln))
		<-c.closed
		b.StopTimer()
		if c.answers != b.N {
			b.Fatalf("%d answers to %d requests", c.answers, b.N)
		}
	}
	b.Run("gin", func(b *testing.B) {
		bench(b, &http.Server{Handler: r}, func(ln net.Listener) net.Listener { return ln })
	})
	b.Run("guard", func(b *testing.B) {
		g, err := New(WithoutLane())
		if err != nil {
			b.Fatal(err)
		}
		defer g.Close(context.Background())
		defer g.InstallCodec()()
		bench(b, g.Server(r), g.Listener)
	})
}
