package encoder

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// value appends the value of plan p at x. If the quantum fills on the way it
// returns early, and frames say what is left.
func (c *cursor) value(dst []byte, p *plan, x unsafe.Pointer, addr bool) []byte {
	for hops := 0; ; hops++ {
		switch p.op {
		case opBool:
			return strconv.AppendBool(dst, *(*bool)(x))
		case opInt:
			return appendInt(dst, int64(*(*int)(x)))
		case opInt8:
			return appendInt(dst, int64(*(*int8)(x)))
		case opInt16:
			return appendInt(dst, int64(*(*int16)(x)))
		case opInt32:
			return appendInt(dst, int64(*(*int32)(x)))
		case opInt64:
			return appendInt(dst, *(*int64)(x))
		case opUint:
			return appendUint(dst, uint64(*(*uint)(x)))
		case opUint8:
			return appendUint(dst, uint64(*(*uint8)(x)))
		case opUint16:
			return appendUint(dst, uint64(*(*uint16)(x)))
		case opUint32:
			return appendUint(dst, uint64(*(*uint32)(x)))
		case opUint64:
			return appendUint(dst, *(*uint64)(x))
		case opUintptr:
			return appendUint(dst, uint64(*(*uintptr)(x)))
		case opFloat32:
			if f := *(*float32)(x); f-f == 0 { // neither infinite nor no number
				return appendFloat32(dst, f)
			}
			return c.leaf(dst, p, x, addr)
		case opFloat64:
			if f := *(*float64)(x); f-f == 0 {
				return appendFloat64(dst, f)
			}
			return c.leaf(dst, p, x, addr)
		case opString:
			return c.string(dst, *(*string)(x))
		case opNumber:
			if s := *(*string)(x); len(s) < longText && validNumber(s) {
				return append(dst, s...)
			}
			return c.leaf(dst, p, x, addr)
		case opTime:
			return c.time(dst, p, x, (*time.Time)(x), addr)
		case opTimePointer:
			t := *(**time.Time)(x)
			if t == nil {
				return append(dst, "null"...)
			}
			return c.time(dst, p, x, t, addr)
		case opBytes:
			b := *(*[]byte)(x)
			if b == nil {
				return append(dst, "null"...)
			}
			return c.base64(append(dst, '"'), b, 0)
		case opSlice:
			h := (*sliceHeader)(x)
			if h.data == nil {
				return append(dst, "null"...)
			}
			if c.depth > maxDepth && h.len > 0 && c.cyclic(p, h.data, h.len, c.depth) {
				return c.cycle(dst, p, x, addr)
			}
			return c.elements(c.bracket(dst, '['), p, h.data, 0, h.len, true)
		case opArray:
			return c.elements(c.bracket(dst, '['), p, x, 0, p.len, addr)
		case opMap:
			return c.mapping(dst, p, *(*unsafe.Pointer)(x))
		case opStruct:
			return c.fields(c.bracket(dst, '{'), p, x, 0, addr, false)
		case opPointer:
			y := *(*unsafe.Pointer)(x)
			if y == nil {
				return append(dst, "null"...)
			}
			if depth := c.depth + hops; depth > maxDepth && c.cyclic(p, y, 0, depth) {
				return c.cycle(dst, p, x, addr)
			}
			p, x, addr = p.elem, y, true
		case opAny:
			return c.boxed(dst, *(*any)(x))
		case opIface:
			v := reflect.NewAt(p.typ, x).Elem()
			if v.IsNil() {
				return append(dst, "null"...)
			}
			return c.boxed(dst, v.Elem().Interface())
		case opSequence:
			return c.sequence(dst, p, x, addr)
		case opMarshaler:
			if p.typ.Kind() == reflect.Pointer && *(*unsafe.Pointer)(x) == nil {
				return append(dst, "null"...)
			}
			if p.bare == nil || addr {
				return c.leaf(dst, p, x, addr)
			}
			p = p.bare // its marshaler has a pointer receiver
		default:
			return c.leaf(dst, p, x, addr)
		}
	}
}

// boxed appends what an interface holds. The types of a decoded JSON document
// are spelled out: they are most of what is ever behind an interface.
func (c *cursor) boxed(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return c.string(dst, v)
	case float64:
		if v-v == 0 {
			return appendFloat64(dst, v)
		}
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return appendInt(dst, int64(v))
	case int64:
		return appendInt(dst, v)
	case map[string]any:
		return c.mapping(dst, anyMapPlan(), *(*unsafe.Pointer)(unsafe.Pointer(&v)))
	case []any:
		if v != nil && c.depth <= maxDepth {
			return c.elements(c.bracket(dst, '['), anySlicePlan(), unsafe.Pointer(unsafe.SliceData(v)), 0, len(v), true)
		}
	}
	p := c.planFor(v)
	word := (*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]
	switch {
	case p.op == opMap:
		return c.mapping(dst, p, word)
	case p.op == opPointer && word != nil:
		if c.depth > maxDepth && c.cyclic(p, word, 0, c.depth) {
			return c.cycle(dst, p, dataOf(v, p), false)
		}
		c.depth++ // interfaces and pointers alone can be a circle
		dst = c.value(dst, p.elem, word, true)
		c.depth--
		return dst
	}
	return c.value(dst, p, dataOf(v, p), false)
}

