package probe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a stranger may cost per request. Most of it is for names to exclude:
// the longest query has room for 228 of them.
const (
	mostAllocations = 300
	mostBytes       = 32 << 10 // of an answer
)

// FuzzRequest sends what strangers send and compares the answer with that of
// a model that takes no care to be fast: net/url and kube-apiserver's rules.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/livez", "/readyz", "/readyz/db", "/readyz/", "/readyz/db/", "/x"} {
		for _, query := range []string{
			"", "verbose", "exclude=db", "verbose&exclude=db&exclude=cache", "exclude=x&exclude=y&verbose", "exclude=%64b",
			"format=json", "format=health&exclude=db&exclude=a%00%ff%22", "exclude;verbose", "exclude=%zz&verbose",
			strings.Repeat("exclude=a&", maxQuery/10), strings.Repeat("exclude=%ff&", maxQuery/12), strings.Repeat("&", maxQuery+1),
		} {
			f.Add(path, query, "*/*")
		}
	}
	for _, accept := range []string{"", "application/json", "application/health+json;q=0.5, text/plain;q=0.2", "*/*;q=0", strings.Repeat(",", maxAccept)} {
		f.Add("/readyz", "verbose", accept)
	}
	r := made(f, WithReadiness("db", pass), WithReadiness("cache", pass), WithLiveness("loop", pass))
	for _, c := range r.checks {
		if c.name != "db" {
			r.report(c, result{at: time.Now()})
		}
		c.freshUntil = never
	}
	r.publish()
	f.Fuzz(func(t *testing.T, path, query, accept string) {
		req := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Accept": {accept}}}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if got := r.Match(path); got != (w.Code != http.StatusNotFound) {
			t.Errorf("Match(%q) = %v, status %d", path, got, w.Code)
		}
		if w.Body.Len() > mostBytes {
			t.Errorf("%d bytes", w.Body.Len())
		}
		if status, body, ok := model(path, query); ok && w.Header().Get("Content-Type") == contentTypes[text][0] {
			if w.Code != status || w.Body.String() != body {
				t.Errorf("%q?%q: %d\n%s\nwant %d\n%s", path, query, w.Code, w.Body, status, body)
			}
		}
		quiet := &quietWriter{header: http.Header{}}
		if n := testing.AllocsPerRun(1, func() { r.ServeHTTP(quiet, req) }); n > mostAllocations {
			t.Errorf("%v allocations for a query of %d bytes", n, len(query))
		}
	})
}

// model says what the registry of FuzzRequest answers as text to queries whose
// keys are written without escapes.
func model(path, query string) (status int, body string, ok bool) {
	checks := map[string][]string{"/livez": {"ping", "loop"}, "/readyz": {"ping", "shutdown", "db", "cache"}}[path]
	if checks == nil || len(query) > maxQuery {
		return 0, "", false
	}
	for pair := range strings.SplitSeq(query, "&") {
		if key, _, _ := strings.Cut(pair, "="); strings.ContainsAny(key, "%+") {
			return 0, "", false
		}
	}
	values, _ := url.ParseQuery(query) // what is malformed is left out
	failed := false
	var unknown []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(values["exclude"]))) {
		if !slices.Contains(checks, name) {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
	}
	for _, name := range checks {
		switch {
		case slices.Contains(values["exclude"], name):
			body += "[+]" + name + " excluded: ok\n"
		case name == "db":
			body += "[-]db failed: reason withheld\n"
			failed = true
		default:
			body += "[+]" + name + " ok\n"
		}
	}
	if len(unknown) > 0 {
		body += "warn: some health checks cannot be excluded: no matches for " + strings.Join(unknown, ",") + "\n"
	}
	switch {
	case failed:
		return http.StatusServiceUnavailable, body + path[1:] + " check failed\n", true
	case values.Has("verbose"):
		return http.StatusOK, body + path[1:] + " check passed\n", true
	}
	return http.StatusOK, "ok", true
}
