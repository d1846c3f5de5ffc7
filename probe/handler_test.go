package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := started(t,
			WithLiveness("loop", pass),
			WithStartup("cache", func(context.Context) error { return errDown }),
			WithReadiness("db", func(context.Context) error { return errDown }),
			WithReadiness("queue", pass),
		)
		synctest.Wait()
		tests := []struct {
			target string
			status int
			body   string
		}{
			{"/livez", 200, "ok\n"},
			{"/livez?verbose", 200, "[+]ping ok\n[+]loop ok\nlivez check passed\n"},
			{"/startupz", 503, "[-]cache failed: reason withheld\nstartupz check failed\n"},
			{"/startupz?verbose", 503, "[+]ping ok\n[-]cache failed: reason withheld\nstartupz check failed\n"},
			{"/readyz", 503, "[-]cache failed: reason withheld\n[-]db failed: reason withheld\nreadyz check failed\n"},
			{"/readyz?verbose", 503, "[+]ping ok\n[+]shutdown ok\n[-]cache failed: reason withheld\n[-]db failed: reason withheld\n[+]queue ok\nreadyz check failed\n"},
			{"/healthz?verbose", 503, "[+]ping ok\n[+]shutdown ok\n[+]loop ok\n[-]cache failed: reason withheld\n[-]db failed: reason withheld\n[+]queue ok\nhealthz check failed\n"},
			{"/livez/", 404, "404 page not found\n"},
			{"/LIVEZ", 404, "404 page not found\n"},
		}
		for _, tt := range tests {
			w := get(r, tt.target)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("%s: %d\n%swant %d\n%s", tt.target, w.Code, w.Body, tt.status, tt.body)
			}
		}
		r.SetDraining(true)
		if body := get(r, "/readyz").Body.String(); !strings.HasPrefix(body, "[-]shutdown failed") {
			t.Errorf("while draining:\n%s", body)
		}
	})
}

func TestQueries(t *testing.T) {
	tests := []struct {
		query   string
		verbose bool
	}{
		{"", false},
		{"verbose", true},
		{"verbose=", true},
		{"verbose=false", true}, // as in kube-apiserver: the key alone decides
		{"a=b&verbose", true},
		{"verbose&a=b", true},
		{"&&verbose&&", true},
		{"verbosely", false},
		{"a=verbose", false},
		{"Verbose", false},
		{"%zz&=&;", false},
		{strings.Repeat("a&", 10_000), false},
	}
	r := made(t)
	for _, tt := range tests {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/livez", nil)
		req.URL.RawQuery = tt.query
		r.ServeHTTP(w, req)
		if got := strings.Contains(w.Body.String(), "[+]"); w.Code != 200 || got != tt.verbose {
			t.Errorf("?%.20s: %d, verbose %v, want 200 and %v", tt.query, w.Code, got, tt.verbose)
		}
	}
}

func TestOverARealConnection(t *testing.T) {
	r := made(t, WithReadiness("db", pass)) // not started: 503
	server := httptest.NewServer(r)
	defer server.Close()
	tests := []struct {
		name    string
		method  string
		target  string
		request string // body
		status  int
		allow   string
		empty   bool
	}{
		{name: "GET of a passing endpoint", method: "GET", target: "/livez", status: 200},
		{name: "GET of a failing endpoint", method: "GET", target: "/readyz", status: 503},
		{name: "GET with a query nobody knows", method: "GET", target: "/livez?x=y", status: 200},
		{name: "GET with a body", method: "GET", target: "/livez", request: "hello", status: 200},
		{name: "GET with an escaped path", method: "GET", target: "/live%7A", status: 200},
		{name: "HEAD of a passing endpoint", method: "HEAD", target: "/livez", status: 200, empty: true},
		{name: "HEAD of a failing endpoint", method: "HEAD", target: "/readyz", status: 503, empty: true},
		{name: "HEAD with verbose", method: "HEAD", target: "/readyz?verbose", status: 503, empty: true},
		{name: "POST", method: "POST", target: "/livez", request: "hello", status: 405, allow: "GET, HEAD"},
		{name: "POST to a failing endpoint", method: "POST", target: "/readyz", status: 405, allow: "GET, HEAD"},
		{name: "OPTIONS", method: "OPTIONS", target: "/livez", status: 405, allow: "GET, HEAD"},
		{name: "a method that does not exist", method: "BREW", target: "/livez", status: 405, allow: "GET, HEAD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, server.URL+tt.target, strings.NewReader(tt.request))
			if err != nil {
				t.Fatal(err)
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
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if tt.empty != (len(body) == 0) {
				t.Errorf("body %q", body)
			}
			// net/http reports the header's value, for HEAD as well.
			if res.ContentLength <= 0 || !tt.empty && res.ContentLength != int64(len(body)) {
				t.Errorf("Content-Length %d with a body of %d bytes", res.ContentLength, len(body))
			}
			for header, want := range map[string]string{
				"Allow":                  tt.allow,
				"Cache-Control":          "no-store",
				"Content-Type":           "text/plain; charset=utf-8",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := strings.Join(res.Header.Values(header), "|"); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestHEADHasTheLengthOfGET(t *testing.T) {
	r := made(t, WithReadiness("db", pass))
	for _, target := range []string{"/livez", "/readyz", "/readyz?verbose"} {
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
	r := made(t, WithPaths(Liveness, "/alive", "/.well-known/live"), WithPaths(Health))
	for path, want := range map[string]int{
		"/alive": 200, "/.well-known/live": 200, "/livez": 404,
		"/readyz": 200, "/healthz": 404,
	} {
		wantStatus(t, r, path, want)
		if got := r.Match(path); got != (want == 200) {
			t.Errorf("Match(%s) = %v", path, got)
		}
	}
}

func TestWrapPassesOnWhatIsNoProbe(t *testing.T) {
	h := made(t).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	for path, want := range map[string]int{"/livez": 200, "/clients": 418, "/livez/x": 418} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestHeadersOfOneResponseDoNotLeakIntoAnother(t *testing.T) {
	r := made(t)
	w := get(r, "/livez")
	w.Header().Add("Cache-Control", "private") // what an outer middleware might do
	if got := get(r, "/livez").Header().Values("Cache-Control"); len(got) != 1 {
		t.Errorf("Cache-Control: %q", got)
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
		for _, target := range []string{"/livez", "/readyz", "/readyz?a=b&verbose"} {
			w := &quietWriter{header: http.Header{}}
			req := httptest.NewRequest(method, target, nil)
			if n := testing.AllocsPerRun(100, func() { r.ServeHTTP(w, req) }); n != 0 {
				t.Errorf("%s %s: %v allocations", method, target, n)
			}
		}
	}
	for _, path := range []string{"/livez", "/clients", "/", ""} {
		if n := testing.AllocsPerRun(100, func() { r.Match(path) }); n != 0 {
			t.Errorf("Match(%q): %v allocations", path, n)
		}
	}
}
