package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is Defaults with times that a test can wait for.
func quick() Config {
	cfg := Defaults()
	cfg.WriteStall = time.Second // clients of the tests are never held up so long
	cfg.DrainTime = 0
	cfg.ErrorLog = log.New(io.Discard, "", 0)
	return cfg
}

// A running is a server under test.
type running struct {
	*Server
	addr string
	end  context.CancelFunc // begins the drain
	done chan error         // what Serve returned
}

// start serves h on loopback until the test ends. adjust may change the
// http.Server, as a user would.
func start(t testing.TB, cfg Config, h http.HandlerFunc, adjust ...func(*http.Server)) *running {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := s.HTTP(h)
	for _, f := range adjust {
		f(srv)
	}
	return serveOn(t, s, srv, listen(t))
}

func serveOn(t testing.TB, s *Server, srv *http.Server, ln net.Listener) *running {
	ctx, end := context.WithCancel(context.Background())
	r := &running{Server: s, addr: ln.Addr().String(), end: end, done: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.done <- s.Serve(ctx, srv, ln)
	}()
	t.Cleanup(func() {
		srv.Close()
		end()
		<-finished
	})
	return r
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// dial opens a connection for raw HTTP, with a receive buffer that is small
// enough for a server to notice that nobody reads.
func (r *running) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	return r.dialWith(t, 64<<10)
}

func (r *running) dialWith(t testing.TB, receiveBuffer int) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { setReceiveBuffer(fd, receiveBuffer) })
	}}
	c, err := d.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience)) // a server that goes silent fails the test
	return c.(*net.TCPConn)
}

// send writes a request and returns the response, whose body is still to read.
func send(t testing.TB, c net.Conn, request string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// withTLS serves HTTP/1.1 and HTTP/2 with the certificate of httptest.
func withTLS(t testing.TB) (adjust func(*http.Server), client *tls.Config) {
	t.Helper()
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	cert := ts.TLS.Certificates[0]
	return func(srv *http.Server) { srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} },
		&tls.Config{RootCAs: pool, ServerName: "example.com"}
}

// newClient returns a client with connections of its own.
func newClient(t testing.TB, cfg *tls.Config, http2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: cfg.Clone(), ForceAttemptHTTP2: http2, MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

// await returns what arrives on ch, and fails the test if nothing does.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// until polls a state that can be seen but does not call.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func TestHTTP_SetsWhatTheConfigSays(t *testing.T) {
	cfg := Defaults()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := s.HTTP(nil)
	if srv.ReadHeaderTimeout != cfg.ReadHeaderTimeout || srv.ReadTimeout != 0 || srv.WriteTimeout != 0 ||
		srv.IdleTimeout != cfg.IdleTimeout || srv.MaxHeaderBytes != cfg.MaxHeaderBytes {
		t.Errorf("srv = %+v", srv)
	}
}

func TestHTTP_WithoutOurListener(t *testing.T) {
	// A user who runs the server himself: Cut works, and Shutdown drains.
	drained := make(chan struct{})
	cfg := quick()
	cfg.OnDrain = func() { close(drained) }
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := s.HTTP(http.HandlerFunc(half))
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	r := &running{addr: ln.Addr().String()}
	if _, err := io.ReadAll(send(t, r.dial(t), "GET / HTTP/1.0").Body); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cut body: %v, want ECONNRESET", err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	await(t, drained, "OnDrain")
	if err := await(t, served, "Serve"); err != http.ErrServerClosed {
		t.Error(err)
	}
}

func TestListener_LeavesTLSConnectionsAsTheyAre(t *testing.T) {
	s, err := New(quick())
	if err != nil {
		t.Fatal(err)
	}
	adjust, client := withTLS(t)
	srv := s.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			half(w, r)
			return
		}
		io.WriteString(w, r.TLS.NegotiatedProtocol)
	}))
	tmp := &http.Server{}
	adjust(tmp)
	ln := tls.NewListener(listen(t), tmp.TLSConfig)
	r := serveOn(t, s, srv, ln)
	resp, err := newClient(t, client, false).Get("https://" + r.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	resp, err = newClient(t, client, false).Get("https://" + r.addr + "/cut")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the cut body looks whole")
	}
}

// failing is a listener whose Accept returns errs one after another, and then
// that of the listener itself.
type failing struct {
	net.Listener
	errs []error
}

func (l *failing) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestServe_AcceptErrors(t *testing.T) {
	hello := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

	t.Run("one that passes is waited out", func(t *testing.T) {
		s, _ := New(quick())
		ln := &failing{listen(t), []error{&net.OpError{Op: "accept", Err: syscall.EMFILE}}}
		r := serveOn(t, s, s.HTTP(http.HandlerFunc(hello)), ln)
		body, err := io.ReadAll(send(t, r.dial(t), "GET / HTTP/1.0").Body)
		if string(body) != "hello" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("one that stays is returned as it is", func(t *testing.T) {
		s, _ := New(quick())
		broken := errors.New("broken")
		ln := &failing{listen(t), []error{broken}}
		if err := s.Serve(context.Background(), s.HTTP(nil), ln); err != broken {
			t.Errorf("got %v, want %v", err, broken)
		}
	})
}