var (
	anyMapPlan   = sync.OnceValue(func() *plan { return planFor(reflect.TypeFor[map[string]any]()) })
	anySlicePlan = sync.OnceValue(func() *plan { return planFor(reflect.TypeFor[[]any]()) })
)

// planFor returns the plan of what v holds. An encode asks for few types again
// and again, and finds them here without a lock or a hash.
func (c *cursor) planFor(v any) *plan {
	typ := (*[2]uintptr)(unsafe.Pointer(&v))[0]
	p := &c.recent[typ>>6%uintptr(len(c.recent))]
	if p.typ != typ {
		p.typ, p.plan = typ, planFor(reflect.TypeOf(v))
	}
	return p.plan
}

// time appends t, which is the value of plan p at x or what that points to.
func (c *cursor) time(dst []byte, p *plan, x unsafe.Pointer, t *time.Time, addr bool) []byte {
	start := len(dst)
	out, err := t.AppendText(append(dst, '"'))
	if err != nil {
		return c.leaf(dst[:start], p, x, addr)
	}
	return append(out, '"')
}

// elements appends the elements i to n of a slice or an array, and the
// bracket.
func (c *cursor) elements(dst []byte, p *plan, x unsafe.Pointer, i, n int, addr bool) []byte {
	if n-i >= minRun && p.elem.width > 0 && sonicNumbers() {
		dst, i = c.numbers(dst, p.elem, x, i, n)
		if c.full(dst) {
			return c.pause(dst, frame{at: atElements, plan: p, x: x, i: i, n: n, addr: addr})
		}
	}
	return c.oneByOne(dst, p, x, i, n, addr)
}

func (c *cursor) oneByOne(dst []byte, p *plan, x unsafe.Pointer, i, n int, addr bool) []byte {
	elem := p.elem
	c.depth++
	for ; i < n; i++ {
		if c.full(dst) {
			return c.pause(dst, frame{at: atElements, plan: p, x: x, i: i, n: n, addr: addr})
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.value(dst, elem, unsafe.Add(x, uintptr(i)*elem.size), addr)
	}
	if c.full(dst) {
		return c.pause(dst, frame{at: atElements, plan: p, x: x, i: n, n: n, addr: addr})
	}
	c.depth--
	return append(dst, ']')
}

// fields appends the fields of a struct from the i-th one on, and the brace.
// more is whether there was one before.
func (c *cursor) fields(dst []byte, p *plan, x unsafe.Pointer, i int, addr, more bool) []byte {
	if c.full(dst) {
		// Before the recursion goes deeper: a list has a level per element.
		return c.pause(dst, frame{at: atFields, plan: p, x: x, i: i, addr: addr, more: more})
	}
	c.depth++
	list := p.fields
	html := c.format.html()
	for i < len(list) {
		f := &list[i]
		if f.asksUser && c.stopForUser() {
			return c.pause(dst, frame{at: atFields, plan: p, x: x, i: i, addr: addr, more: more})
		}
		i++
		y, a := unsafe.Add(x, f.offset), addr
		if f.absent > 0 && allAbsent(y, f.absent) {
			dst = appendKey(dst, f.nulls[html], more)
			more = true
			i += f.absent - 1
			continue
		}
		if f.indirect {
			if y, a = f.at(x, addr); y == nil {
				continue
			}
		}
		if f.omits && f.omitted(y, a) {
			c.limit -= omitCost
			continue
		}
		if f.quoted && longString(f.plan, y) && c.stopForUser() {
			// Text in text is made in one piece.
			return c.pause(dst, frame{at: atFields, plan: p, x: x, i: i - 1, addr: addr, more: more})
		}
		dst = appendKey(dst, f.quotes[html], more)
		more = true
		if f.quoted {
			dst = c.quoted(dst, f.plan, y, a)
		} else {
			dst = c.value(dst, f.plan, y, a)
		}
		if c.full(dst) {
			return c.pause(dst, frame{at: atFields, plan: p, x: x, i: i, addr: addr, more: more})
		}
	}
	c.depth--
	return append(dst, '}')
}

const (
	// omitCost is what a field that is left out takes away from a quantum: it is
	// looked at like any other.
	omitCost = 2
	// levelCost is what a level far down does, for which the stack grows.
	levelCost = 64
	farDown   = 100
)

// bracket begins a container.
func (c *cursor) bracket(dst []byte, b byte) []byte {
	if c.depth > farDown {
		c.limit -= levelCost
	}
	return append(dst, b)
}

// longString reports whether the string at x, or what the pointer there leads to, is.
func longString(p *plan, x unsafe.Pointer) bool {
	if p.op == opPointer {
		if x = *(*unsafe.Pointer)(x); x == nil {
			return false
		}
		p = p.elem
	}
	return p.typ.Kind() == reflect.String && len(*(*string)(x)) >= longText
}

// appendKey appends a name, which is padded and begins with a comma, without that
// if it is the first.
func appendKey(dst []byte, key string, more bool) []byte {
	if !more {
		key = key[1:]
	}
	if n := len(dst); len(key) <= wideKey && cap(dst)-n >= wideKey {
		*(*[wideKey]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(dst)), n)) = *(*[wideKey]byte)(unsafe.Pointer(unsafe.StringData(key)))
		return dst[:n+len(key)]
	}
	return append(dst, key...)
}

