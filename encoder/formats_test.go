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
		list, ok := elementsOf(v)
		if !ok {
			o := jsonEncoder(v, escapeHTML)
			o.again()
			return o.out, o.err
		}
		out := []byte{}
		for i := range list.Len() {
			o := jsonEncoder(oneOf(list, i), escapeHTML)
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

// elementsOf is the slice or array that v is or points to, if it is written as
// an array of its elements.
func elementsOf(v any) (list reflect.Value, ok bool) {
	if v == nil {
		return list, false
	}
	for list = reflect.ValueOf(v); !hasMarshaler(list.Type()); list = list.Elem() {
		switch list.Kind() {
		case reflect.Array:
			return list, true
		case reflect.Slice:
			e := list.Type().Elem()
			return list, e.Kind() != reflect.Uint8 || hasMarshaler(reflect.PointerTo(e)) // a slice of bytes is a string
		case reflect.Pointer:
			if list.IsNil() {
				return list, false
			}
		default:
			return list, false
		}
	}
	return list, false
}

func hasMarshaler(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// oneOf is a list with only the element i, which has the static type there,
// and is as addressable, as in the whole.
func oneOf(list reflect.Value, i int) any {
	if list.Kind() == reflect.Slice {
		return list.Slice(i, i+1).Interface()
	}
	one := reflect.New(reflect.ArrayOf(1, list.Type().Elem()))
	one.Elem().Index(0).Set(list.Index(i))
	if list.CanAddr() {
		return one.Interface()
	}
	return one.Elem().Interface()
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
			if g.large {
				if hurried() {
					t.Skip("takes the race detector too long, and finds nothing more")
				}
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
