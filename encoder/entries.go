package encoder

import (
	"cmp"
	"container/heap"
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// keyBatch is how many entries of a map are collected and sorted at a time: a
// third of a millisecond's work, so that a map of a million keys gives way as
// often as anything else.
const keyBatch = 512

// What an entry takes away from a quantum besides its JSON, in bytes that could
// have been written instead. In a map of a million keys collecting one takes
// 0.6 µs, and merging it about 1 µs, nearly all of it waiting for memory.
const (
	collectCost = 256
	mergeCost   = 128
	smallCost   = 16 // in a map that is read at once; for a few keys, none
)

// batchOf is how many entries of a map are collected at a time, since their
// values are copied.
func batchOf(size uintptr) int {
	const bytes = 256 << 10
	return int(min(keyBatch, max(bytes/max(size, 1), 1)))
}

// entries are those of a map in the order of their keys, which is that of the
// keys' texts before they are escaped. Those of a large map are collected in
// batches, each sorted by itself, and merged as they are taken.
type entries struct {
	plan     *plan
	len      int // of the map
	taken    int
	complete bool
	batch    []entry
	names    []string       // comma, key and colon, if their order was known beforehand; then batch is empty
	values   reflect.Value  // a slice, where the entries' values are
	anys     []any          // the same for values of type any
	strings  []string       // and for strings
	named    unsafe.Pointer // the value whose key has been written
	most     int            // entries since it came from the pool
	spare    *entries       // another that is kept

	// The rest is of large maps.
	iter    *reflect.MapIter
	batches batches
}

type entry struct {
	start uint64 // of the key, to be compared as a number
	key   string
	value unsafe.Pointer
}

func newEntry(key string, value unsafe.Pointer) entry {
	var start uint64
	b := unsafe.Slice(unsafe.StringData(key), len(key))
	switch n := len(b); {
	case n >= 8:
		start = binary.BigEndian.Uint64(b)
	case n >= 4: // the last four may overlap the first, and are the same there
		start = uint64(binary.BigEndian.Uint32(b))<<32 | uint64(binary.BigEndian.Uint32(b[n-4:]))<<(64-8*n)
	default:
		for i := range n {
			start |= uint64(b[i]) << (56 - 8*i)
		}
	}
	return entry{start, key, value}
}

// before tells the order of keys.
func (e *entry) before(f *entry) bool {
	if e.start != f.start {
		return e.start < f.start
	}
	return e.key < f.key
}

// batches is a heap of sorted batches, the one with the least key first.
type batches [][]entry

func (b batches) Len() int           { return len(b) }
func (b batches) Less(i, j int) bool { return b[i][0].before(&b[j][0]) }
func (b batches) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *batches) Push(x any)        { *b = append(*b, x.([]entry)) }
func (b *batches) Pop() any {
	last := len(*b) - 1
	x := (*b)[last]
	*b = (*b)[:last]
	return x
}

// entriesOf returns the entries of the map whose header is m, nil if there are
// none. Those of a small map are complete.
func (c *cursor) entriesOf(p *plan, m unsafe.Pointer) *entries {
	n := len(*(*map[int]int)(unsafe.Pointer(&m))) // every map's length is in one place
	switch {
	case n == 0:
		return nil
	case n > p.batch || p.userKeys:
		return &entries{plan: p, len: n, iter: p.rangeOver(m)}
	}
	e := c.takeEntries(p)
	e.plan, e.len, e.taken, e.complete = p, n, 0, true
	e.most = max(e.most, n)
	if n > fewKeys {
		c.limit -= smallCost * n
	}
	switch p.layout {
	// Maps of one layout, whatever their types are called.
	case stringToString:
		e.strings = gather(c, e, *(*map[string]string)(unsafe.Pointer(&m)), e.strings)
	case stringToAny:
		e.anys = gather(c, e, *(*map[string]any)(unsafe.Pointer(&m)), e.anys)
	default:
		if !e.values.IsValid() || e.values.Len() < n {
			e.values = reflect.MakeSlice(p.elem.slice, n, n)
		}
		e.batch = appendEntries(e.batch, p, p.rangeOver(m), e.values)
		sortEntries(e.batch)
	}
	return e
}

// gather puts the entries of m into e, in order, and their values behind values.
func gather[V any](c *cursor, e *entries, m map[string]V, values []V) []V {
	var o *orders
	if len(m) < mostOrdered {
		o = &c.memory.orders[len(m)]
		if values, e.names = inOrder(c, o, m, values); e.names != nil {
			return values
		}
	}
	for k, v := range m {
		e.batch = append(e.batch, newEntry(k, nil))
		values = append(values, v)
	}
	for i := range e.batch {
		e.batch[i].value = unsafe.Pointer(&values[i])
	}
	sortEntries(e.batch)
	if o != nil {
		o.miss(e.batch)
	}
	return values
}

// rangeOver is apart from entriesOf, whose m it would move to the heap.
//
//go:noinline
func (p *plan) rangeOver(m unsafe.Pointer) *reflect.MapIter {
	return reflect.NewAt(p.typ, unsafe.Pointer(&m)).Elem().MapRange()
}

// takeEntries returns empty ones for a small map. Those whose values need a
// slice of their own type are kept by its plan.
func (c *cursor) takeEntries(p *plan) *entries {
	if p.layout == other {
		return p.kept.Get().(*entries)
	}
	if c.memory == nil {
		c.memory = memoryPool.Get().(*memory)
	}
	e := c.memory.spare
	if e == nil {
		return new(entries)
	}
	c.memory.spare = e.spare
	return e
}

