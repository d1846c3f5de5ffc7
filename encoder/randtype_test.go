package encoder_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// zoo holds the values of the tables by their types, to build random types
// and values from. Its order is that of the tables.
type zoo struct {
	types []reflect.Type
	good  map[reflect.Type][]reflect.Value // encoding/json takes them
	bad   map[reflect.Type][]reflect.Value // it does not
}

var theZoo = sync.OnceValue(func() *zoo {
	z := &zoo{good: map[reflect.Type][]reflect.Value{}, bad: map[reflect.Type][]reflect.Value{}}
	for _, g := range exactGroups {
		if !g.wrapped {
			continue
		}
		for _, s := range g.samples() {
			if s.value != nil {
				z.add(s.value)
			}
		}
	}
	return z
})

// maxZooValue keeps large values out: random ones repeat what they hold.
const maxZooValue = 2_000

func (z *zoo) add(value any) {
	o := jsonOutcome(value)
	v := reflect.ValueOf(value)
	if len(o.out) > maxZooValue {
		return
	}
	if z.good[v.Type()] == nil && z.bad[v.Type()] == nil {
		z.types = append(z.types, v.Type())
	}
	if o.out != nil {
		z.good[v.Type()] = append(z.good[v.Type()], v)
	} else {
		z.bad[v.Type()] = append(z.bad[v.Type()], v)
	}
}

// shape reads a type from bytes. Past their end it reads zeros.
type shape struct {
	data  []byte
	left  int // types that may still be made
	elems int // elements that arrays may still have
}

// The first byte of a type says what it is.
const (
	shapeLeaf = iota
	shapeStruct
	shapeSlice
	shapePointer
	shapeMap
	shapeArray
	shapeAny
	shapeText
	shapeFloat
	shapeSingle
	shapes
)

const (
	// maxShape bounds the parts of a type: reflect keeps each new one for ever, and
	// both encoders what they know of it.
	maxShape = 12
	// maxElems bounds the elements of nested arrays.
	maxElems = 200
)

func typeFrom(data []byte) reflect.Type {
	return (&shape{data, maxShape, maxElems}).next()
}

func (s *shape) intn(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b) % n
}

func (s *shape) next() reflect.Type {
	if s.left--; s.left < 0 {
		return reflect.TypeFor[string]()
	}
	switch s.intn(shapes) {
	case shapeStruct:
		return s.structure()
	case shapeSlice:
		return reflect.SliceOf(s.next())
	case shapePointer:
		return reflect.PointerTo(s.next())
	case shapeMap:
		return reflect.MapOf(s.key(), s.next())
	case shapeArray:
		n := min(s.elems, []int{0, 1, 2, 3, 5, 66}[s.intn(6)])
		s.elems /= max(n, 1)
		return reflect.ArrayOf(n, s.next())
	case shapeAny:
		return reflect.TypeFor[any]()
	case shapeText:
		return reflect.TypeFor[string]()
	case shapeFloat:
		return reflect.TypeFor[float64]()
	case shapeSingle:
		return reflect.TypeFor[float32]()
	}
	types := theZoo().types
	return types[(s.intn(256)<<8|s.intn(256))%len(types)]
}

// keyTypes are those whose different values give different keys: the order of
// equal ones is encoding/json's secret.
var keyTypes = []reflect.Type{
	reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[myString](), reflect.TypeFor[uint8](), reflect.TypeFor[int64](), reflect.TypeFor[textString](),
	reflect.TypeFor[textInt](), reflect.TypeFor[pointerTextInt](), reflect.TypeFor[structKey](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[verbatimText](), reflect.TypeFor[uuid](),
	reflect.TypeFor[bool](), reflect.TypeFor[plain[int]](), reflect.TypeFor[float64](), reflect.TypeFor[failingKey](), reflect.TypeFor[any](),
}

// badKeyTypes counts those at the end of keyTypes that encoding/json refuses.
const badKeyTypes = 5

func (s *shape) key() reflect.Type {
	n := len(keyTypes)
	if s.intn(16) > 0 {
		n -= badKeyTypes
	}
	return keyTypes[s.intn(n)]
}

var (
	tagNames   = []string{"", "", "", "a", "b", "A", "<x>&", "é", "F0", "F1", "-", "\u2028", "bad\"name"}
	tagOptions = []string{"", "", ",omitempty", ",string", ",omitzero", ",omitempty,string", ",omitzero,omitempty", ",string,omitzero"}
	embeddable = []reflect.Type{
		reflect.TypeFor[Inner](), reflect.TypeFor[*Inner](), reflect.TypeFor[InnerTagged](), reflect.TypeFor[Other](), reflect.TypeFor[*Deeper](),
		reflect.TypeFor[Twice1](), reflect.TypeFor[*Twice2](), reflect.TypeFor[Count](), reflect.TypeFor[*Names](), reflect.TypeFor[Loop](),
		reflect.TypeFor[*Ping](), reflect.TypeFor[Table](), reflect.TypeFor[*Table](), reflect.TypeFor[Generic[string]](), reflect.TypeFor[*Generic[any]](),
	}
)

// A field begins with the bytes that choose its name in the tag, its options,
// and whether it is embedded.
const noTag, notEmbedded, embedded = 0, 0, 7

func (s *shape) structure() reflect.Type {
	fields := make([]reflect.StructField, 1+s.intn(5))
	for i := range fields {
		f := &fields[i]
		f.Name = fmt.Sprintf("F%d", i)
		if tag := tagNames[s.intn(len(tagNames))] + tagOptions[s.intn(len(tagOptions))]; tag != "" {
			f.Tag = reflect.StructTag(fmt.Sprintf("json:%q", tag))
		}
		if s.intn(8) == embedded {
			f.Anonymous = true
			f.Type = embeddable[s.intn(len(embeddable))]
			f.Name = nameOfType(f.Type)
			if slices.ContainsFunc(fields[:i], func(g reflect.StructField) bool { return g.Name == f.Name }) {
				*f = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: f.Type, Tag: f.Tag}
			}
			continue
		}
		f.Type = s.next()
	}
	return structOfFields(fields)
}

