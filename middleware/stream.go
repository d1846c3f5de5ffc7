package middleware

import (
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/internal/accept"
)

// Stream is JSON for what is produced while it is sent: an iter.Seq[T], an
// iter.Seq2[T, error], encoder.Rows or encoder.RowsErr of one, which are faster,
// or a struct with one of these as a field. Any other value will do as well.
//
// A client whose Accept prefers application/x-ndjson to application/json, or
// names both alike, gets each element on a line of its own (newline-delimited
// JSON, also asked for as application/ndjson, application/jsonl or
// application/x-jsonlines). All others get one array. What is not a list is a
// single line, an envelope with its sequence too. The response says "Vary:
// Accept".
//
// The sequence runs within the call, so that it may use c, except for what
// writes the response, and may rely on what the handler closes by a defer. Rows
// that come quickly are collected: up to the encoder's hold for a first write,
// with a Content-Length if that is all. But a row that comes more than a tenth
// of a second after what is still unsent goes out at once with all before it,
// and so do the next ones, in pieces that proxies may have to be told not to
// buffer.
//
// An error from the sequence is a 500 as long as nothing has been sent, and is
// on c.Errors; later the body is cut so that every client notices. A client
// that leaves ends the sequence when it produces its next row, or within a
// quantum of quick ones; let it watch c.Request.Context() if a row may take
// long. For a HEAD it is left at the first write. Where the status has no body
// it is not begun.
func Stream(c *gin.Context, code int, v any) {
	g, w := serving(c)
	g.negotiated(c, w, code, v)
}

// Stream is the package's Stream with g's encoder.
func (g *Guard) Stream(c *gin.Context, code int, v any) {
	g.negotiated(c, watched(c.Writer), code, v)
}

// NDJSON is Stream for lines alone, whatever the client accepts. The type is
// application/x-ndjson, unless the handler has set another.
func NDJSON(c *gin.Context, code int, v any) {
	g, w := serving(c)
	g.lines(c, w, code, v)
}

// NDJSON is the package's NDJSON with g's encoder.
func (g *Guard) NDJSON(c *gin.Context, code int, v any) {
	g.lines(c, watched(c.Writer), code, v)
}

func (g *Guard) negotiated(c *gin.Context, w *writer, code int, v any) {
	h := c.Writer.Header()
	vary(h, "Accept")
	var accepts []string
	if c.Request != nil { // in a test of a handler
		accepts = c.Request.Header.Values("Accept")
	}
	if name := linesType(accepts); name != "" {
		h.Set("Content-Type", name)
		g.lines(c, w, code, v)
		return
	}
	g.json(c, w, code, v)
}

func (g *Guard) lines(c *gin.Context, w *writer, code int, v any) {
	if h := c.Writer.Header(); len(h["Content-Type"]) == 0 {
		h.Set("Content-Type", linesTypes[0])
	}
	g.json(c, w, code, v, encoder.Lines())
}

// linesTypes are the names that newline-delimited JSON goes by. None of them
// is registered.
var linesTypes = []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}

// linesType returns the name by which a client prefers lines, and nothing if it
// prefers JSON. Weights are those of RFC 9110, section 12.5.1: what names a type
// goes before what covers it. Only who names lines knows them; "*/*" is what
// every client says.
func linesType(accepts []string) string {
	const unnamed = -1
	name, lines := "", 0.0
	array, application, all := float64(unnamed), float64(unnamed), 0.0
	for typ, q := range accept.Items(accepts) {
		switch {
		case typ == "application/json":
			array = q
		case typ == "application/*":
			application = q
		case typ == "*/*":
			all = q
		case slices.Contains(linesTypes, typ) && q > lines:
			name, lines = typ, q
		}
	}
	if array == unnamed {
		array = application
	}
	if array == unnamed {
		array = all
	}
	if array > lines {
		return ""
	}
	return name
}
