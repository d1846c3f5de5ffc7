package encoder_test

import (
	"bytes"
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"testing"

	"github.com/probelane/probelane/encoder"
)

// written is what one Encode is asked for beyond its value, and how
// encoding/json does the same.
type written struct {
	name string
	opts []encoder.EncodeOption
	want func(v any) outcome
}

// formats are the ways to write a value. The first is that of Marshal.
var formats = []written{
	{"no option", nil, jsonOutcome},
	{
		"TrailingNewline",
		[]encoder.EncodeOption{encoder.TrailingNewline()},
		func(v any) outcome { return jsonEncoder(v, true) },
	},
	{
		"PlainHTML",
		[]encoder.EncodeOption{encoder.PlainHTML()},
		func(v any) outcome {
			o := jsonEncoder(v, false)
			o.out = bytes.TrimSuffix(o.out, []byte("\n"))
			return o
		},
	},
	{
		"PlainHTML and TrailingNewline",
		[]encoder.EncodeOption{encoder.TrailingNewline(), encoder.PlainHTML()},
		func(v any) outcome { return jsonEncoder(v, false) },
	},
	{
		"Lines",
		[]encoder.EncodeOption{encoder.Lines()},
		func(v any) outcome { return jsonLines(v, true) },
	},
	{
		"Lines and PlainHTML",
		[]encoder.EncodeOption{encoder.PlainHTML(), encoder.Lines()},
		func(v any) outcome { return jsonLines(v, false) },
	},
}

// jsonEncoder is what json.Encoder makes of v.
func jsonEncoder(v any, escapeHTML bool) outcome {
	return outcomeOf(func() ([]byte, error) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(escapeHTML)
		if err := e.Encode(v); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	})
}

// jsonLines is what encoding/json makes of v's elements one by one, or of v if
// it is not written as an array.
func jsonLines(v any, escapeHTML bool) outcome {
	return outcomeOf(func() ([]byte, error) {
		if !hasLines(v) {
			o := jsonEncoder(v, escapeHTML)
			o.again()
			return o.out, o.err
		}
		out := []byte{}
		for i := range reflect.ValueOf(v).Len() {
			// An array of one element writes it as the whole does: with the
			// same static type, and as addressable.
			o := jsonEncoder(oneOf(v, i), escapeHTML)
			o.again()
			if o.err != nil {
				return nil, o.err
			}
			line := bytes.TrimSuffix(o.out, []byte("\n"))
			out = append(append(out, line[1:len(line)-1]...), '\n')
		}
		return out, nil
	})
}

// again panics or exits as the outcome did.
func (o outcome) again() {
	if o.panicked != nil {
		panic(o.panicked)
	}
	if o.exited {
		runtime.Goexit()
	}
}

// hasLines reports whether v is written as an array of its elements.
func hasLines(v any) bool {
	if v == nil {
		return false
	}
	switch v.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return false
	}
	t := reflect.TypeOf(v)
	switch t.Kind() {
	case reflect.Array:
		return true
	case reflect.Slice:
		return !isByte(t.Elem())
	}
	return false
}

// isByte reports whether encoding/json writes a slice of t as a string.
func isByte(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t.Kind() == reflect.Uint8 && !p.Implements(reflect.TypeFor[json.Marshaler]()) && !p.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// oneOf is a slice or an array with only the element i of v.
func oneOf(v any, i int) any {
	list := reflect.ValueOf(v)
	if list.Kind() == reflect.Slice {
		return list.Slice(i, i+1).Interface()
	}
	one := reflect.New(reflect.ArrayOf(1, list.Type().Elem())).Elem()
	one.Index(0).Set(list.Index(i))
	return one.Interface()
}

// checkFormat compares what Encode writes of v in a format.
func (vt variant) checkFormat(t testing.TB, name string, v any, f written) bool {
	t.Helper()
	got := outcomeOf(func() ([]byte, error) {
		var w bytes.Buffer
		n, err := vt.enc.Encode(context.Background(), &w, v, f.opts...)
		if n != int64(w.Len()) {
			return nil, fmt.Errorf("Encode returned %d, but wrote %d bytes", n, w.Len())
		}
		if err != nil {
			return nil, err
		}
		return append([]byte{}, w.Bytes()...), nil
	})
	if d := diff(got, f.want(v)); d != "" {
		t.Errorf("%s: Encode with %s, %s, of %T\n%s", name, f.name, vt.name, v, d)
		return false
	}
	return true
}

// Every value is also written as json.Encoder can write it, and in lines.
func TestExactFormats(t *testing.T) {
	for _, g := range exactGroups {
		t.Run(g.name, func(t *testing.T) {
			variants := newVariants(t)
			if g.name == "large values" {
				variants = variants[1:] // leaving out the smallest quantum
			}
			for i, s := range g.samples() {
				if !*long && i%g.oneIn != 0 {
					continue
				}
				values := []sample{s}
				if g.wrapped {
					wrapped := wrap(s.value, 5)
					values = append(values, wrapped[i%min(3, len(wrapped))]) // lists and a map of it
				}
				for _, s := range values {
					for j, f := range formats[1:] {
						if hurried() && (i/g.oneIn+j)%len(formats) > 1 {
							continue
						}
						for _, vt := range variants {
							if !vt.checkFormat(t, s.name, s.value, f) {
								break
							}
						}
					}
				}
			}
		})
	}
}
