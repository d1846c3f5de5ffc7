package encoder

import (
	"bytes"
	"encoding/json"
	"reflect"
	"unsafe"
)

// leaf appends the value of plan p at x as encoding/json encodes it, whole.
// What is longer than a quantum is copied in quanta.
func (c *cursor) leaf(dst []byte, p *plan, x unsafe.Pointer, addr bool) []byte {
	if c.err != nil {
		return dst // a marshaler behind an error is not called
	}
	if p.callsUser(x, c.quantum) && c.stopForUser() {
		return c.pause(dst, frame{at: atValue, plan: p, x: x, addr: addr})
	}
	b, err := c.std(p, x, addr)
	if err != nil {
		return c.fail(dst, err)
	}
	return c.copyRaw(dst, b)
}

func (c *cursor) copyRaw(dst, raw []byte) []byte {
	n := min(len(raw), max(c.limit-len(dst), longText))
	dst = append(dst, raw[:n]...)
	if n < len(raw) {
		return c.pause(dst, frame{at: atRaw, raw: raw[n:]})
	}
	return dst
}

// std returns what encoding/json makes of a value.
func (c *cursor) std(p *plan, x unsafe.Pointer, addr bool) ([]byte, error) {
	// The only element of a slice is addressable and has the static type, so
	// marshalers are found, and named in errors, as they are in the whole
	// value. But a slice of bytes may be a string.
	if addr && !p.isByte || p.typ.Kind() == reflect.Interface {
		h := sliceHeader{x, 1, 1}
		b, err := c.marshal(reflect.NewAt(p.slice, unsafe.Pointer(&h)).Elem().Interface())
		if err != nil {
			return nil, err
		}
		return b[1 : len(b)-1], nil
	}
	return c.marshal(reflect.NewAt(p.typ, x).Elem().Interface())
}

func (c *cursor) marshal(v any) ([]byte, error) {
	if !c.format.plainHTML {
		return json.Marshal(v)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
