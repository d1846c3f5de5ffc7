package middleware

import (
	"context"
	"io"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"

	"github.com/probelane/probelane/encoder"
)

// codec puts a guard's encoder behind gin: Marshal serves c.JSON, c.SecureJSON,
// c.JSONP, c.AsciiJSON and the JSON of gin.Error, NewEncoder serves c.PureJSON.
// The rest is left to the codec that gin has brought: what reads JSON, and
// MarshalIndent, which serves c.IndentedJSON.
type codec struct {
	ginjson.Core
	guard  *Guard
	before ginjson.Core // what was installed until then
}

var _ ginjson.Core = (*codec)(nil)

// Marshal never sheds: it has neither a response to refuse nor a context to
// watch. It encodes on the handler's goroutine, in quanta that give way.
func (c *codec) Marshal(v any) ([]byte, error) {
	b, err := c.guard.enc.MarshalInline(context.Background(), v)
	failures.note(err)
	return b, err
}

// MarshalIndent only watches for errors.
func (c *codec) MarshalIndent(v any, prefix, indent string) ([]byte, error) {
	b, err := c.Core.MarshalIndent(v, prefix, indent)
	failures.note(err)
	return b, err
}

// NewEncoder returns an encoder that streams, if w is a response.
func (c *codec) NewEncoder(w io.Writer) ginjson.Encoder {
	former := c.Core.NewEncoder(w)
	if w, ok := w.(gin.ResponseWriter); ok {
		return &responseEncoder{w: w, guard: c.guard, former: former}
	}
	return former
}

// responseEncoder is a json.Encoder whose values are responses, or parts of
// one: there is no telling whether another follows, so that none is given a
// Content-Length.
type responseEncoder struct {
	w        gin.ResponseWriter
	guard    *Guard
	former   ginjson.Encoder
	plain    bool  // HTML is not escaped
	indented bool  // the former encoder has been told to indent
	more     bool  // one value has been written already
	err      error // of an Encode that has written: the last one, as in json.Encoder
}

// SetEscapeHTML tells whether <, > and & in strings are escaped, which they are
// unless it is called.
func (e *responseEncoder) SetEscapeHTML(on bool) {
	e.plain = !on
	e.former.SetEscapeHTML(on)
}

// SetIndent is not in gin's interface, but all of gin's own codecs have it. The
// former encoder serves what is to be indented.
func (e *responseEncoder) SetIndent(prefix, indent string) {
	if former, ok := e.former.(interface{ SetIndent(prefix, indent string) }); ok {
		former.SetIndent(prefix, indent)
		e.indented = prefix != "" || indent != ""
	}
}

// Encode writes v and a newline. In a request that has come through a guard it
// streams, and an error ends the response as one of JSON does. gin adds the
// error to c.Errors and aborts.
//
// A writer that hides the guard's from us hides the request as well. Its
// response could not be cut if v turned out to be wrong halfway, so it is made
// as a whole before it is written, in quanta on this goroutine, like that of
// c.JSON.
func (e *responseEncoder) Encode(v any) error {
	if e.indented {
		return e.former.Encode(v)
	}
	if e.err != nil {
		return e.err
	}
	opts := []encoder.EncodeOption{encoder.TrailingNewline()}
	if e.plain {
		opts = append(opts, encoder.PlainHTML())
	}
	if w := watched(e.w); w != nil {
		b := &body{w: e.w, r: w.request(), more: e.more}
		err := w.guard.stream(b, w, v, opts...)
		if b.begun {
			e.more, e.err = true, err
		}
		return err
	}
	all, err := e.guard.enc.MarshalInline(context.Background(), v, opts...)
	if err != nil {
		failures.note(err)
		return err
	}
	_, e.err = e.w.Write(all)
	return e.err
}
