package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

var page = bytes.Repeat([]byte("0123456789abcdef"), 1<<12) // 64 KiB

// half is a handler that has to give up half-way.
func half(w http.ResponseWriter, r *http.Request) {
	w.Write(page)
	http.NewResponseController(w).Flush()
	Cut(w, r)
}

// recovered answers like half, below code that recovers from every panic.
func recovered(w http.ResponseWriter, r *http.Request) {
	defer func() { recover() }()
	half(w, r)
}

// opaque hides all that a writer can do, as careless middlewares do.
type opaque struct{ http.ResponseWriter }

func TestCut_BodyIsNeverWhole(t *testing.T) {
	tlsServer, tlsClient := withTLS(t)
	plain := func(*http.Server) {}
	h2c := func(srv *http.Server) {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetUnencryptedHTTP2(true)
		srv.Protocols.SetHTTP1(true)
	}
	clients := []struct {
		name   string
		adjust func(*http.Server)
		get    func(*testing.T, *running) (string, error)
		want   error // nil: any error
	}{
		{"HTTP/1.0", plain, raw("GET / HTTP/1.0", nil), syscall.ECONNRESET},
		{"HTTP/1.0 keep-alive", plain, raw("GET / HTTP/1.0\nConnection: keep-alive", nil), syscall.ECONNRESET},
		{"HTTP/1.1", plain, raw("GET / HTTP/1.1\nHost: a", nil), syscall.ECONNRESET},
		{"HTTP/1.0 over TLS", tlsServer, raw("GET / HTTP/1.0", tlsClient), syscall.ECONNRESET},
		{"HTTP/1.1 over TLS", tlsServer, raw("GET / HTTP/1.1\nHost: a", tlsClient), syscall.ECONNRESET},
		{"Go over HTTP/1.1", plain, get("http", nil, "HTTP/1.1"), nil},
		{"Go over HTTP/1.1 and TLS", tlsServer, get("https", tlsClient, "HTTP/1.1"), nil},
		{"Go over HTTP/2", tlsServer, get("https", tlsClient, "HTTP/2.0"), nil},
		{"Go over HTTP/2 without TLS", h2c, get("http", nil, "HTTP/2.0"), nil},
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.CustomRecoveryWithWriter(io.Discard, func(*gin.Context, any) {}))
	engine.GET("/", func(c *gin.Context) { half(c.Writer, c.Request) })
	handlers := []struct {
		name string
		h    http.HandlerFunc
	}{
		{"plain", half},
		{"under a recovery", recovered},
		{"in gin", engine.ServeHTTP},
		{"with a writer that hides all", func(w http.ResponseWriter, r *http.Request) {
			w.Write(page)
			w.(http.Flusher).Flush()
			recovered(opaque{w}, r)
		}},
		{"after Content-Length", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(page)+1))
			recovered(w, r)
		}},
		{"and writing on", func(w http.ResponseWriter, r *http.Request) {
			half(w, r)
			w.Write(page)
		}},
	}
	for _, c := range clients {
		for _, h := range handlers {
			t.Run(c.name+", "+h.name, func(t *testing.T) {
				r := start(t, quick(), h.h, c.adjust)
				body, err := c.get(t, r)
				if err == nil {
					t.Fatalf("%d bytes and no error: looks like a whole response", len(body))
				}
				if c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			})
		}
	}
}

// raw reads a response from the socket, to its end.
func raw(request string, cfg *tls.Config) func(*testing.T, *running) (string, error) {
	return func(t *testing.T, r *running) (string, error) {
		conn := net.Conn(r.dial(t))
		if cfg != nil {
			conn = tls.Client(conn, cfg)
		}
		io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")+"\r\n\r\n")
		all, err := io.ReadAll(conn)
		return string(all), err
	}
}

// get reads a response with Go's client.
func get(scheme string, cfg *tls.Config, proto string) func(*testing.T, *running) (string, error) {
	return func(t *testing.T, r *running) (string, error) {
		tr := &http.Transport{TLSClientConfig: cfg.Clone(), Protocols: new(http.Protocols)}
		defer tr.CloseIdleConnections()
		tr.Protocols.SetHTTP1(proto == "HTTP/1.1")
		tr.Protocols.SetHTTP2(proto == "HTTP/2.0" && scheme == "https")
		tr.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0" && scheme == "http")
		resp, err := (&http.Client{Transport: tr}).Get(scheme + "://" + r.addr + "/")
		if err != nil {
			return "", err // cut before the client saw the header
		}
		defer resp.Body.Close()
		if resp.Proto != proto {
			t.Errorf("spoke %s, want %s", resp.Proto, proto)
		}
		all, err := io.ReadAll(resp.Body)
		return string(all), err
	}
}

