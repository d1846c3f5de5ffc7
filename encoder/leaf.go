package encoder

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"unsafe"

	"github.com/bytedance/sonic/encoder"
)

// scratch is what sonic encodes into before HTML is escaped: with
// ValidateString it reworks the whole buffer it is given, so the buffer has to
// be empty at every call. Scratches belong to whoever runs a quantum, not to
// a response.
var scratches = sync.Pool{New: func() any { b := make([]byte, 0, minBuffer); return &b }}

// minBuffer is what a pooled buffer begins with. Most values are small, and
// each buffer grows to what it is used for.
const minBuffer = 4 << 10

// appendLeaf appends the value of plan p at x, whole.
func appendLeaf(dst []byte, p *plan, x unsafe.Pointer, addr bool, tr traits) ([]byte, error) {
	if tr&needsStd == 0 {
		b, ok := appendSonic(dst, reflect.NewAt(p.typ, x).Interface(), false)
		if ok {
			return b, nil
		}
	}
	plainByte := p.typ.Kind() == reflect.Uint8 && p.traits&addressable == 0 // a slice of them is a string
	if addr && !plainByte || p.typ.Kind() == reflect.Interface {
		// The only element of a slice is addressable and has the static type,
		// so marshalers are found, and named in errors, as they are in the
		// whole value.
		h := sliceHeader{x, 1, 1}
		return appendStd(dst, reflect.NewAt(p.slice, unsafe.Pointer(&h)).Elem().Interface(), true)
	}
	return appendStd(dst, reflect.NewAt(p.typ, x).Elem().Interface(), false)
}

// appendRun appends elements of plan p at x, without brackets.
func appendRun(dst []byte, p *plan, run *sliceHeader, tr traits) ([]byte, error) {
	v := reflect.NewAt(p.slice, unsafe.Pointer(run))
	if tr&needsStd == 0 {
		if b, ok := appendSonic(dst, v.Interface(), true); ok {
			return b, nil
		}
	}
	return appendStd(dst, v.Elem().Interface(), true)
}

// appendSonic appends what sonic makes of v, which has to be a pointer, and
// reports whether that is what encoding/json would write. Where it reports
// false nothing was appended.
func appendSonic(dst []byte, v any, strip bool) ([]byte, bool) {
	scratch := scratches.Get().(*[]byte)
	*scratch = (*scratch)[:0]
	defer func() {
		if cap(*scratch) <= maxScratch {
			scratches.Put(scratch)
		}
	}()
	if err := encoder.EncodeInto(scratch, v, sonicOptions); err != nil {
		return dst, false
	}
	// Where sonic has no code of its own it adds a newline all the same.
	buf := bytes.TrimSuffix(*scratch, []byte("\n"))
	if controlEscapes(buf) {
		return dst, false
	}
	if strip {
		buf = unbracket(buf)
	}
	return escapeHTML(dst, buf), true
}

// escapePadding is what sonic's HTMLEscape wants beyond the length of its
// source. Where it has to make room itself it forgets what dst holds already,
// and panics.
const escapePadding = 64

func escapeHTML(dst, src []byte) []byte {
	return encoder.HTMLEscape(slices.Grow(dst, len(src)+escapePadding), src)
}

// maxScratch bounds what the pool of scratches keeps: a single string or byte
// slice may be of any size.
const maxScratch = 16 * DefaultQuantum

// controlEscapes reports whether sonic has written a backspace or a form feed,
// for which encoding/json has shorter names. A backslash is rare enough in
// most texts to be looked for first.
func controlEscapes(b []byte) bool {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return false
	}
	b = b[i:]
	return bytes.Contains(b, []byte(`\u0008`)) || bytes.Contains(b, []byte(`\u000c`))
}

// appendStd appends what encoding/json makes of v.
func appendStd(dst []byte, v any, strip bool) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	if strip {
		b = unbracket(b)
	}
	return append(dst, b...), nil
}

func unbracket(b []byte) []byte { return b[1 : len(b)-1] }
