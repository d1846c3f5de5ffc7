package probe

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestQueries(t *testing.T) {
	tests := []struct {
		query   string
		verbose bool
	}{
		{"", false},
		{"verbose", true},
		{"verbose=", true},
		{"verbose=false", true}, // as in kube-apiserver: the key alone decides
		{"verbose=a=b", true},
		{"a=b&verbose", true},
		{"verbose&a=b", true},
		{"&&verbose&&", true},
		{"verbosely", false},
		{"a=verbose", false},
		{"Verbose", false},
		{"verbose=%zz", false}, // malformed, so it does not count
		{"verbose=;", false},
		{"verbose;a", false},
		{"%zz&=&;", false},
		{strings.Repeat("a&", maxQuery/2), false},
		{strings.Repeat("&", maxQuery-7) + "verbose", true},
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

func TestQueriesThatAreTooLong(t *testing.T) {
	r := made(t)
	for _, query := range []string{
		strings.Repeat("a", maxQuery+1),
		"verbose&" + strings.Repeat("exclude=x&", maxQuery),
		strings.Repeat("&", 1<<20),
	} {
		w := get(r, "/livez?"+query)
		if want := "query too long: use at most 2048 bytes\n"; w.Code != 414 || w.Body.String() != want {
			t.Errorf("%d %q, want 414 %q", w.Code, w.Body, want)
		}
	}
}