// wideKey is how many bytes a short name is copied with at once, of which the
// last are of no use: that is faster than to copy as many as there are.
const wideKey = 32

// padded returns s in memory that goes on for wideKey bytes behind it.
func padded(s string) string { return (s + strings.Repeat(" ", wideKey))[:len(s)] }

// quoted appends a field tagged ",string": the JSON of a number or a boolean
// in quotes, that of a string as a string once more. Marshalers ignore it.
func (c *cursor) quoted(dst []byte, p *plan, x unsafe.Pointer, addr bool) []byte {
	if p.op == opPointer {
		if x = *(*unsafe.Pointer)(x); x == nil {
			return append(dst, "null"...)
		}
		p, addr = p.elem, true
	}
	if p.op == opMarshaler && p.bare != nil && !addr {
		p = p.bare
	}
	switch p.op {
	case opMarshaler:
		return c.leaf(dst, p, x, addr)
	case opString:
		once := appendString(nil, *(*string)(x), !c.format.plainHTML)
		return appendString(dst, unsafe.String(unsafe.SliceData(once), len(once)), false)
	}
	dst = c.value(append(dst, '"'), p, x, addr)
	return append(dst, '"')
}

// mapping appends the map whose header is m.
func (c *cursor) mapping(dst []byte, p *plan, m unsafe.Pointer) []byte {
	if m == nil {
		return append(dst, "null"...)
	}
	if c.depth > maxDepth && c.cyclic(p, m, 0, c.depth) {
		word := m // m itself would be moved to the heap in any case
		return c.cycle(dst, p, unsafe.Pointer(&word), false)
	}
	dst = c.bracket(dst, '{')
	e := c.entriesOf(p, m)
	switch {
	case e == nil:
		return append(dst, '}')
	case e.names != nil:
		return c.named(dst, e, false)
	}
	return c.entries(dst, e, false)
}

// named is entries for those whose names are known.
func (c *cursor) named(dst []byte, e *entries, more bool) []byte {
	c.depth++
	elem := e.plan.elem
	for i := e.taken; ; i++ {
		if c.full(dst) {
			e.taken = i
			return c.pause(dst, frame{at: atNamed, entries: e, more: more})
		}
		if i == len(e.names) {
			break
		}
		dst = appendKey(dst, e.names[i], more)
		more = true
		switch elem.op {
		case opAny:
			dst = c.boxed(dst, e.anys[i])
		case opString:
			dst = c.string(dst, e.strings[i])
		default:
			dst = c.value(dst, elem, unsafe.Pointer(&e.strings[i]), false)
		}
	}
	c.free(e)
	c.depth--
	return append(dst, '}')
}

// entries appends the entries that are left, and the brace. Those of a large
// map have to be collected and sorted first.
func (c *cursor) entries(dst []byte, e *entries, more bool) []byte {
	c.depth++
	elem := e.plan.elem
	for !e.complete {
		// The quantum may have been full behind the brace, on the caller's
		// goroutine, and the walk go on here on a worker.
		if c.full(dst) || e.plan.userKeys && c.stopForUser() {
			return c.pause(dst, frame{at: atEntries, entries: e})
		}
		cost, err := e.collect()
		if err != nil {
			return c.fail(dst, err)
		}
		c.limit -= cost
	}
	for {
		if c.full(dst) {
			return c.pause(dst, frame{at: atEntries, entries: e, more: more})
		}
		value := e.named
		if value == nil {
			key, v, ok := e.next()
			if !ok {
				break
			}
			if more {
				dst = append(dst, ',')
			}
			more, value = true, v
			if e.iter != nil {
				c.limit -= mergeCost
			}
			if dst = c.string(dst, key); c.full(dst) {
				e.named = v
				return c.pause(dst, frame{at: atEntries, entries: e, more: more})
			}
		}
		e.named = nil
		dst = c.value(append(dst, ':'), elem, value, false)
	}
	c.free(e)
	c.depth--
	return append(dst, '}')
}
