package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/probelane/probelane/internal/canned"
)

const cannedRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

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
		canned.Bench(b, bare(h), func(ln net.Listener) net.Listener { return ln }, cannedRequest)
	})
	b.Run("server", func(b *testing.B) {
		s, err := New(Defaults())
		if err != nil {
			b.Fatal(err)
		}
		canned.Bench(b, s.HTTP(h), s.Listener, cannedRequest)
	})
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
			if _, err := io.WriteString(c, cannedRequest); err != nil {
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
