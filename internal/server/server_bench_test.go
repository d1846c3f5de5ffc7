package server

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

// canned is a client without a network: so many requests to read on one
// connection, and answers counted. What remains is what net/http and this
// package do, without the microseconds of system calls that would drown it.
type canned struct {
	net.Conn
	requests int
	answers  int
	moves    int           // of its read deadline
	stop     chan struct{} // ends net/http's look for a client that left
	closed   chan struct{}
}

var cannedRequest = []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")

func (c *canned) Read(p []byte) (int, error) {
	if len(p) == 1 {
		<-c.stop
		return 0, os.ErrDeadlineExceeded
	}
	if c.requests == 0 {
		return 0, io.EOF
	}
	c.requests--
	return copy(p, cannedRequest), nil
}

func (c *canned) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 200 OK")) {
		c.answers++
	}
	return len(p), nil
}

func (c *canned) SetReadDeadline(t time.Time) error {
	c.moves++
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

// bare is net/http with the same timeouts, which are not free either.
func bare(h http.Handler) *http.Server {
	cfg := Defaults()
	return &http.Server{Handler: h, ReadHeaderTimeout: cfg.ReadHeaderTimeout, IdleTimeout: cfg.IdleTimeout}
}

// BenchmarkRequest is one small keep-alive request, with and without us.
func BenchmarkRequest(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 60)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) })
	b.Run("net/http", func(b *testing.B) {
		benchRequests(b, bare(h), func(ln net.Listener) net.Listener { return ln })
	})
	b.Run("server", func(b *testing.B) {
		s, err := New(Defaults())
		if err != nil {
			b.Fatal(err)
		}
		benchRequests(b, s.HTTP(h), s.Listener)
	})
}

// request makes so many requests on one connection.
func request(n int, srv *http.Server, wrap func(net.Listener) net.Listener) *canned {
	c := &canned{requests: n, stop: make(chan struct{}, 1), closed: make(chan struct{})}
	ln := cannedListener{make(chan net.Conn, 1)}
	ln.conns <- c
	close(ln.conns)
	srv.Serve(wrap(ln))
	<-c.closed
	return c
}

func benchRequests(b *testing.B, srv *http.Server, wrap func(net.Listener) net.Listener) {
	b.ReportAllocs()
	b.ResetTimer()
	c := request(b.N, srv, wrap)
	b.StopTimer()
	if c.answers != b.N {
		b.Fatalf("%d answers to %d requests", c.answers, b.N)
	}
}

// BenchmarkRequestTCP is the same over loopback.
func BenchmarkRequestTCP(b *testing.B) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(page[:60]) })
	bench := func(b *testing.B, addr string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		buf := make([]byte, 1024)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Write(cannedRequest); err != nil {
				b.Fatal(err)
			}
			n, err := c.Read(buf)
			if err != nil || !bytes.HasSuffix(buf[:n], page[:60]) {
				b.Fatalf("got %q, %v", buf[:n], err)
			}
		}
	}
	b.Run("net/http", func(b *testing.B) {
		ln := listen(b)
		srv := bare(h)
		go srv.Serve(ln)
		defer srv.Close()
		bench(b, ln.Addr().String())
	})
	b.Run("server", func(b *testing.B) { bench(b, start(b, Defaults(), h).addr) })
}

// sink is a socket that takes everything at once.
type sink struct{ net.Conn }

func (sink) Write(p []byte) (int, error)      { return len(p), nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkConnWrite is what one write pays beyond the system call.
func BenchmarkConnWrite(b *testing.B) {
	run := func(name string, w io.Writer) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n, err := w.Write(page); n != len(page) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
	run("bare", sink{})
	run("rolling", newConn(sink{}, time.Minute))
	observed := newConn(sink{}, time.Minute)
	observed.SetObserver(nobody{})
	run("observed", observed)
}

type nobody struct{}

func (nobody) WaitBegin(int) {}
func (nobody) WaitEnd(int)   {}
