package encoder_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/probelane/probelane/encoder"
)

// encoding/json has no limit to depth but the stack, and so there is none here,
// wherever the walk is cut. Where encoding/json itself takes seconds, one in so
// many of the values is compared.
func TestExactDepth(t *testing.T) {
	for _, tt := range []struct {
		levels, oneIn int
		quanta        []int
	}{
		{2_100, 1, []int{1, 1000}},
		{4_200, 2, []int{7, 64}},
		{10_000, 4, []int{3, encoder.DefaultQuantum}},
		{100_000, 13, []int{encoder.DefaultQuantum}},
	} {
		if *long {
			tt.oneIn, tt.quanta = 1, append(tt.quanta, 1, 5000)
		} else if hurried() {
			tt.oneIn *= 4
			if tt.levels > 5_000 {
				continue
			}
		}
		t.Run(fmt.Sprint(tt.levels), func(t *testing.T) {
			for i, s := range nests(tt.levels) {
				if (i+tt.levels)%tt.oneIn > 0 {
					continue
				}
				want := jsonOutcome(s.value)
				for _, q := range tt.quanta {
					vt := newVariant(t, fmt.Sprintf("quantum %d", q), encoder.WithQuantum(q), encoder.WithWriteSize(q), encoder.WithHold(0))
					vt.check(t, s.name, s.value, want)
				}
			}
		})
	}
}

// heavy is longer than a quantum of 64 or 1,000 bytes, and has what is escaped.
var heavy = strings.Repeat("heavy <sibling> \b", 80)

// Each level is cut, on the way down and on the way up.
func TestExactDepthBesideHeavySiblings(t *testing.T) {
	const levels = 1_050
	var before, after, both any = 1, 2, 3
	var list *heavyNode
	for i := range levels {
		before = []any{heavy, before}
		after = map[string]any{"a": after, "b": []string{heavy}}
		both = plain[any]{[]any{i, heavy, map[string]any{"<": both, "z": heavy}}}
		list = &heavyNode{heavy, list, []string{heavy}}
	}
	vs := newVariants(t)[1:]
	if hurried() {
		vs = vs[:1]
	}
	for _, s := range []sample{
		{"heavy before", before},
		{"heavy after", after},
		{"heavy on both sides", both},
		{"heavy in a list", list},
	} {
		want := jsonOutcome(s.value)
		for _, vt := range vs {
			vt.check(t, s.name, s.value, want)
		}
	}
}

type heavyNode struct {
	Before string
	Next   *heavyNode `json:",omitempty"`
	After  []string
}

// A ring is a cycle that begins somewhere below, and what leads into it.
type ring struct {
	name string
	make func() any
}

var rings = []ring{
	{"a slice in itself", func() any { s := []any{1, nil}; s[1] = s; return s }},
	{"a slice in its own beginning", func() any { s := []any{nil, 2}; s[0] = s[:1]; return s }},
	{"a slice in an array in itself", func() any { s := []any{nil}; s[0] = [1]any{s}; return s }},
	{"a map in itself", func() any { m := map[string]any{"a": 1}; m["m"] = m; return m }},
	{"a map in itself behind a heavy entry", func() any {
		m := map[string]any{"a": heavy}
		m["m"] = m
		return m
	}},
	{"two maps", func() any {
		m, n := map[string]any{}, map[int]any{}
		m["n"], n[1] = n, m
		return m
	}},
	{"a map and a slice", func() any {
		m, s := map[string]any{}, []any{nil}
		m["s"], s[0] = s, m
		return m
	}},
	{"a slice and a map", func() any {
		m, s := map[string]any{}, []any{nil}
		m["s"], s[0] = s, m
		return s
	}},
	{"a pointer to an interface", func() any { var x any; x = &x; return x }},
	{"two pointers to interfaces", func() any { var x, y any; x, y = &y, &x; return x }},
	{"a pointer to itself", func() any { var p selfPtr; p = &p; return p }},
	{"two pointers", func() any { var p, q selfPtr; p, q = &q, &p; return q }},
	{"a list of one", func() any { n := &listNode{N: 1}; n.Next = n; return n }},
	{"a list of three", func() any {
		n := &listNode{1, &listNode{2, &listNode{N: 3}}}
		n.Next.Next.Next = n
		return n
	}},
	{"a list by value", func() any { n := listNode{N: 1}; n.Next = &n; return n }},
	{"a heavy list", func() any { n := &heavyNode{heavy, nil, []string{heavy}}; n.Next = n; return n }},
	{"a tree", func() any { n := &tree{Name: "<"}; n.Children = []*tree{{Name: "leaf"}, n}; return n }},
	{"a pointer, a slice and a map", func() any {
		n := &selfAny{}
		n.V = []any{map[string]any{"x": n}}
		return n
	}},
	{"a typed slice", func() any { s := selfSlice{nil, nil}; s[1] = s; return s }},
	{"a typed map", func() any { m := selfMap{}; m["m"] = m; return m }},
	{"a field that may be left out", func() any { h := &husband{Name: "h"}; h.Wife = &wife{"w", h, nil}; return h }},
	{"a map of structs", func() any {
		k := map[string]husband{}
		k["k"] = husband{"h", &wife{"w", nil, k}}
		return k
	}},
	{"pointer marshalers on the way", func() any { j := &selfJSON{}; j.More = []selfJSON{{}, {Next: j}}; return j }},
}

