package middleware

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/internal/accept"
)

// DefaultCompressionMinimum is what WithCompression(0) leaves alone: with its
// header, what is shorter than 1 KiB fits one packet of Ethernet's 1500 bytes
// before as after.
const DefaultCompressionMinimum = 1 << 10

// WithCompression has JSON, Stream and NDJSON compress what they answer with
// zstd or gzip, whichever the client's Accept-Encoding prefers, and zstd if it
// takes both alike. Responses shorter than minimum, in bytes of JSON, are sent as
// they are; 0 means DefaultCompressionMinimum, and negative values are errors.
// Without this option nothing is compressed.
//
// It costs the processor more than the encoding does, in turns of the same
// pool, and a response about as much memory as without: a compressor in place of
// long writes. So it is for clients behind lines that are slower than that.
//
// Left alone are responses that say Content-Encoding, Content-Range or
// "Cache-Control: no-transform", and those behind a writer of another
// middleware, which may compress them itself, or read them. Gin's own c.JSON and
// c.PureJSON are not compressed.
func WithCompression(minimum int) Option {
	return func(c *config) {
		if minimum == 0 {
			minimum = DefaultCompressionMinimum
		}
		c.compressFrom = minimum
	}
}

// coding is what a response may be compressed with, and from which length on.
type coding struct {
	encoder.Compression
	from       int  // bytes of JSON
	negotiable bool // another request for the same might get another coding
}

// coding decides on the response that c is about to answer.
func (g *Guard) coding(c *gin.Context) coding {
	h := c.Writer.Header()
	if g.cfg.compressFrom == 0 || c.Request == nil || c.Writer.Written() || c.Writer.Status() == http.StatusPartialContent ||
		h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" ||
		listed(h.Values("Cache-Control"), "no-transform") || !plain(c.Writer) {
		return coding{}
	}
	best, identity := negotiate(c.Request.Header.Values("Accept-Encoding"))
	from := g.cfg.compressFrom
	if !identity {
		from = 1
	}
	return coding{best, from, true}
}

// vary tells caches that the response depends on a header of the request.
func vary(h http.Header, name string) {
	if v := h.Values("Vary"); !listed(v, name) && !listed(v, "*") {
		h.Add("Vary", name)
	}
}

// encoded makes the header that of a compressed response.
func encoded(h http.Header, c encoder.Compression) {
	h.Set("Content-Encoding", c.String())
	h.Del("Content-Length") // the handler's, of the JSON
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		// The same resource in other bytes.
		h.Set("ETag", "W/"+tag)
	}
}

// listed reports whether a header that is a list has the token.
func listed(values []string, token string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// negotiate chooses by the rules of RFC 9110, section 12.5.3, and reports
// whether the client also takes a response as it is.
func negotiate(acceptEncoding []string) (best encoder.Compression, identity bool) {
	const unnamed = -1
	zstd, gzip, asIs, rest := float64(unnamed), float64(unnamed), float64(unnamed), float64(unnamed)
	for name, q := range accept.Items(acceptEncoding) {
		switch name {
		case "zstd":
			zstd = q
		case "gzip", "x-gzip":
			gzip = q
		case "identity":
			asIs = q
		case "*":
			rest = q
		}
	}
	if zstd == unnamed {
		zstd = rest
	}
	if gzip == unnamed {
		gzip = rest
	}
	// Unless it is ruled out, no compression is always acceptable; but only who
	// names it can prefer it.
	identity = asIs > 0 || asIs == unnamed && rest != 0
	q := max(zstd, gzip)
	switch {
	case q <= 0 || asIs > q:
		return 0, identity
	case zstd == q:
		return encoder.Zstd, identity
	}
	return encoder.Gzip, identity
}
