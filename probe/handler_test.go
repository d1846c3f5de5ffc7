package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOverARealConnection(t *testing.T) {
	r := made(t, WithReadiness("db", pass)) // not started: 503
	tests := []struct {
		name    string
		method  string
		target  string
		accept  string
		request string // body
		status  int
		allow   string
		empty   bool
		typ     string // text/plain if empty
	}{
		{name: "GET of a passing endpoint", method: "GET", target: "/livez", status: 200},
		{name: "GET of a failing endpoint", method: "GET", target: "/readyz", status: 503},
		{name: "GET with a query nobody knows", method: "GET", target: "/livez?x=y", status: 200},
		{name: "GET with a body", method: "GET", target: "/livez", request: "hello", status: 200},
		{name: "GET with an escaped path", method: "GET", target: "/live%7A", status: 200},
		{name: "GET without a failing check", method: "GET", target: "/readyz?exclude=db", status: 200},
		{name: "GET of a passing check", method: "GET", target: "/readyz/ping", status: 200},
		{name: "GET of a failing check", method: "GET", target: "/readyz/db", status: 503},
		{name: "GET of JSON by Accept", method: "GET", target: "/readyz", accept: "application/json", status: 503, typ: "application/json"},
		{name: "GET of health+json by query", method: "GET", target: "/livez?format=health", status: 200, typ: "application/health+json"},
		{name: "HEAD of a passing endpoint", method: "HEAD", target: "/livez", status: 200, empty: true},
		{name: "HEAD of a failing endpoint", method: "HEAD", target: "/readyz", status: 503, empty: true},
		{name: "HEAD with verbose", method: "HEAD", target: "/readyz?verbose", status: 503, empty: true},
		{name: "HEAD without a failing check", method: "HEAD", target: "/readyz?verbose&exclude=db", status: 200, empty: true},
		{name: "HEAD of a check", method: "HEAD", target: "/readyz/db", status: 503, empty: true},
		{name: "HEAD of JSON", method: "HEAD", target: "/readyz/db?format=json", status: 503, empty: true, typ: "application/json"},
		{name: "POST", method: "POST", target: "/livez", request: "hello", status: 405, allow: "GET, HEAD"},
		{name: "POST to a failing endpoint", method: "POST", target: "/readyz", status: 405, allow: "GET, HEAD"},
		{name: "POST to a check", method: "POST", target: "/readyz/db", status: 405, allow: "GET, HEAD"},
		{name: "POST for JSON", method: "POST", target: "/livez?format=json", status: 405, allow: "GET, HEAD"},
		{name: "OPTIONS", method: "OPTIONS", target: "/livez", status: 405, allow: "GET, HEAD"},
		{name: "a method that does not exist", method: "BREW", target: "/livez", status: 405, allow: "GET, HEAD"},
		{name: "a query that is too long", method: "GET", target: "/livez?" + strings.Repeat("a", maxQuery+1), status: 414},
	}
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		server := httptest.NewUnstartedServer(r)
		server.EnableHTTP2 = protocol == "HTTP/2.0"
		server.StartTLS()
		defer server.Close()
		for _, tt := range tests {
			t.Run(protocol+"/"+tt.name, func(t *testing.T) {
				req, err := http.NewRequest(tt.method, server.URL+tt.target, strings.NewReader(tt.request))
				if err != nil {
					t.Fatal(err)
				}
				if tt.accept != "" {
					req.Header.Set("Accept", tt.accept)
				}
				res, err := server.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if res.Proto != protocol || res.StatusCode != tt.status {
					t.Errorf("%s, status %d, want %d", res.Proto, res.StatusCode, tt.status)
				}
				if tt.empty != (len(body) == 0) {
					t.Errorf("body %q", body)
				}
				// net/http reports the header's value, for HEAD as well.
				if res.ContentLength <= 0 || !tt.empty && res.ContentLength != int64(len(body)) {
					t.Errorf("Content-Length %d with a body of %d bytes", res.ContentLength, len(body))
				}
				if tt.typ == "" {
					tt.typ = "text/plain; charset=utf-8"
				}
				for header, want := range map[string]string{
					"Allow":                  tt.allow,
					"Cache-Control":          "no-store",
					"Content-Type":           tt.typ,
					"Vary":                   "",
					"X-Content-Type-Options": "nosniff",
				} {
					if got := strings.Join(res.Header.Values(header), "|"); got != want {
						t.Errorf("%s: %q, want %q", header, got, want)
					}
				}
			})
		}
	}
}

