package benchmarks

import (
	"context"
	stdjson "encoding/json"
	"io"
	"testing"

	"github.com/bytedance/sonic"
	sonicenc "github.com/bytedance/sonic/encoder"
	goccy "github.com/goccy/go-json"
	jsoniter "github.com/json-iterator/go"
	"github.com/mailru/easyjson"
	segmentio "github.com/segmentio/encoding/json"

	"github.com/probelane/probelane/benchmarks/internal/easy"
	"github.com/probelane/probelane/benchmarks/internal/rows"
	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/examples/flood"
)

// fidelity says how an encoder's output relates to encoding/json's.
type fidelity int

const (
	// exact: set up to give encoding/json's bytes, and does for these payloads.
	exact fidelity = iota
	// inexact: other bytes for the same value, such as "<" unescaped or a map's
	// keys in any order.
	inexact
	// lossy: another value; floats are cut to six digits.
	lossy
)

// variant is one way to encode.
type variant struct {
	name     string
	fidelity fidelity
	limit    bool // shows what is possible, and is not something to deploy
	newline  bool // appends one, as json.Encoder does
	// adapt returns what the variant encodes in a payload's place, nil if it
	// cannot encode that. Without it, it is the payload.
	adapt func(v any) any
	// start returns what encodes v into out. It may be called by many
	// goroutines unless limit is set.
	start func(tb testing.TB) func(out *output, v any) error
}

// String is the variant's name in a benchmark's.
func (v variant) String() string {
	switch {
	case v.limit:
		return v.name + "-limit"
	case v.fidelity == lossy:
		return v.name + "-lossy"
	case v.fidelity == inexact:
		return v.name + "-inexact"
	}
	return v.name
}

// value is what the variant encodes of a payload, nil if it cannot.
func (v variant) value(payload any) any {
	if v.adapt == nil {
		return payload
	}
	return v.adapt(payload)
}

// variants holds every encoder in each form it has: one slice, and a stream
// into a writer. Where a peer has a setting that is exact and a faster one that
// is not, both are here.
var variants = []variant{
	{name: "encoding-json-Marshal", start: marshals(stdjson.Marshal)},
	{name: "encoding-json-Encoder", newline: true, start: encodes(func(w io.Writer) streamer { return stdjson.NewEncoder(w) })},

	{name: "sonic-Std-Marshal", start: marshals(sonic.ConfigStd.Marshal)},
	{name: "sonic-Std-Encoder", newline: true, start: encodes(func(w io.Writer) streamer { return sonic.ConfigStd.NewEncoder(w) })},
	{name: "sonic-Default-Marshal", fidelity: inexact, start: marshals(sonic.ConfigDefault.Marshal)},
	{name: "sonic-Default-Encoder", fidelity: inexact, newline: true, start: encodes(func(w io.Writer) streamer { return sonic.ConfigDefault.NewEncoder(w) })},

	{name: "goccy-Marshal", start: marshals(goccy.Marshal)},
	{name: "goccy-Encoder", newline: true, start: encodes(func(w io.Writer) streamer { return goccy.NewEncoder(w) })},
	{name: "goccy-Fastest-Marshal", fidelity: inexact, start: marshals(func(v any) ([]byte, error) {
		return goccy.MarshalWithOption(v, goccy.UnorderedMap(), goccy.DisableHTMLEscape(), goccy.DisableNormalizeUTF8())
	})},

	{name: "jsoniter-Std-Marshal", start: marshals(jsoniter.ConfigCompatibleWithStandardLibrary.Marshal)},
	{name: "jsoniter-Std-Encoder", newline: true, start: encodes(func(w io.Writer) streamer {
		return jsoniter.ConfigCompatibleWithStandardLibrary.NewEncoder(w)
	})},
	{name: "jsoniter-Fastest-Marshal", fidelity: lossy, start: marshals(jsoniter.ConfigFastest.Marshal)},

	{name: "segmentio-Marshal", start: marshals(segmentio.Marshal)},
	{name: "segmentio-Encoder", newline: true, start: encodes(func(w io.Writer) streamer { return segmentio.NewEncoder(w) })},

	{name: "easyjson-Marshal", adapt: easyClients, start: easyMarshal},
	{name: "easyjson-Encoder", adapt: easyClients, start: easyEncoder},
	{name: "easyjson-Marshal", fidelity: inexact, adapt: easyRecords, start: easyMarshal},
	{name: "easyjson-Encoder", fidelity: inexact, adapt: easyRecords, start: easyEncoder},

	{name: "probelane-Marshal", start: func(tb testing.TB) func(*output, any) error {
		e := newEncoder(tb)
		return marshals(func(v any) ([]byte, error) { return e.Marshal(context.Background(), v) })(tb)
	}},
	{name: "probelane-Encode", start: func(tb testing.TB) func(*output, any) error {
		e := newEncoder(tb)
		return func(out *output, v any) error {
			_, err := e.Encode(context.Background(), out, v)
			return err
		}
	}},

	// One buffer of the right size that is never given away, no option that
	// costs anything, and no other request: no service has this.
	{name: "sonic-EncodeInto", fidelity: inexact, limit: true, start: func(testing.TB) func(*output, any) error {
		var buf []byte
		return func(out *output, v any) error {
			buf = buf[:0]
			if err := sonicenc.EncodeInto(&buf, v, sonicenc.NoEncoderNewline); err != nil {
				return err
			}
			_, err := out.Write(buf)
			return err
		}
	}},
}

