package encoder

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unsafe"
)

// field is a struct field as encoding/json sees it.
type field struct {
	// What every value is looked at for comes first, in a line of the cache.
	plan     *plan
	offset   uintptr   // of the field, if not indirect
	quotes   [2]string // the name as it is written: comma, quoted and escaped, colon; with plain HTML
	absent   int       // how many nullable fields from this one on come in a row
	indirect bool      // embedded pointers lead to it
	omits    bool      // omitEmpty or omitZero
	quoted   bool      // ,string
	asksUser bool      // it has a func isZero

	nulls     [2]string // what is written if all of those are absent
	name      string
	tagged    bool // the name comes from a tag
	index     []int
	typ       reflect.Type
	steps     []step
	omitEmpty bool
	omitZero  bool
	isZero    func(reflect.Value) bool // the type's own IsZero, for omitZero
}

// step leads from a struct to one of its fields, through a pointer if the
// field is promoted from an embedded one.
type step struct {
	offset uintptr
	deref  bool
}

// at returns the field's place in the struct at x, or nil if an embedded
// pointer on the way is nil: encoding/json leaves out such fields.
func (f *field) at(x unsafe.Pointer, addr bool) (unsafe.Pointer, bool) {
	for _, s := range f.steps {
		x = unsafe.Add(x, s.offset)
		if s.deref {
			if x = *(*unsafe.Pointer)(x); x == nil {
				return nil, false
			}
			addr = true
		}
	}
	return x, addr
}

// omitted reports whether the field at x is left out.
func (f *field) omitted(x unsafe.Pointer, addr bool) bool {
	if f.omitEmpty && isEmpty(f.typ, x) {
		return true
	}
	if !f.omitZero {
		return false
	}
	if f.typ == timeType {
		return (*time.Time)(x).IsZero()
	}
	v := reflect.NewAt(f.typ, x).Elem()
	if f.isZero == nil {
		return v.IsZero()
	}
	if !addr {
		// IsZero may write, and not to what is not addressable.
		c := reflect.New(f.typ).Elem()
		c.Set(v)
		v = c
	}
	return f.isZero(v)
}

// isEmpty is encoding/json's rule for omitempty.
func isEmpty(t reflect.Type, x unsafe.Pointer) bool {
	switch t.Kind() {
	case reflect.String:
		return len(*(*string)(x)) == 0
	case reflect.Slice:
		return (*sliceHeader)(x).len == 0
	case reflect.Map:
		return len(*(*map[int]int)(x)) == 0
	case reflect.Array:
		return t.Len() == 0
	case reflect.Pointer, reflect.Interface:
		return *(*unsafe.Pointer)(x) == nil
	case reflect.Float32:
		return *(*float32)(x) == 0
	case reflect.Float64:
		return *(*float64)(x) == 0
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return *(*uint8)(x) == 0
	case reflect.Int16, reflect.Uint16:
		return *(*uint16)(x) == 0
	case reflect.Int32, reflect.Uint32:
		return *(*uint32)(x) == 0
	case reflect.Int64, reflect.Uint64:
		return *(*uint64)(x) == 0
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return *(*uint)(x) == 0
	}
	return false
}

// allAbsent reports whether n pointers, one behind the other, are nil. Nullable
// columns come in such runs, and most of them are null most of the time: that is
// found out without a branch for each, and written in one piece.
func allAbsent(x unsafe.Pointer, n int) bool {
	var set uintptr
	for _, p := range unsafe.Slice((*uintptr)(x), n) {
		set |= p
	}
	return set == 0
}

// maxAbsent bounds a run: its text is kept for each field that it may begin
// with, and one value in it has all before it looked at again.
const maxAbsent = 32

// groupAbsent finds the runs of nullable fields.
func groupAbsent(fields []field) {
	for i := len(fields) - 1; i >= 0; i-- {
		f := &fields[i]
		if f.typ.Kind() != reflect.Pointer || f.indirect || f.omits {
			continue
		}
		f.absent = 1
		f.nulls = [2]string{padded(f.quotes[0] + "null"), padded(f.quotes[1] + "null")}
		if i+1 == len(fields) {
			continue
		}
		if next := &fields[i+1]; next.absent > 0 && next.absent < maxAbsent && next.offset == f.offset+unsafe.Sizeof(next.offset) {
			f.absent += next.absent
			f.nulls[0] = padded(f.nulls[0] + next.nulls[0])
			f.nulls[1] = padded(f.nulls[1] + next.nulls[1])
		}
	}
}

