package probe

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

var _ http.Handler = (*Registry)(nil)

// route is a path and the question asked there. Each check that counts has a
// path of its own below it.
type route struct {
	path    string
	kind    Kind
	closed  bool     // nothing below it is served
	without []string // checks whose own paths are not served
}

// below tells whether the path of a check, by its name, is served.
func (rt *route) below(name string) bool {
	return !rt.closed && !slices.Contains(rt.without, name)
}

// newRoutes lists the longest first: a path that was given goes before that of
// a check.
func newRoutes(paths [kinds][]string) []route {
	var routes []route
	for kind, paths := range paths {
		for _, path := range paths {
			routes = append(routes, route{path: path, kind: Kind(kind), closed: strings.HasSuffix(path, "/")})
		}
	}
	slices.SortStableFunc(routes, func(a, b route) int { return len(b.path) - len(a.path) })
	return routes
}

// Header values; see contentTypes.
var (
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
	getOrHead = []string{"GET, HEAD"}
)

var (
	notAllowed   = newAnswer(http.StatusMethodNotAllowed, []byte("method not allowed: use GET or HEAD\n"))
	queryTooLong = newAnswer(http.StatusRequestURITooLong, fmt.Appendf(nil, "query too long: use at most %d bytes\n", maxQuery))
)

// Match tells whether ServeHTTP would answer this path (the URL's decoded
// path, matched exactly). It is meant to be asked for every request of a
// service: a few nanoseconds, no allocation.
func (r *Registry) Match(path string) bool {
	if len(path) > 1 && !r.second.has(path[1]) {
		return false // most requests that are no probe, and nearly free
	}
	_, _, ok := r.match(path, nil)
	return ok
}

// byteSet is a set of bytes.
type byteSet [256 / 64]uint64

func (s *byteSet) has(b byte) bool { return s[b/64]&(1<<(b%64)) != 0 }
func (s *byteSet) add(b byte)      { s[b/64] |= 1 << (b % 64) }

// secondBytes are those that follow the first slash of the routes' paths and
// of the paths below them.
func secondBytes(routes []route) (s byteSet) {
	for _, rt := range routes {
		if len(rt.path) > 1 {
			s.add(rt.path[1])
		}
	}
	return s
}

// match finds what is asked at a path: an endpoint or, if the entry is not nil,
// one of its checks, as they are in a; nil stands for the answers of now.
//
// It goes through the list, because for a handful of paths comparing lengths
// and one byte, which settles most, is faster than hashing.
func (r *Registry) match(path string, a *answers) (Kind, *entry, bool) {
	routes := *r.routes.Load()
	for i := range routes {
		rt := &routes[i]
		n := len(rt.path)
		if len(path) == n && path == rt.path {
			return rt.kind, nil, true
		}
		if len(path) > n && path[n] == '/' && path[:n] == rt.path {
			if a == nil {
				a = r.published.Load()
			}
			name := path[n+1:]
			if e := a.find(rt.kind, name); e != nil && rt.below(name) {
				return rt.kind, e, true
			}
		}
	}
	return 0, nil, false
}

// ServeHTTP answers a probe from what the checks last said: with 200 or 503,
// or as [WithStatuses] has it. It runs no check.
//
// Without a query the body is "ok", or the list of the checks if the endpoint
// fails; "?verbose" always lists them, and "?exclude=NAME", any number of times,
// answers as if a check did not count. All of this is as kube-apiserver has it,
// but for the default status of a failure. The path of an endpoint followed by
// "/NAME" is about one check alone and looks at neither.
//
// A client that prefers application/json or application/health+json to
// text/plain by its Accept header, or says "?format=json" or "?format=health",
// gets the list as JSON; "?format=text" is text. There is no Vary, since no
// answer may be stored.
//
// Methods other than GET and HEAD get 405, queries of more than 2 KiB 414,
// paths that are not served 404.
//
// Text is answered without an allocation, except that the first probe after a
// result has turned stale makes the new answers. Only exclude, and JSON about
// one check, make an answer for the request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	all := r.current()
	kind, check, ok := r.match(req.URL.Path, all)
	if !ok {
		http.NotFound(w, req)
		return
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header()["Allow"] = getOrHead
		send(w, req, text, &notAllowed)
		return
	}
	q, ok := parseQuery(req.URL.RawQuery)
	if !ok {
		send(w, req, text, &queryTooLong)
		return
	}
	if q.format == byAccept {
		q.format = negotiate(req.Header["Accept"])
	}
	switch {
	case check != nil && q.format == text:
		send(w, req, text, &check.alone)
	case check != nil:
		p := page{kind: kind, entries: []entry{*check}}
		send(w, req, q.format, new(newAnswer(check.alone.status, p.json())))
	case q.exclude != nil:
		send(w, req, q.format, r.excluding(all, kind, &q))
	case q.format != text:
		send(w, req, q.format, &all.json[kind])
	case q.verbose:
		send(w, req, text, &all.verbose[kind])
	default:
		send(w, req, text, &all.brief[kind])
	}
}

// excluding makes the answer of an endpoint to a request that excludes checks.
func (r *Registry) excluding(all *answers, kind Kind, q *query) *answer {
	p := page{kind: kind, entries: all.entries}
	p.exclude(all.index, q.exclude)
	state := p.state()
	body := okBody
	switch {
	case q.format != text:
		body = p.json()
	case q.verbose || state == Fail:
		body = p.text()
	}
	return new(newAnswer(r.style.status(state), body))
}

func send(w http.ResponseWriter, req *http.Request, f format, a *answer) {
	h := w.Header()
	h["Content-Type"] = contentTypes[f]
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
