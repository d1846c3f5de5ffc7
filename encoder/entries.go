package encoder

import (
	"container/heap"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// keyBatch is how many entries are collected and sorted at a time: a fraction
// of a millisecond's work, so that a map of a million keys gives way as often
// as anything else.
const keyBatch = 1024

// entries are those of a large map in the order of their keys. They are
// collected in batches, each sorted by itself, and merged as they are taken.
// The order is encoding/json's: by the text of the key before it is escaped.
type entries struct {
	plan     *plan
	iter     *reflect.MapIter
	complete bool
	batches  batches
}

type entry struct {
	key   string
	value unsafe.Pointer
}

// batches is a heap of sorted batches, the one with the least key first.
type batches [][]entry

func (b batches) Len() int           { return len(b) }
func (b batches) Less(i, j int) bool { return b[i][0].key < b[j][0].key }
func (b batches) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *batches) Push(x any)        { *b = append(*b, x.([]entry)) }
func (b *batches) Pop() any {
	last := len(*b) - 1
	x := (*b)[last]
	*b = (*b)[:last]
	return x
}

func newEntries(p *plan, x unsafe.Pointer) *entries {
	return &entries{plan: p, iter: reflect.NewAt(p.typ, x).Elem().MapRange()}
}

// collect takes up to a batch of entries and returns what that cost, in bytes
// of JSON that could have been written instead.
func (e *entries) collect() int {
	batch := make([]entry, 0, keyBatch)
	values := reflect.MakeSlice(e.plan.elem.slice, keyBatch, keyBatch)
	for len(batch) < keyBatch {
		if !e.iter.Next() {
			e.complete = true
			break
		}
		v := values.Index(len(batch))
		v.SetIterValue(e.iter)
		batch = append(batch, entry{keyText(e.iter.Key()), v.Addr().UnsafePointer()})
	}
	if len(batch) > 0 {
		slices.SortFunc(batch, func(a, b entry) int { return strings.Compare(a.key, b.key) })
		e.batches = append(e.batches, batch)
	}
	if e.complete {
		heap.Init(&e.batches)
	}
	return 64 * len(batch)
}

func (e *entries) peek() (entry, bool) {
	if len(e.batches) == 0 {
		return entry{}, false
	}
	return e.batches[0][0], true
}

func (e *entries) pop() {
	if rest := e.batches[0][1:]; len(rest) > 0 {
		e.batches[0] = rest
		heap.Fix(&e.batches, 0)
		return
	}
	heap.Pop(&e.batches)
}

// keyText is the name that encoding/json gives to a key; sonicKey says which
// kinds come here.
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

// appendKey appends a key as a JSON string.
func appendKey(dst []byte, key string) []byte {
	for i := range len(key) {
		if c := key[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(key) // a string never fails
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"')
}