// entries lead down to a value by n levels.
var entries = []struct {
	name string
	down func(v any) any
}{
	{"slices", func(v any) any { return []any{v} }},
	{"maps", func(v any) any { return map[string]any{"k": v} }},
	{"pointers", func(v any) any { return &v }},
	{"structs", func(v any) any { return plain[any]{v} }},
	{"pointers to structs", func(v any) any { return &plain[any]{v} }},
	{"heavy slices", func(v any) any { return []any{heavy, v, heavy} }},
}

// The error names the type with which the cycle closed, which is the one that
// encoding/json was at when it had gone 1,000 levels deep and came back.
func TestExactCycles(t *testing.T) {
	vs := newVariants(t)
	levels := []int{0, 1, 2, 37, 996, 997, 998, 999, 1000, 1001, 1002, 1003}
	for i, r := range rings {
		for j, entry := range entries {
			for k, n := range levels {
				switch {
				case strings.Contains(r.name, "heavy") && n > 0, entry.name == "heavy slices" && n > 37:
					continue // a few megabytes by the time the cycle is seen
				case *long:
				case (i+j+k)%8 > 0, hurried() && i%4 > 0:
					continue // each ring meets every entry and every depth, but not all at once
				}
				v := r.make()
				for range n {
					v = entry.down(v)
				}
				want := jsonOutcome(v)
				if want.err == nil {
					t.Fatalf("%s is no cycle to encoding/json", r.name)
				}
				vt := vs[(i+j+k)%len(vs)]
				if strings.Contains(r.name+entry.name, "heavy") {
					vt = vs[len(vs)-1-k%2]
				}
				if !vt.check(t, fmt.Sprintf("%s, below %d %s", r.name, n, entry.name), v, want) {
					break
				}
			}
		}
	}
}

// What is met again is no cycle unless it is met inside itself.
func TestExactNoCycles(t *testing.T) {
	shared := &listNode{1, &listNode{N: 2}}
	slice := []any{nil, "<"}
	slice[0] = slice[:0]
	part := []any{nil, nil}
	part[1] = part[:1]
	table := map[string]any{"a": nil}
	vs := newVariants(t)
	for _, v := range []any{
		[]any{shared, shared, shared.Next, []*listNode{shared, shared}},
		slice,
		part,
		map[string]any{"a": table, "b": table, "c": []any{table, table}},
		[]any{&table, &table},
		[][]any{slice, slice, slice[1:], part},
	} {
		for _, n := range []int{0, 999, 1000, 1001, 1100} {
			v := v
			for range n {
				v = []any{v, 1}
			}
			want := jsonOutcome(v)
			if want.err != nil {
				t.Fatalf("encoding/json: %v", want.err)
			}
			for _, vt := range vs {
				vt.check(t, fmt.Sprintf("%T below %d slices", v, n), v, want)
			}
		}
	}
}

// The level from which on cycles are looked for may be of any kind, and what is
// below it of any other.
func TestExactDepthOfTwoKinds(t *testing.T) {
	vs := newVariants(t)[1:]
	for i, outer := range entries {
		for j, inner := range entries {
			if outer.name == inner.name || hurried() && i != (j+1)%len(entries) {
				continue
			}
			for k, n := range []int{995, 999, 1000, 1001, 1995, 2045, 2050, 2100} {
				if !*long && ((i+j+k)%3 > 0 || outer.name == "heavy slices" && n > 1001) {
					continue
				}
				var v any = map[string]any{"<": []any{1.5, "\b", nil, struct{}{}}}
				for range 10 {
					v = inner.down(v)
				}
				for range n - 10 {
					v = outer.down(v)
				}
				want := jsonOutcome(v)
				if vt := vs[n%len(vs)]; !vt.check(t, fmt.Sprintf("10 %s below %d %s", inner.name, n-10, outer.name), v, want) {
					break
				}
			}
		}
	}
}