// easyjson encodes the types it has generated code for. It has the same settings
// for both: nothing makes it sort keys or write floats as encoding/json does.
var (
	easyMarshal = marshals(func(v any) ([]byte, error) { return easyjson.Marshal(v.(easyjson.Marshaler)) })
	easyEncoder = encodes(func(w io.Writer) streamer { return easyStream{w} })
)

func easyClients(v any) any {
	if c, ok := v.(*flood.Clients); ok {
		return (*easy.Clients)(c)
	}
	return nil
}

func easyRecords(v any) any {
	if r, ok := v.(*rows.Records); ok {
		return (*easy.Records)(r)
	}
	return nil
}

type easyStream struct{ w io.Writer }

func (s easyStream) Encode(v any) error {
	_, err := easyjson.MarshalToWriter(v.(easyjson.Marshaler), s.w)
	return err
}

// newEncoder returns an Encoder with default settings that ends with tb.
func newEncoder(tb testing.TB, opts ...encoder.Option) *encoder.Encoder {
	tb.Helper()
	e, err := encoder.New(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func marshals(marshal func(any) ([]byte, error)) func(testing.TB) func(*output, any) error {
	return func(testing.TB) func(*output, any) error {
		return func(out *output, v any) error {
			b, err := marshal(v)
			if err != nil {
				return err
			}
			_, err = out.Write(b)
			return err
		}
	}
}

type streamer interface{ Encode(any) error }

// encodes makes a new stream for each value, as a handler does for each
// response.
func encodes(open func(io.Writer) streamer) func(testing.TB) func(*output, any) error {
	return func(testing.TB) func(*output, any) error {
		return func(out *output, v any) error { return open(out).Encode(v) }
	}
}

// output discards what is written to it and counts it. While kept is not nil
// it keeps a copy too.
type output struct {
	n    int
	kept *[]byte
}

func (o *output) Write(p []byte) (int, error) {
	o.n += len(p)
	if o.kept != nil {
		*o.kept = append(*o.kept, p...)
	}
	return len(p), nil
}

// size encodes v and returns how many bytes that gave.
func size(encode func(*output, any) error, v any) (int, error) {
	var out output
	err := encode(&out, v)
	return out.n, err
}

// bytesOf encodes v and returns the bytes, about n of them.
func bytesOf(encode func(*output, any) error, v any, n int) ([]byte, error) {
	kept := make([]byte, 0, n+1) // one for a newline
	err := encode(&output{kept: &kept}, v)
	return kept, err
}