// fieldsOf lists the fields that encoding/json writes for struct type t, in
// its order: breadth first over embedded structs, where of several fields
// with one name the least nested wins, then the tagged one, and an ambiguity
// hides them all.
func fieldsOf(t reflect.Type) []field {
	var (
		current   []field
		next      = []field{{typ: t}}
		count     map[reflect.Type]int
		nextCount map[reflect.Type]int
		visited   = map[reflect.Type]bool{}
		fields    []field
	)
	for len(next) > 0 {
		current, next = next, nil
		count, nextCount = nextCount, map[reflect.Type]int{}
		for _, parent := range current {
			if visited[parent.typ] {
				continue
			}
			visited[parent.typ] = true
			for i := range parent.typ.NumField() {
				sf := parent.typ.Field(i)
				f, embedded, ok := fieldOf(sf)
				if !ok {
					continue
				}
				f.index = append(slices.Clone(parent.index), i)
				if !embedded {
					f.steps = append(slices.Clone(parent.steps), step{offset: sf.Offset})
					for _, s := range f.steps {
						f.offset += s.offset
						f.indirect = f.indirect || s.deref
					}
					if f.indirect {
						f.offset = 0
					}
					fields = append(fields, f)
					if count[parent.typ] > 1 {
						// The same type embedded twice at one depth: two
						// copies are enough to make its names ambiguous.
						fields = append(fields, f)
					}
					continue
				}
				elem, deref := sf.Type, false
				if elem.Name() == "" && elem.Kind() == reflect.Pointer {
					elem, deref = elem.Elem(), true
				}
				f.steps = append(slices.Clone(parent.steps), step{sf.Offset, deref})
				f.typ = elem
				if nextCount[elem]++; nextCount[elem] == 1 {
					next = append(next, f)
				}
			}
		}
	}
	return dominant(fields)
}

// fieldOf reads one struct field and its tag. It reports whether the field is
// an embedded struct whose own fields are promoted, and whether encoding/json
// looks at it at all.
func fieldOf(sf reflect.StructField) (f field, embedded, ok bool) {
	elem := sf.Type
	if sf.Anonymous && elem.Kind() == reflect.Pointer {
		elem = elem.Elem()
	}
	if !sf.IsExported() && !(sf.Anonymous && elem.Kind() == reflect.Struct) {
		return f, false, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return f, false, false
	}
	name, opts, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	ft := sf.Type
	if ft.Name() == "" && ft.Kind() == reflect.Pointer {
		ft = ft.Elem()
	}
	if name == "" && sf.Anonymous && ft.Kind() == reflect.Struct {
		return f, true, true
	}
	f = field{name: name, tagged: name != "", typ: sf.Type}
	if name == "" {
		f.name = sf.Name
	}
	for opts != "" {
		var opt string
		opt, opts, _ = strings.Cut(opts, ",")
		switch opt {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.omitZero = true
			f.isZero = zeroer(sf.Type)
			f.asksUser = f.isZero != nil && !trusted(sf.Type)
		case "string":
			k := ft.Kind()
			f.quoted = k == reflect.Bool || isInteger(k) || k == reflect.Float32 || k == reflect.Float64 || k == reflect.String
		}
	}
	f.omits = f.omitEmpty || f.omitZero
	for i := range f.quotes {
		f.quotes[i] = padded(string(appendString([]byte(","), f.name, i == 0)) + ":")
	}
	return f, false, true
}

// zeroer returns how encoding/json calls t's own IsZero method, or nil.
func zeroer(t reflect.Type) func(reflect.Value) bool {
	call := func(v reflect.Value) bool { return v.Interface().(interface{ IsZero() bool }).IsZero() }
	switch {
	case t.Kind() == reflect.Interface && t.Implements(isZeroerType):
		return func(v reflect.Value) bool {
			return v.IsNil() || (v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil()) || call(v)
		}
	case t.Kind() == reflect.Pointer && t.Implements(isZeroerType):
		return func(v reflect.Value) bool { return v.IsNil() || call(v) }
	case t.Implements(isZeroerType):
		return call
	case reflect.PointerTo(t).Implements(isZeroerType):
		return func(v reflect.Value) bool { return call(v.Addr()) }
	}
	return nil
}

// validName reports whether encoding/json takes s from a tag as a name.
func validName(s string) bool {
	for _, c := range s {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return s != ""
}

// dominant applies Go's rules for promoted fields, as encoding/json extends
// them by tags, and returns what is left in the order of the source.
func dominant(fields []field) []field {
	slices.SortFunc(fields, func(a, b field) int {
		byTag := 0
		if a.tagged != b.tagged {
			byTag = 1
			if a.tagged {
				byTag = -1
			}
		}
		return cmp.Or(
			strings.Compare(a.name, b.name),
			cmp.Compare(len(a.index), len(b.index)),
			byTag,
			slices.Compare(a.index, b.index),
		)
	})
	kept := fields[:0]
	for len(fields) > 0 {
		n := 1
		for n < len(fields) && fields[n].name == fields[0].name {
			n++
		}
		ambiguous := n > 1 && len(fields[0].index) == len(fields[1].index) && fields[0].tagged == fields[1].tagged
		first := fields[0]
		fields = fields[n:]
		if !ambiguous {
			kept = append(kept, first)
		}
	}
	slices.SortFunc(kept, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return kept
}
