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

func TestTheStandardLibrarysMethodsMayRunOnAWorker(t *testing.T) {
	type stamped struct {
		At      time.Time  `json:"at,omitzero"`
		Perhaps *time.Time `json:"perhaps,omitzero"`
		Big     *big.Int
		Number  json.Number
	}
	v := make([]stamped, 100)
	v[7].At, v[7].Number = time.Unix(1, 2), "1e3"
	c := cursor{root: v, quantum: 100} // not trusted
	wantOutput(t, "on a worker", drain(t, &c, 100), marshal(t, v))
}

// TestNoGuessIsBelievedBeyondMeasure has values of which the first part says
// nothing about the rest.
func TestNoGuessIsBelievedBeyondMeasure(t *testing.T) {
	ones := make([]any, 20_000)
	for i := range ones {
		ones[i] = 1
	}
	first := append([]any{strings.Repeat("x", 1<<17)}, ones...)
	nested := append([]any{append([]any{first}, ones...)}, ones...)
	texts := make([]string, 100_000)
	texts[0] = strings.Repeat("x", 1<<20)
	e := made(t)
	for name, v := range map[string]any{"nested": nested, "texts": texts} {
		b, err := e.Marshal(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		wantOutput(t, name, b, marshal(t, v))
		wantNoMoreThan(t, name, b)
	}
}

type kids struct {
	Kids []kids
	More struct{ Kids []kids }
}

func TestEmptySlicesAreNoCycle(t *testing.T) {
	deep := kids{Kids: []kids{}}
	deep.More.Kids = []kids{}
	for range 600 {
		inner := deep
		deep = kids{Kids: []kids{inner}}
		deep.More.Kids = []kids{}
	}
	m := map[string]any{"a": 1}
	var same any = []any{m, struct{ M map[string]any }{m}}
	for range 1000 {
		same = []any{same}
	}
	e := made(t)
	for name, v := range map[string]any{"empty slices": deep, "one map in two places": same} {
		b, err := e.Marshal(t.Context(), v)
		if err != nil {
			t.Fatal(name, err)
		}
		wantOutput(t, name, b, marshal(t, v))
	}
}

// TestLittleOutputIsNoLittleWork has values that give hardly any output for
// what they cost. A quantum may look at no more of them than of any other.
func TestLittleOutputIsNoLittleWork(t *testing.T) {
	type sparse struct {
		A, B, C, D, E, F, G, H string `json:",omitempty"`
	}
	type keyed map[int]struct{}
	maps := make([]keyed, 200)
	for i := range maps {
		maps[i] = keyed{}
		for k := range 500 {
			maps[i][k] = struct{}{}
		}
	}
	var list any
	for range 50_000 {
		list = []any{list}
	}
	for name, test := range map[string]struct {
		v    any
		most int // bytes in a quantum
	}{
		"fields left out": {make([]sparse, 100_000), DefaultQuantum / 4},
		"maps":            {maps, DefaultQuantum / 2},
		"levels":          {list, DefaultQuantum / 16},
	} {
		c := cursor{root: test.v, quantum: DefaultQuantum, onCaller: true}
		for done := false; !done; {
			var out []byte
			var err error
			if out, done, err = c.next(nil); err != nil {
				t.Fatal(err)
			}
			if len(out) > test.most && len(c.stack) > 0 && c.stack[0].at != atElements || len(out) > DefaultQuantum/2 && name != "levels" {
				t.Errorf("%s: %d bytes in a quantum, want at most %d", name, len(out), test.most)
				break
			}
		}
	}
}

func TestLongKeysAreCut(t *testing.T) {
	long := strings.Repeat("k\x01<", 100_000)
	v := map[string]any{"a": 1, long: map[string]int{long + "2": 2}, "z": 3}
	c := cursor{root: v, quantum: 5000, onCaller: true}
	wantOutput(t, "long keys", drain(t, &c, 5000), marshal(t, v))
}

func TestWhatIsLongInOnePieceIsNoWorkersBusiness(t *testing.T) {
	type quoted struct {
		S string  `json:",string"`
		P *string `json:",string"`
	}
	text, raw := strings.Repeat("x", 100_000), json.RawMessage(marshal(t, rows(5000)))
	for name, v := range map[string]any{
		"a raw message":            raw,
		"a pointer to one":         &raw,
		"a number":                 json.Number(strings.Repeat("1", 100_000)),
		"a quoted string":          quoted{S: text},
		"a pointer to one, quoted": quoted{P: &text},
		"a big integer":            big.NewInt(1),
	} {
		e := made(t)
		c := cursor{root: []any{v}, quantum: e.cfg.quantum}
		if _, _, err := c.next(nil); err != errCallsUser {
			t.Errorf("%s: error %v on a worker", name, err)
		}
		got, err := e.Marshal(t.Context(), v)
		if err != nil {
			t.Error(name, err)
		}
		wantOutput(t, name, got, marshal(t, v))
	}
}
