package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestServe_DrainBreaksNoRequest(t *testing.T) {
	const clients = 30
	adjust, tlsClient := withTLS(t)
	for _, http2 := range []bool{false, true} {
		name := "HTTP/1.1"
		if http2 {
			name = "HTTP/2"
		}
		t.Run(name, func(t *testing.T) {
			echo := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
			scheme, adjusts := "http", []func(*http.Server){}
			if http2 {
				scheme, adjusts = "https", append(adjusts, adjust)
			}
			cfg := quick()
			cfg.DrainTime = time.Second // each client asks once within it, also on a busy machine
			leaving := start(t, cfg, echo, adjusts...)
			staying := start(t, cfg, echo, adjusts...)

			// The balancer learns of the end with the drain, as an endpoints
			// controller does; until then connections are opened to both.
			var balancer atomic.Pointer[string]
			balancer.Store(&leaving.addr)

			var requests, failures atomic.Int64
			stop := make(chan struct{})
			var group sync.WaitGroup
			for i := range clients {
				group.Go(func() {
					tr := &http.Transport{TLSClientConfig: tlsClient.Clone(), ForceAttemptHTTP2: http2}
					defer tr.CloseIdleConnections()
					client := &http.Client{Transport: tr}
					addr := leaving.addr
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						body := fmt.Sprintf("client %d, request %d", i, n)
						resp, err := client.Post(scheme+"://"+addr, "text/plain", strings.NewReader(body))
						requests.Add(1)
						if err != nil {
							failures.Add(1)
							t.Error(err)
							addr = *balancer.Load()
							continue
						}
						got, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if err != nil || string(got) != body {
							failures.Add(1)
							t.Errorf("got %q, %v", got, err)
						}
						if resp.Close || http2 {
							addr = *balancer.Load()
						}
					}
				})
			}
			until(t, "the clients are busy", func() bool { return requests.Load() > 2000 })
			balancer.Store(&staying.addr)
			leaving.end()
			if err := await(t, leaving.done, "Serve"); err != nil {
				t.Error(err)
			}
			seen := requests.Load()
			until(t, "the clients are busy elsewhere", func() bool { return requests.Load() > seen+500 })
			close(stop)
			group.Wait()
			t.Logf("%d failures in %d requests", failures.Load(), requests.Load())
		})
	}
}

func TestServe_WhileDraining(t *testing.T) {
	var ready atomic.Bool
	ready.Store(true)
	entered, goOn := make(chan struct{}, 1), make(chan struct{})
	cfg := quick()
	cfg.DrainTime = time.Hour // ended by the test
	cfg.OnDrain = func() { ready.Store(false) }
	r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			entered <- struct{}{}
			<-goOn
		case "/begun":
			http.NewResponseController(w).Flush()
			entered <- struct{}{}
			<-goOn
		}
		fmt.Fprint(w, ready.Load())
	})
	request := func(c net.Conn, path string) *http.Response {
		return send(t, c, "GET "+path+" HTTP/1.1\nHost: a")
	}
	idle, slow, begun := r.dial(t), r.dial(t), r.dial(t)
	if resp := request(idle, "/"); resp.Close {
		t.Error("told to leave before the drain")
	} else {
		io.Copy(io.Discard, resp.Body)
	}
	io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	await(t, entered, "the slow request")
	beginning := request(begun, "/begun")
	await(t, entered, "the request with a header")

	r.end()
	until(t, "the server drains", r.Draining)
	close(goOn)

	expect := func(name string, resp *http.Response, wantClose bool) {
		t.Helper()
		body, err := io.ReadAll(resp.Body)
		if string(body) != "false" || err != nil {
			t.Errorf("%s: ready %q, %v", name, body, err)
		}
		if resp.Close != wantClose {
			t.Errorf("%s: Connection: close %v, want %v", name, resp.Close, wantClose)
		}
	}
	expect("a new connection", request(r.dial(t), "/"), true)
	expect("a connection that was idle", request(idle, "/"), true)
	slowly, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatal(err)
	}
	expect("a request under way", slowly, true)
	expect("a response under way", beginning, false)
	expect("the next on its connection", request(begun, "/"), true)
	expect("HTTP/1.0 keep-alive", send(t, r.dial(t), "GET / HTTP/1.0\nConnection: keep-alive"), true)
}

func TestDrainWriter_TellsHoweverTheHeaderIsWritten(t *testing.T) {
	tests := []struct {
		name string
		h    http.HandlerFunc
	}{
		{"WriteHeader", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }},
		{"Write", func(w http.ResponseWriter, r *http.Request) { w.Write(page) }},
		{"WriteString", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a") }},
		{"ReadFrom", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, strings.NewReader("a")) }},
		{"Flush", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() }},
		{"ResponseController.Flush", func(w http.ResponseWriter, r *http.Request) { http.NewResponseController(w).Flush() }},
		{"nothing", func(w http.ResponseWriter, r *http.Request) {}},
		{"204", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }},
		{"304", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }},
		{"103 before the last", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
		}},
		{"WriteHeader twice", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.WriteHeader(http.StatusTeapot)
		}},
		{"a Connection of its own", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "keep-alive")
		}},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				var r *running
				cfg := quick()
				cfg.DrainTime = time.Hour
				r = start(t, cfg, func(w http.ResponseWriter, req *http.Request) {
					r.Drain() // in the middle of the request
					tt.h(w, req)
				})
				c := r.dial(t)
				io.WriteString(c, method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
				all, err := io.ReadAll(c) // ends because the server closes
				if err != nil {
					t.Fatal(err)
				}
				header := all[strings.LastIndex(string(all), "HTTP/1.1 "):]
				if n := strings.Count(string(header), "Connection: close\r\n"); n != 1 {
					t.Errorf("Connection: close %d times in %.200q", n, all)
				}
			})
		}
	}
}