// structOfFields is reflect.StructOf, which does not take every embedded type
// that has methods: then none is.
func structOfFields(fields []reflect.StructField) (t reflect.Type) {
	defer func() {
		if recover() == nil {
			return
		}
		for i := range fields {
			fields[i].Anonymous, fields[i].Name = false, fmt.Sprintf("F%d", i)
		}
		t = reflect.StructOf(fields)
	}()
	return reflect.StructOf(fields)
}

// nameOfType is the name of a field that embeds t.
func nameOfType(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, _, _ := strings.Cut(t.Name(), "[") // without type arguments
	return name
}

// content fills values from bytes, over and over.
type content struct {
	data   []byte
	at     int
	left   int  // parts that may still be filled
	failed bool // values that encoding/json refuses may be among them
}

// maxContent bounds the parts of a random value.
const maxContent = 3_000

func valueFrom(t reflect.Type, data []byte) any {
	c := &content{data: data, left: maxContent}
	c.failed = c.intn(4) == 3
	v := reflect.New(t)
	byPointer := c.intn(2) == 1
	c.fill(v.Elem(), 0)
	if byPointer {
		return v.Interface()
	}
	return v.Elem().Interface()
}

func (c *content) intn(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	// Each round reads the bytes differently, lest short ones repeat too soon.
	b := int(c.data[c.at%len(c.data)]) + c.at/len(c.data)*7
	c.at++
	return b % n
}

// fill sets v to a value of its type, deterministically.
func (c *content) fill(v reflect.Value, depth int) {
	if c.left--; c.left < 0 || !v.CanSet() {
		return
	}
	if c.fromZoo(v) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(c.intn(2) == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(c.bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(c.bits())
	case reflect.Float32, reflect.Float64:
		v.SetFloat(c.float())
	case reflect.String:
		v.SetString(c.text())
	case reflect.Slice:
		if n := c.len(v.Type().Elem(), depth); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			c.elements(v, depth)
		}
	case reflect.Array:
		c.elements(v, depth)
	case reflect.Map:
		c.entries(v, depth)
	case reflect.Pointer:
		if c.intn(4) > 0 && depth < 8 {
			v.Set(reflect.New(v.Type().Elem()))
			c.fill(v.Elem(), depth+1)
		}
	case reflect.Interface:
		c.dynamic(v, depth)
	case reflect.Struct:
		for i := range v.NumField() {
			c.fill(v.Field(i), depth+1)
		}
	}
}

// fromZoo takes a value that the tables have for v's type, always if it has
// methods or unexported parts that fill knows nothing of.
func (c *content) fromZoo(v reflect.Value) bool {
	z, t := theZoo(), v.Type()
	values := z.good[t]
	if len(z.bad[t]) > 0 && c.failed && c.intn(8) == 0 {
		values = z.bad[t]
	}
	if len(values) == 0 {
		return false
	}
	known := t.PkgPath() == "" || t.NumMethod() == 0 && reflect.PointerTo(t).NumMethod() == 0
	if known && c.intn(2) == 0 {
		return false
	}
	v.Set(values[c.intn(len(values))])
	return true
}

