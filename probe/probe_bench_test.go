package probe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkServe is the handler's part of a probe. "usual" is the handler that
// most services write by hand, for comparison.
func BenchmarkServe(b *testing.B) {
	checked := passing(b, WithReadiness("db", pass, Interval(time.Hour)),
		WithReadiness("queue", pass, Interval(time.Hour)))
	usual := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("ok\n"))
	})
	for _, bm := range []struct {
		name    string
		handler http.Handler
		target  string
	}{
		{"usual", usual, "/readyz"},
		{"no-checks", made(b), "/readyz"},
		{"two-checks", checked, "/readyz"},
		{"two-checks-verbose", checked, "/readyz?verbose"},
		{"two-checks-json", checked, "/readyz?format=json"},
		{"two-checks-exclude", checked, "/readyz?exclude=db"},
		{"one-check", checked, "/readyz/db"},
		{"costliest-query", checked, "/livez?" + costliest()},
	} {
		b.Run(bm.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			w := &quietWriter{header: http.Header{}}
			req := httptest.NewRequest(http.MethodGet, bm.target, nil)
			for b.Loop() {
				w.status = 0
				bm.handler.ServeHTTP(w, req)
				if w.status != http.StatusOK || len(w.body) < len("ok") {
					b.Fatalf("%d %q", w.status, w.body)
				}
			}
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &quietWriter{header: http.Header{}}
				req := httptest.NewRequest(http.MethodGet, bm.target, nil)
				for pb.Next() {
					w.status = 0
					bm.handler.ServeHTTP(w, req)
					if w.status != http.StatusOK || len(w.body) < len("ok") {
						b.Errorf("%d %q", w.status, w.body)
						return
					}
				}
			})
		})
	}
}

// costliest is as many names to exclude as a query has room for, each of its
// own, unknown, and to be quoted.
func costliest() string {
	query := "verbose"
	for i := 255; ; i-- {
		name := fmt.Sprintf("&exclude=%%%02x", i)
		if len(query)+len(name) > maxQuery {
			return query
		}
		query += name
	}
}

// BenchmarkMatch is what every request that is no probe pays.
func BenchmarkMatch(b *testing.B) {
	r := made(b, WithReadiness("db", pass))
	for _, bm := range []struct {
		name string
		path string
		want bool
	}{
		{"probe", "/healthz", true},
		{"check", "/readyz/db", true},
		{"other", "/api/v1/clients", false},
		{"other-of-the-same-length", "/clients", false},
		{"other-with-a-slash-there", "/users/12345678", false},
	} {
		b.Run(bm.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r.Match(bm.path) != bm.want {
					b.Fatal("wrong")
				}
			}
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if r.Match(bm.path) != bm.want {
						b.Error("wrong")
						return
					}
				}
			})
		})
	}
}
