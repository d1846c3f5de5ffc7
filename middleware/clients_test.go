package middleware

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// protocol is what a client speaks. The server's plain port speaks all that
// need no TLS, if its engine has UseH2C.
type protocol struct {
	name      string
	major     int
	secure    bool
	transport func(*tls.Config) http.RoundTripper
}

var protocols = []protocol{
	{"HTTP/1.0", 1, false, func(*tls.Config) http.RoundTripper { return http10{} }},
	{"HTTP/1.1", 1, false, speaks((*http.Protocols).SetHTTP1)},
	{"HTTP/2", 2, true, speaks((*http.Protocols).SetHTTP2)},
	{"HTTP/2 without TLS", 2, false, speaks((*http.Protocols).SetUnencryptedHTTP2)},
}

func speaks(set func(*http.Protocols, bool)) func(*tls.Config) http.RoundTripper {
	return func(trust *tls.Config) http.RoundTripper {
		tr := &http.Transport{TLSClientConfig: trust.Clone(), Protocols: new(http.Protocols), MaxIdleConnsPerHost: 64}
		set(tr.Protocols, true)
		return tr
	}
}

// http10 asks as nginx does by default: the end of a body without a length is
// that of its connection.
type http10 struct{}

func (http10) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := new(net.Dialer).DialContext(req.Context(), "tcp", req.URL.Host)
	if err != nil {
		return nil, err
	}
	forget := context.AfterFunc(req.Context(), func() { c.Close() })
	fail := func(err error) (*http.Response, error) {
		if !forget() {
			err = context.Cause(req.Context())
		}
		c.Close()
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.0\r\nHost: %s\r\n\r\n", req.Method, req.URL.RequestURI(), req.URL.Host); err != nil {
		return fail(err)
	}
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return fail(err)
		}
		if resp.StatusCode < 200 {
			continue // what follows is the response
		}
		body := resp.Body
		resp.Body = &ending{body, func() error {
			forget()
			return c.Close()
		}}
		return resp, nil
	}
}

// ending is a body that ends with its connection.
type ending struct {
	io.Reader
	close func() error
}

func (e *ending) Close() error { return e.close() }

// visitor is a client of a served engine.
type visitor struct {
	t        *testing.T
	protocol protocol
	client   *http.Client
	url      string
}

// over returns a client that speaks p.
func (s *served) over(p protocol) *visitor {
	v := &visitor{s.t, p, &http.Client{Transport: p.transport(s.trust), Timeout: deadline}, "http://" + s.addr}
	if p.secure {
		v.url = "https://" + s.secure
	}
	s.t.Cleanup(v.client.CloseIdleConnections)
	return v
}

// bare serves the engine without a guard until the test ends.
func bare(t *testing.T, engine *gin.Engine) *served {
	t.Helper()
	s := &served{t: t, ended: make(chan error, 2)}
	var servers []*http.Server
	s.listen(func() *http.Server {
		srv := &http.Server{Handler: engine, Protocols: new(http.Protocols)}
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
		servers = append(servers, srv)
		return srv
	}, func(srv *http.Server, l net.Listener) error {
		if srv.TLSConfig != nil {
			return srv.ServeTLS(l, "", "")
		}
		return srv.Serve(l)
	})
	t.Cleanup(func() {
		for _, srv := range servers {
			srv.Close()
			<-s.ended
		}
	})
	return s
}

// open sends a request. The response, if there is one, is the caller's to read
// and to close.
func (v *visitor) open(ctx context.Context, method, path string) (*http.Response, error) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.client.Do(req)
}

// reply is all that a client has got. Without an error it takes the body for
// the whole.
type reply struct {
	status int
	header http.Header
	length int64 // what the response said of it, -1 if nothing
	body   []byte
	err    error
}

func (a reply) String() string {
	return fmt.Sprintf("status %d, header %v, %d bytes that begin %.40q, error %v", a.status, a.header, len(a.body), a.body, a.err)
}

// ask sends a request and reads all of the response.
func (v *visitor) ask(method, path string) reply {
	v.t.Helper()
	resp, err := v.open(context.Background(), method, path)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, resp.ContentLength, body, err}
}

// wantWhole asks for what has to come as want.
func (v *visitor) wantWhole(w way, path string, want []byte) {
	v.t.Helper()
	if a := v.ask("GET", path); a.err != nil || a.status != 200 || !w.same(a.body, want) {
		v.t.Errorf("GET %s: %v, want %d bytes", path, a, len(want))
	}
}

// wantStatus asks for what has to come with a status and no body.
func (v *visitor) wantStatus(path string, status int) reply {
	v.t.Helper()
	a := v.ask("GET", path)
	if a.err != nil || a.status != status || len(a.body) > 0 {
		v.t.Errorf("GET %s: %v, want an empty %d", path, a, status)
	}
	return a
}

// wantBroken asks for what must not look whole.
func (v *visitor) wantBroken(path string) {
	v.t.Helper()
	if a := v.ask("GET", path); a.err == nil {
		v.t.Errorf("GET %s: %v, as if that were all", path, a)
	}
}

// wantRefused asks for what has no room just now.
func (v *visitor) wantRefused(path string) {
	v.t.Helper()
	a := v.wantStatus(path, http.StatusServiceUnavailable)
	if s, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || s < 1 {
		v.t.Errorf("GET %s: Retry-After %q, want a number of seconds", path, a.header.Get("Retry-After"))
	}
}

// way is how a handler answers JSON.
type way struct {
	name    string
	streams bool // and refuses when there is no room, and does not encode for HEAD
	answer  func(*gin.Context, int, any)
}

var ways = []way{
	{"middleware.JSON", true, JSON},
	{"c.JSON", false, func(c *gin.Context, code int, v any) { c.JSON(code, v) }},
	{"c.PureJSON", true, func(c *gin.Context, code int, v any) { c.PureJSON(code, v) }},
}

// same compares a body with encoding/json's. c.PureJSON leaves HTML as it is
// and adds a newline.
func (w way) same(body, want []byte) bool {
	if w.name == "c.PureJSON" {
		var escaped bytes.Buffer
		json.HTMLEscape(&escaped, bytes.TrimSuffix(body, []byte("\n")))
		body = escaped.Bytes()
	}
	return bytes.Equal(body, want)
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyWay calls f for each way to answer over each protocol.
func (s *served) everyWay(f func(t *testing.T, v *visitor, w way)) {
	for _, p := range protocols {
		for _, w := range ways {
			s.t.Run(p.name+", "+w.name, func(t *testing.T) {
				v := s.over(p)
				v.t = t
				f(t, v, w)
			})
		}
	}
}

// ended is what has become of a request in its handler.
type ended struct {
	errs   []error
	status int
	size   int // bytes of the body, -1 if not even the header was written
}

// spoken is an engine that speaks all protocols.
func spoken() *gin.Engine {
	r := gin.New()
	r.UseH2C = true
	return r
}

// recorded is one that tells what becomes of its requests.
func recorded() (*gin.Engine, <-chan ended) {
	r := spoken()
	all := make(chan ended, 100)
	r.Use(func(c *gin.Context) {
		defer func() {
			e := ended{status: c.Writer.Status(), size: c.Writer.Size()}
			for _, err := range c.Errors {
				e.errs = append(e.errs, err.Err)
			}
			all <- e
		}()
		c.Next()
	})
	return r, all
}

// await returns what comes, and ends the test if nothing does.
func await[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(deadline):
		t.Fatal("waited too long")
		panic("unreachable")
	}
}
