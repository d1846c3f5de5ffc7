package encoder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

type textKey struct{ a, b int }

func (k textKey) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "<%d|%d>", k.a, k.b), nil }

type list struct {
	Next *list  `json:"next"`
	Text string `json:"text,omitempty"`
}

type envelope struct {
	A    string           `json:"a"`
	Huge []row            `json:"huge"`
	B    *envelope        `json:"b,omitempty"`
	M    map[string][]row `json:"m"`
	//lint:ignore U1000 it is there to be left out
	any
}

// heavies are values of many quanta, with something large at every place where
// there can be something.
func heavies(t testing.TB) map[string]any {
	n := 5_000
	if testing.Short() {
		n = 1_000
	}
	ints, texts := map[int]string{}, map[textKey]any{}
	strs, anys := map[string]string{}, map[string]any{}
	floats, flags := make([]float64, n), make([]bool, n)
	for i := range n {
		ints[i*7-n] = "x"
		texts[textKey{i, -i}] = i
		strs[fmt.Sprint("key <", i, ">")] = "value"
		anys[fmt.Sprint(i)] = []any{i, nil, map[string]any{"x": float64(i) / 3}}
		floats[i] = math.Sqrt(float64(i))
		flags[i] = i%3 == 0
	}
	deep := any("bottom")
	for range 900 {
		deep = map[string]any{"down": deep, "beside": strings.Repeat("b", 50)}
	}
	var chain *list
	for range 3 * n {
		chain = &list{Next: chain}
	}
	long := strings.Repeat("long <text> with \"all\" kinds of letters: äß漢🙂\u2028. ", n)
	var array [3000][2]row
	return map[string]any{
		"a slice":                    rows(n),
		"an array":                   array,
		"a pointer to an array":      &array,
		"numbers":                    floats,
		"booleans":                   flags,
		"a map of integers":          ints,
		"a map of keys with a text":  texts,
		"a map of strings":           strs,
		"a map of anything":          anys,
		"a deep tree":                deep,
		"a list":                     chain,
		"one huge element of three":  [][]row{nil, rows(n), {}},
		"a huge field":               &envelope{A: long, Huge: rows(n), B: &envelope{M: map[string][]row{"m": rows(n)}}},
		"a long string":              long,
		"long strings":               []string{"short", long, long},
		"a long key":                 map[string]int{long[:4000]: 1, "b": 2},
		"long bytes":                 []byte(long),
		"bytes of all lengths":       [][]byte{[]byte(long)[:5000], []byte(long)[:5001], []byte(long)[:5002], nil, {}},
		"a long raw message":         json.RawMessage(marshal(t, rows(n))),
		"anything":                   []any{rows(n), &floats, long, anys},
		"nothing, very often":        make([]struct{}, n),
		"marshalers of the library":  []any{time.Unix(0, 0).UTC(), big.NewInt(7), rows(n), new(big.Int).Lsh(big.NewInt(1), 9999)},
		"arrays within arrays":       [][3][4]int8{{{1}}, {{2}}},
		"pointers within interfaces": []any{&chain, new(any), &[]any{&floats}},
	}
}

func TestEverythingIsCut(t *testing.T) {
	for name, v := range heavies(t) {
		t.Run(name, func(t *testing.T) {
			want := marshal(t, v)
			for _, quantum := range []int{1, 100, 4096, DefaultQuantum} {
				if quantum == 1 && len(want) > 1<<18 {
					continue
				}
				c := cursor{root: v, quantum: quantum, onCaller: true}
				wantOutput(t, fmt.Sprint("quantum ", quantum), drain(t, &c, quantum), want)
			}
		})
	}
}

func TestEverythingIsCutWithPlainHTML(t *testing.T) {
	for name, v := range heavies(t) {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		c := cursor{root: v, quantum: 4096, onCaller: true, format: format{plainHTML: true, newline: true}}
		wantOutput(t, name, drain(t, &c, 4096), want.Bytes())
	}
}

func TestLines(t *testing.T) {
	three := []any{1, "a\nb", map[string]any{"c": nil}}
	array := [2]row{{1, "x", 2}, {}}
	for _, test := range []struct {
		name string
		v    any
		want string
	}{
		{"a slice", three, "1\n\"a\\nb\"\n{\"c\":null}\n"},
		{"a pointer to a slice", &three, "1\n\"a\\nb\"\n{\"c\":null}\n"},
		{"an array", array, "{\"id\":1,\"name\":\"x\",\"rate\":2}\n{\"id\":0,\"name\":\"\",\"rate\":0}\n"},
		{"an array by its address", &array, "{\"id\":1,\"name\":\"x\",\"rate\":2}\n{\"id\":0,\"name\":\"\",\"rate\":0}\n"},
		{"slices within", [][]int{{1, 2}, nil, {}}, "[1,2]\nnull\n[]\n"},
		{"an empty slice", []int{}, ""},
		{"no slice", []int(nil), ""},
		{"bytes, which are a string", []byte("abc"), "\"YWJj\"\n"},
		{"one value", map[string]int{"a": 1}, "{\"a\":1}\n"},
		{"a nil pointer", (*[]int)(nil), "null\n"},
		{"nil", nil, "null\n"},
	} {
		for _, quantum := range []int{1, DefaultQuantum} {
			e := made(t, WithQuantum(quantum))
			var w bytes.Buffer
			n, err := e.Encode(t.Context(), &w, test.v, Lines(), TrailingNewline())
			if err != nil || n != int64(w.Len()) || w.String() != test.want {
				t.Errorf("%s: %d bytes, %q and error %v, want %q", test.name, n, w.String(), err, test.want)
			}
		}
	}
}

func TestManyLines(t *testing.T) {
	e := made(t)
	v := rows(10_000)
	var want, got bytes.Buffer
	enc := json.NewEncoder(&want)
	for _, r := range v {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Encode(t.Context(), &got, v, Lines()); err != nil {
		t.Fatal(err)
	}
	wantOutput(t, "lines", got.Bytes(), want.Bytes())
}

func TestNumbersBeginWhereverTheirBracketIs(t *testing.T) {
	v := make([]int, minRun+1) // the first goes before the run
	want := marshal(t, v)
	p := planFor(reflect.TypeOf(v))
	for name, dst := range map[string][]byte{"in front of them": []byte("["), "in the segment before": nil} {
		c := cursor{limit: 1 << 20}
		got, n := c.numbers(dst, p.elem, unsafe.Pointer(&v[0]), 0, len(v))
		if wanted := want[1-len(dst) : len(want)-1]; n != len(v) || string(got) != string(wanted) {
			t.Errorf("the bracket %s: %d numbers, %s, want %s", name, n, got, wanted)
		}
	}
}
