package probe

import (
	"net/http"
	"strings"
)

var _ http.Handler = (*Registry)(nil)

// route is a path and the question asked there.
type route struct {
	path string
	kind Kind
}

// Header values are shared by all responses. Each has no spare capacity, so
// that Header.Add on a response copies it instead of writing to it.
var (
	textPlain = []string{"text/plain; charset=utf-8"}
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
	getOrHead = []string{"GET, HEAD"}
)

var notAllowed = newAnswer(http.StatusMethodNotAllowed, "method not allowed: use GET or HEAD\n")

// Match tells whether ServeHTTP would answer this path (the URL's decoded
// path, matched exactly). It is meant to be asked for every request of a
// service: a few nanoseconds, no allocation.
func (r *Registry) Match(path string) bool {
	_, ok := r.match(path)
	return ok
}

// match goes through the list, because for a handful of paths comparing
// lengths, which settles most, is faster than hashing.
func (r *Registry) match(path string) (Kind, bool) {
	for _, route := range *r.routes.Load() {
		if route.path == path {
			return route.kind, true
		}
	}
	return 0, false
}

// ServeHTTP answers a probe with 200 or 503 from what the checks last said.
// It runs no check and allocates nothing, except that the first probe after a
// result has turned stale makes the new answers. "?verbose" lists every check,
// as kube-apiserver does; otherwise the body is "ok" or the names of the
// failing checks. Methods other than GET and HEAD get 405, paths that are not
// served 404.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, ok := r.match(req.URL.Path)
	if !ok {
		http.NotFound(w, req)
		return
	}
	h := w.Header()
	a := &notAllowed
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		h["Allow"] = getOrHead
	case wantsVerbose(req.URL.RawQuery):
		a = &r.current().verbose[kind]
	default:
		a = &r.current().brief[kind]
	}
	h["Content-Type"] = textPlain
	h["Content-Length"] = a.length
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	w.WriteHeader(a.status)
	if req.Method != http.MethodHead {
		// An error means that the prober has left; there is no one to tell.
		_, _ = w.Write(a.body)
	}
}

// Wrap returns a handler that answers the probes itself and passes all other
// requests to next.
func (r *Registry) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.Match(req.URL.Path) {
			r.ServeHTTP(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// wantsVerbose looks for the key "verbose", with or without a value. It stands
// in for url.ParseQuery, which builds a map.
func wantsVerbose(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, _, _ := strings.Cut(pair, "="); key == "verbose" {
			return true
		}
	}
	return false
}
