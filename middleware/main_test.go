package middleware

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	gin.DefaultWriter = io.Discard
	gin.DefaultErrorWriter = io.Discard
	goleak.VerifyTestMain(m,
		// ants starts a pool of its own when it is imported.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

// deadline bounds everything that a test waits for.
const deadline = time.Minute

// served is an engine that a guard serves on loopback.
type served struct {
	t      *testing.T
	guard  *Guard
	url    string
	addr   string
	secure string // the address that speaks TLS
	trust  *tls.Config
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

// serve runs the engine on two free ports, on one of them with TLS, as Run
// does, until the test ends.
func serve(t *testing.T, engine *gin.Engine, opts ...Option) *served {
	t.Helper()
	g, err := New(append([]Option{WithoutMaxProcs(), WithDrain(0, 5*time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &served{
		t: t, guard: g,
		client: &http.Client{Transport: &http.Transport{}, Timeout: deadline},
		stop:   stop, ended: make(chan error, 2),
	}
	restore := g.InstallCodec()
	s.listen(func() *http.Server { return g.Server(engine) }, func(srv *http.Server, l net.Listener) error {
		return g.server.Serve(ctx, srv, g.lane(l))
	})
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		for range cap(s.ended) {
			if err := <-s.ended; err != nil {
				t.Errorf("serve: %v", err)
			}
		}
		restore()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// listen begins to serve on both ports, once both servers have seen the
// engine's routes: gin changes those at the first request.
func (s *served) listen(server func() *http.Server, serve func(*http.Server, net.Listener) error) {
	s.t.Helper()
	var certificates []tls.Certificate
	certificates, s.trust = certified()
	var begin []func()
	for _, at := range []struct {
		addr         *string
		certificates []tls.Certificate
	}{{&s.addr, nil}, {&s.secure, certificates}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		*at.addr = l.Addr().String()
		srv := server()
		srv.ErrorLog = log.New(io.Discard, "", 0) // panics that the tests want
		if at.certificates != nil {
			srv.TLSConfig = &tls.Config{Certificates: at.certificates}
		}
		begin = append(begin, func() { s.ended <- serve(srv, l) })
	}
	for _, f := range begin {
		go f()
	}
	s.url = "http://" + s.addr
}

// certified is httptest's certificate, and a configuration that trusts it.
var certified = sync.OnceValues(func() ([]tls.Certificate, *tls.Config) {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	return ts.TLS.Certificates, &tls.Config{RootCAs: pool, ServerName: "example.com"}
})

// do sends a request and reads the whole response.
func (s *served) do(method, path string) (*http.Response, []byte, error) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (s *served) get(path string) (*http.Response, string) {
	s.t.Helper()
	resp, body, err := s.do("GET", path)
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return resp, string(body)
}

func (s *served) wantStatus(path string, want int) {
	s.t.Helper()
	if resp, body := s.get(path); resp.StatusCode != want {
		s.t.Errorf("GET %s: status %d, want %d; body %.200q", path, resp.StatusCode, want, body)
	}
}

// row is one of many in a large response.
type row struct {
	ID   int     `json:"id"`
	Name string  `json:"name"`
	Rate float64 `json:"rate"`
}

func rows(n int) []row {
	out := make([]row, n)
	for i := range out {
		out[i] = row{i, "a name like <many> others & more", 1.5}
	}
	return out
}

// marshalerFunc is a value whose marshaler does whatever a test wants.
type marshalerFunc func() ([]byte, error)

func (f marshalerFunc) MarshalJSON() ([]byte, error) { return f() }

var errRefused = errors.New("this value refuses")