func (c *content) bits() uint64 {
	var u uint64
	for range c.intn(9) {
		u = u<<8 | uint64(c.intn(256))
	}
	if c.intn(4) == 0 {
		return -u
	}
	return u
}

func (c *content) float() float64 {
	var f float64
	switch c.intn(4) {
	case 0:
		f = math.Float64frombits(c.bits())
	case 1:
		f = float64(int32(c.bits())) / []float64{1, 2, 10, 100, 1000, 1e6}[c.intn(6)]
	default:
		odd := float64s()
		f = ulps(odd[c.intn(len(odd))], c.intn(3)-1)
	}
	if !c.failed && (math.IsNaN(f) || math.Abs(f) > math.MaxFloat32) {
		return 1
	}
	return f
}

func (c *content) text() string {
	texts := oddTexts()
	switch c.intn(5) {
	case 0:
		return texts[(c.intn(256)<<8|c.intn(256))%len(texts)]
	case 1:
		return strings.Repeat(texts[c.intn(len(texts))], c.intn(40))
	case 2:
		b := make([]byte, c.intn(40))
		for i := range b {
			b[i] = byte(c.intn(256))
		}
		return string(b)
	case 3:
		// What is to be escaped, here and there in a plain text.
		b := []byte("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore")[:c.intn(100)]
		for range c.intn(4) {
			mark := texts[c.intn(len(texts))]
			at := c.intn(len(b) + 1)
			b = slices.Insert(b, at, []byte(mark[:min(len(mark), 6)])...)
		}
		return string(b)
	}
	return "a plain text"[:c.intn(12)]
}

var oddTexts = sync.OnceValue(stringTexts)

// maxBytes bounds the memory of the elements of a slice or map.
const maxBytes = 64 << 10

// len is the length of a slice or map of t, or -1 for nil. Outer ones are
// longer.
func (c *content) len(t reflect.Type, depth int) int {
	lens := []int{-1, 0, 1, 2, 3, 5, 9, 30, 100, 400, 1500}
	if depth > 0 {
		lens = lens[:8]
	}
	if depth > 2 || c.left < 100 {
		lens = lens[:4]
	}
	return min(lens[c.intn(len(lens))], 1+maxBytes/(1+int(t.Size())))
}

func (c *content) elements(v reflect.Value, depth int) {
	for i := range v.Len() {
		c.fill(v.Index(i), depth+1)
	}
}

// entries fills a map, unless different keys may turn out the same.
func (c *content) entries(v reflect.Value, depth int) {
	n := c.len(v.Type().Elem(), depth)
	if n < 0 || !slices.Contains(keyTypes, v.Type().Key()) {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for range n {
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if key.Kind() == reflect.Interface {
			key.Set(reflect.ValueOf(c.text()))
		} else {
			c.fill(key, depth+1)
		}
		c.fill(elem, depth+1)
		v.SetMapIndex(key, elem)
	}
}

// dynamic puts something into an interface: a value of the zoo, or a tree as
// of a decoded document.
func (c *content) dynamic(v reflect.Value, depth int) {
	if v.NumMethod() > 0 || depth > 6 {
		return
	}
	var inner reflect.Value
	switch c.intn(4) {
	case 0:
		inner = reflect.New(reflect.TypeFor[map[string]any]()).Elem()
	case 1:
		inner = reflect.New(reflect.TypeFor[[]any]()).Elem()
	case 2:
		types := theZoo().types
		inner = reflect.New(types[(c.intn(256)<<8|c.intn(256))%len(types)]).Elem()
		if len(theZoo().good[inner.Type()]) == 0 && !c.failed {
			return
		}
	case 3:
		v.Set(reflect.ValueOf(c.text()))
		return
	}
	c.fill(inner, depth+1)
	v.Set(inner)
}

// randomBytes are n bytes that follow from a seed.
func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestExactRandom(t *testing.T) {
	n := 300
	switch {
	case *long:
		n = 20_000
	case hurried():
		n = 60
	}
	vs := newQuanta(t)
	failed, refused := 0, 0
	for seed := range n {
		r := rand.New(rand.NewPCG(1, uint64(seed)))
		typ := typeFrom(randomBytes(r, 40))
		v := valueFrom(typ, randomBytes(r, 4+r.IntN(300)))
		want := jsonOutcome(v)
		if want.out == nil {
			refused++
		}
		if !vs[r.IntN(len(vs))].checkAs(t, fmt.Sprintf("seed %d", seed), v, max(0, seed%12-6)) {
			if failed++; failed == 5 {
				t.Fatal("enough")
			}
		}
	}
	if refused > n/2 {
		t.Errorf("encoding/json refuses %d of %d random values: too many to prove anything", refused, n)
	}
}
