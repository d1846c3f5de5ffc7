package middleware

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/internal/server"
)

// JSON is c.JSON for responses of any size: the bytes are the same, but they
// are written as they are encoded, so that a large response takes about a
// megabyte of memory. A response that is complete within the encoder's hold
// has a Content-Length; a longer one is chunked.
//
// If v cannot be encoded the response is a 500, and the error is on c.Errors;
// once the response has begun it is cut so that every client notices. If the
// encoder is overloaded the response is a 503 with Retry-After. Both are empty
// unless the app still answers something else itself.
//
// It uses the guard that the request has come through, or, where a writer in
// between hides it, the one whose codec is installed. Without any it uses an
// encoder of its own with default settings, which lives as long as the process.
func JSON(c *gin.Context, code int, v any) {
	g, w := serving(c)
	g.json(c, w, code, v)
}

// serving returns the guard that answers c, and its writer if c has come
// through it.
func serving(c *gin.Context) (*Guard, *writer) {
	if w := watched(c.Writer); w != nil {
		return w.guard, w
	}
	if g := current.Load(); g != nil {
		return g, nil
	}
	return stray(), nil
}

// JSON is the package's JSON with g's encoder.
func (g *Guard) JSON(c *gin.Context, code int, v any) {
	g.json(c, watched(c.Writer), code, v)
}

// stray serves JSON outside of any guard.
var stray = sync.OnceValue(standard)

func (g *Guard) json(c *gin.Context, w *writer, code int, v any, opts ...encoder.EncodeOption) {
	if h := c.Writer.Header(); len(h["Content-Type"]) == 0 {
		h["Content-Type"] = jsonContentType
	}
	c.Status(code)
	coding := g.coding(c)
	if code >= 100 && code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		if code == http.StatusNotModified && coding.negotiable {
			vary(c.Writer.Header(), "Accept-Encoding") // as the 200 would
		}
		c.Writer.WriteHeaderNow()
		return
	}
	r := c.Request
	if r == nil {
		r = new(http.Request) // in a test of a handler
	}
	if err := g.stream(&body{w: c.Writer, r: r, watched: w, coding: coding, sized: true, size: -1}, w, v, opts...); err != nil {
		_ = c.Error(err)
		c.Abort()
	}
}

var jsonContentType = []string{"application/json; charset=utf-8"}

// stream encodes v into b, a response that may have come through w. After an
// error there is either no response yet, and its status is set, or what there
// is of it has been cut.
func (g *Guard) stream(b *body, w *writer, v any, opts ...encoder.EncodeOption) error {
	returned := false
	defer func() {
		if !returned && b.begun {
			// A panic that gin.Recovery is going to swallow.
			server.Cut(b.w, b.r)
		}
	}()
	if w != nil && w.ticket != nil {
		w.ticket.Built(g.held)
	}
	n, err := g.enc.Encode(b.r.Context(), b, v, append(opts, b.options()...)...)
	returned = true
	if w != nil && !b.slow {
		w.pooled = max(w.pooled, min(max(n, b.json), g.held))
	}
	switch {
	case errors.Is(err, errHead):
		return nil
	case err == nil:
	case errors.Is(err, http.ErrContentLength), errors.Is(err, http.ErrBodyNotAllowed), errors.Is(err, http.ErrHandlerTimeout), errors.Is(err, http.ErrHijacked):
		// Another answer has been given already, and is whole.
	case b.begun || b.w.Written() && !b.more:
		server.Cut(b.w, b.r)
	case errors.Is(err, encoder.ErrOverloaded), errors.Is(err, encoder.ErrClosed), b.r.Context().Err() != nil:
		b.w.Header().Set("Retry-After", strconv.Itoa(int(g.gate.RetryAfter().Seconds())))
		instead(b.w, http.StatusServiceUnavailable)
	default:
		instead(b.w, http.StatusInternalServerError)
	}
	return err
}

// instead has w answer with status in place of what its headers were set for.
// Nothing is sent yet: the app may still add a body to it.
func instead(w http.ResponseWriter, status int) {
	// These may be wrong for an error: a length breaks the response, and a
	// cache would keep it. net/http clears the same when it cannot serve a file.
	for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "Etag", "Last-Modified"} {
		w.Header().Del(name)
	}
	if plain(w) {
		w.Header().Del("Content-Encoding") // otherwise a writer's that goes on compressing
	}
	w.WriteHeader(status)
}

// errHead ends the encoding of a response that has no body.
var errHead = errors.New("HEAD")

// body is a response as the encoder sees it.
type body struct {
	w          gin.ResponseWriter
	r          *http.Request
	watched    *writer // nil without a guard
	coding     coding
	sized      bool  // may have a Content-Length
	more       bool  // follows on what the app has been told is fine
	size       int64 // of all that will be written; negative until it is known
	json       int64 // bytes that were compressed
	compressed bool
	begun      bool
	slow       bool // rows have been sent before they were many
}

// options are what the encoder is asked for. Nothing is compressed for a HEAD.
func (b *body) options() []encoder.EncodeOption {
	if b.coding.Compression == 0 || b.r.Method == http.MethodHead {
		return nil
	}
	return []encoder.EncodeOption{encoder.Compressed(b.coding.Compression, b.coding.from)}
}

// Compressed is called by the encoder before the first Write and with each
// piece of what it has compressed.
func (b *body) Compressed(json int64) {
	b.compressed, b.json = true, json
	if b.watched != nil {
		b.watched.compressed(json)
	}
}

// SetSize is called by the encoder before the first Write if it knows the
// length of all that will come.
func (b *body) SetSize(n int64) { b.size = n }

func (b *body) Write(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.head()
	}
	n, err := b.w.Write(p)
	if err == nil && b.r.Method == http.MethodHead {
		err = errHead // net/http has dropped p, and the rest need not be made
	}
	return n, err
}

// Flush is called by the encoder when rows should not wait any longer.
func (b *body) Flush() {
	b.slow = true
	if b.watched != nil && b.watched.ticket != nil {
		b.watched.ticket.Trickles()
	}
	b.w.Flush()
}

// head completes the header. Until the first Write the response might have
// become an error.
func (b *body) head() {
	h := b.w.Header()
	if b.coding.negotiable {
		vary(h, "Accept-Encoding")
	}
	if b.r.Method == http.MethodHead && b.coding.Compression != 0 && (b.size < 0 || b.size >= int64(b.coding.from)) {
		// As for a GET, but how long that is compressed nobody knows.
		b.compressed, b.size = true, -1
	}
	if b.compressed {
		encoded(h, b.coding.Compression)
	}
	// A writer that the app has put in between may change the length, and a
	// response that has one has no trailers.
	if b.size >= 0 && b.sized && plain(b.w) && h.Get("Content-Length") == "" && h.Get("Trailer") == "" {
		h.Set("Content-Length", strconv.FormatInt(b.size, 10))
	}
}

// transparent are the packages whose writers pass on what they are given.
var transparent = map[string]bool{
	"github.com/gin-gonic/gin":                       true,
	"github.com/probelane/probelane/internal/server": true,
}

// plain reports whether nobody but gin, a guard and net/http stands between w
// and the client.
func plain(w http.ResponseWriter) bool {
	for {
		if _, ours := w.(*writer); !ours {
			switch t := reflect.TypeOf(w); {
			case t.Kind() != reflect.Pointer:
				return false
			case t.Elem().PkgPath() == "net/http", t.Elem().PkgPath() == "net/http/httptest":
				return true
			case !transparent[t.Elem().PkgPath()]:
				return false
			}
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}
