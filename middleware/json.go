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
// once streaming has begun the body is cut so that every client notices. If the
// encoder is overloaded the response is a 503 with Retry-After.
//
// It uses the guard that the request has come through, or, where a writer in
// between hides it, the one whose codec is installed. Without any it uses an
// encoder of its own with default settings, which lives as long as the process.
func JSON(c *gin.Context, code int, v any) {
	if w := watched(c.Writer); w != nil {
		w.guard.json(c, w, code, v)
	} else if g := current.Load(); g != nil {
		g.json(c, nil, code, v)
	} else {
		stray().json(c, nil, code, v)
	}
}

// JSON is the package's JSON with g's encoder.
func (g *Guard) JSON(c *gin.Context, code int, v any) {
	g.json(c, watched(c.Writer), code, v)
}

// stray serves JSON outside of any guard.
var stray = sync.OnceValue(func() *Guard {
	g, err := New()
	if err != nil {
		panic("probelane/middleware: the defaults are not valid: " + err.Error())
	}
	return g
})

func (g *Guard) json(c *gin.Context, w *writer, code int, v any) {
	h := c.Writer.Header()
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = jsonContentType
	}
	c.Status(code)
	if code >= 100 && code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		c.Writer.WriteHeaderNow()
		return
	}
	b := &body{c: c}
	returned := false
	defer func() {
		if !returned && b.begun {
			// A panic that gin.Recovery is going to swallow.
			server.Cut(c.Writer, c.Request)
		}
	}()
	if w != nil && w.ticket != nil {
		w.ticket.Built(g.held)
	}
	n, err := g.enc.Encode(c.Request.Context(), b, v)
	returned = true
	if w != nil {
		w.pooled = max(w.pooled, min(n, g.held))
	}
	if err == nil || errors.Is(err, errHead) {
		return
	}
	_ = c.Error(err)
	c.Abort()
	switch {
	case errors.Is(err, http.ErrContentLength), errors.Is(err, http.ErrHandlerTimeout):
		// Another answer has been given already, and is whole.
	case b.begun:
		server.Cut(c.Writer, c.Request)
	case errors.Is(err, encoder.ErrOverloaded), errors.Is(err, encoder.ErrClosed), c.Request.Context().Err() != nil:
		h.Del("Content-Type")
		c.Header("Retry-After", strconv.Itoa(int(g.gate.RetryAfter().Seconds())))
		c.AbortWithStatus(http.StatusServiceUnavailable)
	default:
		g.fail(c)
	}
}

var jsonContentType = []string{"application/json; charset=utf-8"}

// errHead ends the encoding of a response that has no body.
var errHead = errors.New("HEAD")

// body is a response as the encoder sees it.
type body struct {
	c     *gin.Context
	begun bool
}

// SetSize is called by the encoder before the first Write if it knows the
// length of all that will come.
func (b *body) SetSize(n int64) {
	// A writer that the app has put in between may change the length.
	if plain(b.c.Writer) && b.c.Writer.Header().Get("Content-Length") == "" {
		b.c.Writer.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
}

func (b *body) Write(p []byte) (int, error) {
	b.begun = true
	if b.c.Request.Method == http.MethodHead {
		b.c.Writer.WriteHeaderNow()
		return 0, errHead
	}
	return b.c.Writer.Write(p)
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
			case t.Elem().PkgPath() == "net/http":
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