func TestDrainWriter_LeavesProtocolSwitchesAlone(t *testing.T) {
	var r *running
	r = start(t, quick(), func(w http.ResponseWriter, req *http.Request) {
		r.Drain()
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		nc.Close()
	})
	resp := send(t, r.dial(t), "GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: echo")
	if got := resp.Header.Get("Connection"); resp.StatusCode != 101 || got != "Upgrade" {
		t.Errorf("%s, Connection: %s", resp.Status, got)
	}
}

func TestDrainWriter_CanWhatTheOriginalCan(t *testing.T) {
	h := &drainHandler{draining: new(atomic.Bool)}
	h.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http1Writer); !ok {
			t.Errorf("%T lacks something of http1Writer", w)
		}
		c := http.NewResponseController(w)
		for name, err := range map[string]error{
			"SetReadDeadline":  c.SetReadDeadline(time.Time{}),
			"SetWriteDeadline": c.SetWriteDeadline(time.Time{}),
			"EnableFullDuplex": c.EnableFullDuplex(),
			"Flush":            c.Flush(),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	ts := httptest.NewServer(h)
	defer ts.Close()
	resp, err := ts.Client().Get(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestDrainHandler_PassesForeignWritersOn(t *testing.T) {
	h := &drainHandler{draining: new(atomic.Bool)}
	rec := httptest.NewRecorder()
	h.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w != http.ResponseWriter(rec) {
			t.Errorf("wrapped into a %T", w)
		}
	})
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	h.draining.Store(true)
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if got := rec.Header().Get("Connection"); got != "close" {
		t.Errorf("Connection: %q", got)
	}
}

func TestServe_DrainSendsGoAwayOnHTTP2(t *testing.T) {
	adjust, cfg := withTLS(t)
	config := quick()
	config.DrainTime = time.Hour
	r := start(t, config, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }, adjust)
	client := newClient(t, cfg, true)
	get := func() string {
		resp, err := client.Get("https://" + r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, ok := resp.Header["Connection"]; ok || resp.ProtoMajor != 2 {
			t.Errorf("%s with %v", resp.Proto, resp.Header)
		}
		from, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(from)
	}
	first := get()
	if second := get(); second != first {
		t.Fatal("the connection was not kept before the drain")
	}
	r.Drain()
	if last := get(); last != first {
		t.Error("the first request of the drain came on another connection")
	}
	until(t, "the client has left the connection", func() bool { return get() != first })
}

func TestServe_FinishesWhatIsUnderWay(t *testing.T) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-goOn
		w.Write(page)
	})
	c := r.dial(t)
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	await(t, entered, "the request")
	r.end()
	until(t, "the listener is closed", func() bool {
		nc, err := net.Dial("tcp", r.addr)
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	select {
	case err := <-r.done:
		t.Fatalf("Serve returned %v over a request", err)
	default:
	}
	close(goOn)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); len(body) != len(page) || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if err := await(t, r.done, "Serve"); err != nil {
		t.Error(err)
	}
}

func TestServe_CutsWhatDoesNotFinish(t *testing.T) {
	adjust, tlsClient := withTLS(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			cfg := quick()
			cfg.ShutdownTimeout = 50 * time.Millisecond
			var adjusts []func(*http.Server)
			if secure {
				adjusts = append(adjusts, adjust)
			}
			const busy = 3
			gone := make(chan struct{}, busy)
			r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
				w.Write(page)
				http.NewResponseController(w).Flush()
				<-r.Context().Done() // as a handler should
				gone <- struct{}{}
			}, adjusts...)
			var bodies []io.Reader
			for range busy {
				c := net.Conn(r.dial(t))
				if secure {
					c = tls.Client(c, tlsClient)
				}
				bodies = append(bodies, send(t, c, "GET / HTTP/1.0").Body)
			}
			r.end()
			err := await(t, r.done, "Serve")
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "connections cut: 3") {
				t.Errorf("Serve: %v", err)
			}
			for _, b := range bodies {
				if _, err := io.ReadAll(b); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("a cut body: %v, want ECONNRESET", err)
				}
				await(t, gone, "a handler to hear of it")
			}
		})
	}
}

func TestServe_EndsEarlyWhenNothingIsAccepted(t *testing.T) {
	cfg := quick()
	cfg.DrainTime = time.Hour
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	r := serveOn(t, s, s.HTTP(nil), ln)
	r.end()
	until(t, "the server drains", r.Draining)
	ln.Close()
	if err := await(t, r.done, "Serve"); err != nil {
		t.Error(err)
	}
}

func TestServe_WithAContextThatIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, err := New(quick())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ctx, s.HTTP(nil), listen(t)); err != nil {
		t.Error(err)
	}
}

func TestDrain_CallsOnDrainOnce(t *testing.T) {
	calls := 0
	cfg := quick()
	var s *Server
	cfg.OnDrain = func() {
		calls++
		if s.Draining() {
			t.Error("responses say so before the hook ran")
		}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Drain()
	s.Drain()
	if calls != 1 || !s.Draining() {
		t.Errorf("%d calls, draining %v", calls, s.Draining())
	}
}