// free gives back the entries of a small map that has been written.
func (c *cursor) free(e *entries) {
	switch {
	case e.iter != nil:
		return
	case e.plan.layout == other:
		kept := &e.plan.kept
		e.empty()
		kept.Put(e)
		return
	}
	e.batch, e.names, e.anys, e.strings = e.batch[:0], nil, e.anys[:0], e.strings[:0]
	e.spare, c.memory.spare = c.memory.spare, e
}

// release gives back what the cursor has kept for the maps of its value.
func (c *cursor) release() {
	if c.memory == nil {
		return
	}
	n := 0
	for e := c.memory.spare; e != nil; e = e.spare {
		e.empty()
		if n++; n == mostSpare {
			e.spare = nil
		}
	}
	memoryPool.Put(c.memory)
	c.memory = nil
}

// empty drops all that e holds and held, of which others must not keep anything
// alive.
func (e *entries) empty() {
	clear(e.batch[:min(e.most, cap(e.batch))])
	clear(e.anys[:min(e.most, cap(e.anys))])
	clear(e.strings[:min(e.most, cap(e.strings))])
	if e.values.IsValid() {
		e.values.Clear()
	}
	e.plan, e.most, e.named = nil, 0, nil
	e.batch, e.anys, e.strings = e.batch[:0], e.anys[:0], e.strings[:0]
}

// next takes the entry with the least key. It reports false behind the last.
func (e *entries) next() (key string, value unsafe.Pointer, ok bool) {
	if e.iter == nil {
		if e.taken == e.len {
			return "", nil, false
		}
		first := e.batch[e.taken]
		e.taken++
		return first.key, first.value, true
	}
	if len(e.batches) == 0 {
		return "", nil, false
	}
	e.taken++
	first := e.batches[0][0]
	if rest := e.batches[0][1:]; len(rest) > 0 {
		e.batches[0] = rest
		heap.Fix(&e.batches, 0)
	} else {
		heap.Pop(&e.batches)
	}
	return first.key, first.value, true
}

// collect takes up to a batch of a large map's entries and returns what that
// has taken away from the quantum.
func (e *entries) collect() (cost int, err error) {
	n := min(e.plan.batch, e.len)
	values := reflect.MakeSlice(e.plan.elem.slice, n, n)
	batch := make([]entry, 0, n)
	if e.plan.userKeys {
		batch, err = e.userEntries(batch, values)
	} else {
		batch = appendEntries(batch, e.plan, e.iter, values)
	}
	if err != nil {
		return 0, err
	}
	if len(batch) < n {
		e.complete = true
	}
	if len(batch) > 0 {
		sortEntries(batch)
		e.batches = append(e.batches, batch)
	}
	if e.complete {
		heap.Init(&e.batches)
	}
	return len(batch) * (collectCost + int(e.plan.elem.size)/8), nil
}

// appendEntries takes entries until the map ends or values are full.
func appendEntries(batch []entry, p *plan, iter *reflect.MapIter, values reflect.Value) []entry {
	key := reflect.New(p.typ.Key()).Elem()
	base := values.UnsafePointer()
	for i := 0; i < values.Len() && iter.Next(); i++ {
		key.SetIterKey(iter)
		values.Index(i).SetIterValue(iter)
		batch = append(batch, newEntry(keyText(key), unsafe.Add(base, uintptr(i)*p.elem.size)))
	}
	return batch
}

// userEntries is appendEntries for keys that have a text of their own.
func (e *entries) userEntries(batch []entry, values reflect.Value) ([]entry, error) {
	for i := 0; i < values.Len() && e.iter.Next(); i++ {
		values.Index(i).SetIterValue(e.iter)
		text, err := userText(e.iter.Key())
		if err != nil {
			return nil, fmt.Errorf("json: encoding error for type %q: %q", e.plan.typ.String(), err.Error())
		}
		batch = append(batch, newEntry(text, values.Index(i).Addr().UnsafePointer()))
	}
	return batch, nil
}

func userText(k reflect.Value) (string, error) {
	if k.Kind() == reflect.Pointer && k.IsNil() {
		return "", nil
	}
	m, ok := reflect.TypeAssert[encoding.TextMarshaler](k)
	if !ok {
		panic("unexpected map key type") // a nil interface; encoding/json's words
	}
	b, err := m.MarshalText()
	return string(b), err
}

// keyText is the name that encoding/json gives to a key without a text of its
// own.
func keyText(k reflect.Value) string {
	switch {
	case k.Kind() == reflect.String:
		return k.String()
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10)
	default:
		return strconv.FormatUint(k.Uint(), 10)
	}
}

// fewKeys are sorted by insertion, which beats all else while they are few.
const fewKeys = 16

func sortEntries(b []entry) {
	if len(b) > fewKeys {
		slices.SortFunc(b, func(e, f entry) int {
			if e.start != f.start {
				return cmp.Compare(e.start, f.start)
			}
			return strings.Compare(e.key, f.key)
		})
		return
	}
	for i := 1; i < len(b); i++ {
		if !b[i].before(&b[i-1]) {
			continue
		}
		e := b[i]
		j := i
		for ; j > 0 && e.before(&b[j-1]); j-- {
			b[j] = b[j-1]
		}
		b[j] = e
	}
}