func TestHEADHasTheLengthOfGET(t *testing.T) {
	r := made(t, WithReadiness("db", pass))
	for _, target := range []string{
		"/livez", "/readyz", "/readyz?verbose", "/readyz?exclude=db&exclude=x&verbose", "/readyz/db", "/readyz/ping",
		"/readyz?format=json", "/readyz?format=health&exclude=db", "/readyz/db?format=json",
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodHead, target, nil))
		want := strconv.Itoa(get(r, target).Body.Len())
		if got := w.Header().Get("Content-Length"); got != want || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: Content-Length %s with a body of %d, want %s and 0", target, got, w.Body.Len(), want)
		}
	}
}

func TestPipelinedProbesAreAnsweredInOrder(t *testing.T) {
	server := httptest.NewServer(made(t, WithReadiness("db", pass)))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var requests strings.Builder
	want := []int{200, 503, 405, 404, 200}
	for _, line := range []string{"HEAD /livez", "GET /readyz", "PUT /livez", "GET /other", "GET /livez"} {
		requests.WriteString(line + " HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if _, err := io.WriteString(conn, requests.String()); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for i, status := range want {
		method := "GET"
		if i == 0 {
			method = "HEAD"
		}
		res, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("response %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatalf("response %d: %v", i, err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("response %d: %d, want %d", i, res.StatusCode, status)
		}
	}
}

func TestPathsByOption(t *testing.T) {
	r := passing(t, WithReadiness("db", pass), WithReadiness("cache", pass),
		WithPaths(Liveness, "/alive", "/.well-known/live", "/", "/readyz/cache/ping"),
		WithPaths(Readiness, "/readyz", "/readyz/cache", "/ready/"),
		WithPaths(Startup, "/readyz/db"),
		WithPaths(Health))
	for path, want := range map[string]int{
		"/alive": 200, "/.well-known/live": 200, "/": 200, "/livez": 404,
		"/readyz": 200, "/healthz": 404,
		"/alive/ping": 200, "/.well-known/live/ping": 200,
		"/alive/db": 404, // it says nothing about liveness
		"/alive/":   404, "/alive//": 404, "/alive/ping/": 404, "/alive//ping": 404, "/alive/pin": 404, "/alive/ping2": 404, "/alivez/ping": 404,
		"//ping": 404, "/ping": 404, // below "/" there is nothing
		"/ready/": 200, "/ready/db": 404, "/ready//db": 404, "/ready": 404,
		"/readyz/shutdown": 200, "/readyz/cache/db": 200, "/readyz/cache/cache": 200,
		"": 404, "alive": 404, "/ALIVE": 404,
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
		if w.Code != want {
			t.Errorf("%q = %d, want %d", path, w.Code, want)
		}
		if got := r.Match(path); got != (want == 200) {
			t.Errorf("Match(%q) = %v", path, got)
		}
	}
}

func TestAPathThatWasGivenGoesBeforeThatOfACheck(t *testing.T) {
	r := made(t, WithReadiness("db", pass), WithPaths(Liveness, "/readyz/db"))
	wantStatus(t, r, "/readyz", 503)
	wantStatus(t, r, "/readyz/db", 200)
	wantStatus(t, r, "/healthz/db", 503)
}

func TestWrapPassesOnWhatIsNoProbe(t *testing.T) {
	h := made(t).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	for path, want := range map[string]int{"/livez": 200, "/livez/ping": 200, "/clients": 418, "/livez/x": 418, "/livez/": 418} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestPathsAreReleased(t *testing.T) {
	tests := []struct {
		name     string
		release  []string
		released string
		gone     []string
		left     []string
	}{
		{"an endpoint, and what is below it", []string{"/readyz"}, "/readyz", []string{"/readyz", "/readyz/db", "/readyz/ping"}, []string{"/healthz/db"}},
		{"the path of one check", []string{"/readyz/db"}, "/readyz/db", []string{"/readyz/db"}, []string{"/readyz", "/readyz/ping", "/healthz/db"}},
		{"the paths of all checks", []string{"/readyz/"}, "/readyz/", []string{"/readyz/db", "/readyz/ping"}, []string{"/readyz", "/healthz/db"}},
		{"paths of two checks", []string{"/readyz/db", "/readyz/ping"}, "/readyz/db /readyz/ping", []string{"/readyz/db", "/readyz/ping"}, []string{"/readyz/shutdown"}},
		{"paths that are not served", []string{"/", "", "/readyz/nothing", "/livez/db", "/readyz/db/x", "/x"}, "", nil, []string{"/readyz", "/readyz/db"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := passing(t, WithReadiness("db", pass))
			if got := strings.Join(r.Release(tt.release...), " "); got != tt.released {
				t.Errorf("released %q, want %q", got, tt.released)
			}
			if again := r.Release(tt.release...); len(again) > 0 {
				t.Errorf("released again: %q", again)
			}
			for _, path := range tt.gone {
				wantStatus(t, r, path, 404)
			}
			for _, path := range tt.left {
				wantStatus(t, r, path, 200)
			}
		})
	}
}

// A probe must not cost a dependency anything, whoever sends it.
func TestNoRequestRunsACheck(t *testing.T) {
	never := func(context.Context) error {
		t.Error("a request has run a check")
		return nil
	}
	r := made(t, WithReadiness("db", never), WithLiveness("loop", never), WithStartup("cache", never))
	for _, path := range []string{"/livez", "/readyz", "/startupz", "/healthz", "/readyz/db", "/livez/loop", "/startupz/cache"} {
		for _, query := range []string{"", "?verbose", "?exclude=db", "?format=json", "?format=health&exclude=loop&verbose"} {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path+query, nil))
			}
		}
	}
}

