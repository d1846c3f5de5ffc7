package probe

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	runChild()
	goleak.VerifyTestMain(m)
}

// started returns a running registry that is closed when the test ends.
func started(t *testing.T, opts ...Option) *Registry {
	t.Helper()
	r := made(t, opts...)
	r.Start()
	t.Cleanup(func() { closeNow(t, r) })
	return r
}

func made(t testing.TB, opts ...Option) *Registry {
	t.Helper()
	r, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// passing returns a registry whose checks have all passed just now, without
// goroutines: for figures that nothing else may disturb.
func passing(t testing.TB, opts ...Option) *Registry {
	t.Helper()
	r := made(t, opts...)
	for _, c := range r.checks {
		r.report(c, result{at: time.Now()})
	}
	return r
}

func closeNow(t testing.TB, r *Registry) {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func get(r *Registry, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func wantStatus(t *testing.T, r *Registry, path string, want int) {
	t.Helper()
	if w := get(r, path); w.Code != want {
		t.Errorf("%s = %d, want %d; body:\n%s", path, w.Code, want, w.Body)
	}
}

func statusOf(t *testing.T, r *Registry, name string) CheckStatus {
	t.Helper()
	for _, c := range r.Status().Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check is named %q", name)
	return CheckStatus{}
}

func pass(context.Context) error { return nil }

// discard is a server's log that nobody reads.
var discard = log.New(io.Discard, "", 0)