func TestCut_InAForeignServer(t *testing.T) {
	// middleware in a server that somebody else has made: no Conn in the context.
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { half(c.Writer, c.Request) })
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			ts := httptest.NewUnstartedServer(engine)
			var cfg *tls.Config
			if secure {
				ts.StartTLS()
				cfg = ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				cfg.ServerName, cfg.NextProtos = "example.com", nil
			} else {
				ts.Start()
			}
			defer ts.Close()
			r := &running{addr: ts.Listener.Addr().String()}
			if _, err := raw("GET / HTTP/1.0", cfg)(t, r); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("error %v, want ECONNRESET", err)
			}
		})
	}
	t.Run("a client that does not read cannot hold it up", func(t *testing.T) {
		cut := make(chan struct{})
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(cut)
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			for err := error(nil); err == nil; {
				_, err = w.Write(page)
			}
			Cut(w, r)
		}))
		defer ts.Close()
		c := (&running{addr: ts.Listener.Addr().String()}).dial(t)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		await(t, cut, "Cut to return")
	})
}

func TestCut_PanicsWhenNothingIsInReach(t *testing.T) {
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("panic %v, want http.ErrAbortHandler", got)
		}
	}()
	Cut(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestCut_OnHTTP2LeavesOtherStreamsAlone(t *testing.T) {
	both := make(chan struct{})
	adjust, cfg := withTLS(t)
	r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			half(w, r)
			close(both)
			return
		}
		w.Write(page)
		<-both
		w.Write(page)
	}, adjust)
	client := newClient(t, cfg, true)
	whole := make(chan int, 1)
	resp, err := client.Get("https://" + r.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	go func() {
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			n = -1
		}
		whole <- int(n)
	}()
	cut, err := client.Get("https://" + r.addr + "/cut")
	if err == nil {
		defer cut.Body.Close()
		_, err = io.ReadAll(cut.Body)
	}
	if err == nil {
		t.Error("the cut response looks whole")
	}
	if got := await(t, whole, "the other response"); got != 2*len(page) {
		t.Errorf("the other response: %d bytes, want %d", got, 2*len(page))
	}
	if n := r.open(); n != 1 {
		t.Errorf("%d connections, want the one", n)
	}
}

func TestConn_CutWrite(t *testing.T) {
	o, written := &waits{t: t}, make(chan error, 1)
	var conn *Conn
	cfg := quick()
	cfg.WriteStall = Defaults().WriteStall
	r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		conn = FromContext(r.Context())
		conn.SetObserver(o)
		defer conn.SetObserver(nil)
		_, err := w.Write(large)
		written <- err
	})
	body := send(t, r.dial(t), "GET / HTTP/1.0").Body
	until(t, "the write is seen to wait", o.inside.Load)
	if conn.CutWrite(&waits{t: t}) {
		t.Error("cut for the write of another request")
	}
	if sent := conn.Sent(); sent >= int64(len(large)) {
		t.Errorf("%d bytes sent while the write waits", sent)
	}
	if !conn.CutWrite(o) {
		t.Error("not cut")
	}
	if err := <-written; err == nil {
		t.Error("the write has succeeded")
	}
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("the client has read %d bytes to the end", n)
	}
	until(t, "the connection is gone", func() bool { return r.open() == 0 })
	if conn.CutWrite(o) {
		t.Error("cut a request that is over")
	}
}

func TestConn_Sent(t *testing.T) {
	file := tempFile(t)
	tests := []struct {
		name  string
		write func(http.ResponseWriter, *http.Request)
	}{
		{"a large write", func(w http.ResponseWriter, r *http.Request) { w.Write(large) }},
		{"a file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conns := make(chan *Conn, 1)
			r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
				conns <- FromContext(r.Context())
				tt.write(w, r)
			})
			n, err := io.Copy(io.Discard, send(t, r.dial(t), "GET / HTTP/1.0").Body)
			if err != nil {
				t.Fatal(err)
			}
			conn := <-conns
			until(t, "all is counted, and a header", func() bool { return conn.Sent() > n && conn.Sent() < n+1000 })
		})
	}
}

func TestConn_TakenIsWhatTheClientHas(t *testing.T) {
	o, conns := &waits{t: t}, make(chan *Conn, 1)
	cfg := quick()
	cfg.WriteStall = Defaults().WriteStall
	r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		conn := FromContext(r.Context())
		conns <- conn
		conn.SetObserver(o)
		defer conn.SetObserver(nil)
		w.Write(large)
	})
	c := r.dial(t)
	body := send(t, c, "GET / HTTP/1.0").Body
	conn := await(t, conns, "the handler")
	until(t, "the write is seen to wait", o.inside.Load)
	// As much as the client's kernel buffers, and no more until it reads.
	const little = 1 << 20
	n, exact := conn.Taken()
	if !exact {
		t.Skip("the kernel does not tell")
	}
	if n <= 0 || n > little {
		t.Errorf("taken %d bytes by a client that has read a header", n)
	}
	if n := conn.Sent(); n > unsentAtMost {
		t.Errorf("our kernel has taken %d bytes for a client that does not read", n)
	}
	if _, err := io.CopyN(io.Discard, body, 2*little); err != nil {
		t.Fatal(err)
	}
	until(t, "what was read counts", func() bool { n, _ := conn.Taken(); return n >= 2*little })
	n, err := io.Copy(io.Discard, body)
	if err != nil || n != int64(len(large))-2*little {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// unsentAtMost is what a socket may have taken of a response that nobody reads:
// what the client buffers, what is let wait, and one write beyond.
const unsentAtMost = 3 << 20
