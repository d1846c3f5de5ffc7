package encoder

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// sortedKeys are entries with those keys.
func sortedKeys(keys ...string) (b []entry) {
	for _, k := range keys {
		b = append(b, newEntry(k, nil))
	}
	sortEntries(b)
	return b
}

func knows(o *orders, keys ...string) bool {
	m := map[string]int{}
	for i, k := range keys {
		m[k] = i
	}
	values, names := inOrder(new(cursor), o, m, nil)
	return names != nil && len(values) == len(m)
}

func TestOrdersAreLearnedAndForgotten(t *testing.T) {
	var o orders
	if knows(&o, "a", "b") {
		t.Fatal("known before the first map")
	}
	o.miss(sortedKeys("b", "a"))
	if !knows(&o, "a", "b") || knows(&o, "a", "c") {
		t.Fatal("the first map's order is not the one that is known")
	}
	for i := range patience + 1 {
		if knows(&o, "c", "d") {
			t.Fatalf("known after %d maps, with one that is remembered met before", i)
		}
		o.miss(sortedKeys("c", "d"))
	}
	if !knows(&o, "c", "d") || !knows(&o, "a", "b") {
		t.Error("two kinds of maps, one after the other, are not both known")
	}

	// No key is ever met again.
	remembered := 0
	for i := range 100_000 {
		before := fmt.Sprint(o.names)
		o.miss(sortedKeys(fmt.Sprint("x", i), "y"))
		if fmt.Sprint(o.names) != before {
			remembered++
		}
	}
	if most := 100_000/mostPatience + 10; remembered > most {
		t.Errorf("%d orders were remembered for nothing, want at most %d", remembered, most)
	}
	if len(o.names) > mostOrders {
		t.Errorf("%d orders are remembered of one size, want at most %d", len(o.names), mostOrders)
	}
}

func TestNamesAreInMemoryOfTheirOwn(t *testing.T) {
	key := []byte("key")
	names := namesOf(sortedKeys("another", unsafe.String(unsafe.SliceData(key), len(key))))
	clear(key)
	if got, want := strings.Join(names, ""), `,"another":,"key":`; got != want {
		t.Errorf("names are %q, want %q", got, want)
	}
	for _, key := range []string{"\n", "<", "\"", "\xff", "\u2028", strings.Repeat("k", mostNames+1)} {
		if names := namesOf(sortedKeys("a", key)); names != nil {
			t.Errorf("%q is kept as %q", key, names)
		}
	}
}

// What earlier maps have left in the cursor's memory changes nothing.
func TestMapsOfAllKindsInTurn(t *testing.T) {
	keys := []string{"", "a", "b", "id", "name", "née", "名前", "x<y", "\"", "\xff", "line\n", strings.Repeat("long", 100), strings.Repeat("longer", 300)}
	for i := range 40 {
		keys = append(keys, fmt.Sprint("key", i))
	}
	type text string
	r := rand.New(rand.NewPCG(5, 6))
	some := func() []string { // few sets of keys, so that many come again
		r := rand.New(rand.NewPCG(7, r.Uint64N(30)))
		chosen := make([]string, r.IntN(mostOrdered+8))
		for i := range chosen {
			chosen[i] = keys[r.IntN(len(keys))]
		}
		return chosen
	}
	var build func(depth int) any
	build = func(depth int) any {
		switch kind := r.IntN(5); {
		case kind < 2 && depth > 0:
			m := map[string]any{}
			for _, k := range some() {
				m[k] = build(depth - 1)
			}
			return m
		case kind == 2:
			m := map[string]string{}
			for _, k := range some() {
				m[k] = fmt.Sprint(r.IntN(10), "&")
			}
			return m
		case kind == 3:
			m := map[text]json.Number{}
			for _, k := range some() {
				m[text(k)] = json.Number(fmt.Sprint(r.IntN(10)))
			}
			return m
		}
		return r.IntN(1000)
	}
	for range 300 {
		v := []any{build(2), build(2), build(1)}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, quantum := range []int{1, 50, DefaultQuantum} {
			c := cursor{root: v, quantum: quantum}
			wantOutput(t, "maps", drain(t, &c, quantum), want)
			if c.memory != nil {
				t.Fatal("a cursor that has ended has kept its memory")
			}
		}
	}
}

// What the next value finds in memory has nothing of the last one's.
func TestMemoryHoldsNoValues(t *testing.T) {
	v := map[string]any{"a": map[string]any{"b": map[string]string{"c": "text"}}, "<": map[string]string{"d": "text"}}
	for range 3 {
		c := cursor{root: v, quantum: DefaultQuantum, memory: new(memory)}
		m := c.memory
		drain(t, &c, DefaultQuantum)
		n := 0
		for e := m.spare; e != nil; e = e.spare {
			n++
			for _, b := range e.batch[:cap(e.batch)] {
				if b != (entry{}) {
					t.Errorf("an entry of %q is left", b.key)
				}
			}
			for _, a := range e.anys[:cap(e.anys)] {
				if a != nil {
					t.Errorf("%v is left", a)
				}
			}
			for _, s := range e.strings[:cap(e.strings)] {
				if s != "" {
					t.Errorf("%q is left", s)
				}
			}
		}
		if n == 0 {
			t.Error("no entries are kept")
		}
	}
}

// The last of them is copied with what lies behind it.
func TestRememberedNamesArePadded(t *testing.T) {
	names := namesOf(sortedKeys("a", "bc", "def"))
	last := names[len(names)-1]
	behind := unsafe.Slice(unsafe.StringData(last), len(last)+wideKey)[len(last):]
	if string(behind) != strings.Repeat(" ", wideKey) {
		t.Errorf("behind %s: %q", last, behind)
	}
}