func TestHeadersOfOneResponseDoNotLeakIntoAnother(t *testing.T) {
	r := made(t)
	for _, target := range []string{"/livez", "/livez?format=json", "/livez?format=health", "/livez/ping", "/livez?" + strings.Repeat("a", maxQuery+1)} {
		for name := range get(r, target).Header() {
			w := get(r, target)
			w.Header().Add(name, "private") // what an outer middleware might do
			if got := get(r, target).Header().Values(name); len(got) != 1 {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}

// quietWriter is a ResponseWriter that allocates nothing itself.
type quietWriter struct {
	header http.Header
	status int
	body   []byte
}

func (w *quietWriter) Header() http.Header    { return w.header }
func (w *quietWriter) WriteHeader(status int) { w.status = status }
func (w *quietWriter) Write(b []byte) (int, error) {
	w.body = b
	return len(b), nil
}

func TestAProbeAllocatesNothing(t *testing.T) {
	r := passing(t, WithReadiness("db", pass))
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for _, target := range []string{
			"/livez", "/readyz", "/readyz?a=b&verbose", "/readyz/db", "/readyz?format=json",
			"/livez?" + strings.Repeat("verbose&", maxQuery/8), "/livez?" + strings.Repeat("a", maxQuery+1),
		} {
			w := &quietWriter{header: http.Header{}}
			req := httptest.NewRequest(method, target, nil)
			if n := testing.AllocsPerRun(100, func() { r.ServeHTTP(w, req) }); n != 0 {
				t.Errorf("%s %.30s: %v allocations", method, target, n)
			}
		}
	}
	for _, path := range []string{"/livez", "/readyz/db", "/readyz/nothing", "/clients", "/", ""} {
		if n := testing.AllocsPerRun(100, func() { r.Match(path) }); n != 0 {
			t.Errorf("Match(%q): %v allocations", path, n)
		}
	}
}
