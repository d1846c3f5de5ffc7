package encoder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/probelane/probelane/encoder"
)

// long makes the tests of exactness look at more values: go test -long.
var long = flag.Bool("long", false, "compare more random values, and every value in every wrapping at every quantum")

// outcome is all that a caller can see of an encode.
type outcome struct {
	out      []byte
	err      error
	panicked any
	exited   bool // by runtime.Goexit
}

// outcomeOf runs encode on a goroutine of its own, where a panic or Goexit
// ends nothing else.
func outcomeOf(encode func() ([]byte, error)) (o outcome) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			o.panicked = recover()
			o.exited = !returned && o.panicked == nil
		}()
		o.out, o.err = encode()
		returned = true
	}()
	<-done
	return o
}

func (o outcome) String() string {
	switch {
	case o.exited:
		return "Goexit"
	case o.panicked != nil:
		return fmt.Sprintf("panic %T %v", o.panicked, o.panicked)
	case o.err != nil:
		return "error " + describe(o.err)
	}
	return fmt.Sprintf("%d bytes", len(o.out))
}

// describe spells out an error with the types of its chain and the exported
// parts of encoding/json's own.
func describe(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "[%T", err)
		switch err := err.(type) {
		case *json.UnsupportedTypeError:
			fmt.Fprintf(&b, " type %v", err.Type)
		case *json.UnsupportedValueError:
			fmt.Fprintf(&b, " value of %v", err.Value.Type())
		case *json.MarshalerError:
			fmt.Fprintf(&b, " type %v", err.Type)
		}
		fmt.Fprintf(&b, "] %q ", err)
	}
	return b.String()
}

// diff says how two outcomes differ, or nothing if they do not.
func diff(got, want outcome) string {
	if got.out == nil || want.out == nil {
		if g, w := got.String(), want.String(); g != w {
			return fmt.Sprintf("got  %s\nwant %s", g, w)
		}
		return ""
	}
	if bytes.Equal(got.out, want.out) {
		return ""
	}
	at := 0
	for at < len(got.out) && at < len(want.out) && got.out[at] == want.out[at] {
		at++
	}
	return fmt.Sprintf("differs at offset %d (of %d, want %d)\ngot  %s\nwant %s",
		at, len(got.out), len(want.out), around(got.out, at), around(want.out, at))
}

// around quotes b on both sides of an offset.
func around(b []byte, at int) string {
	from, to := max(0, at-40), min(len(b), at+60)
	return fmt.Sprintf("…%q|%q…", b[from:at], b[at:to])
}

// jsonOutcome is what encoding/json makes of v.
func jsonOutcome(v any) outcome {
	return outcomeOf(func() ([]byte, error) { return json.Marshal(v) })
}

// variant is an encoder and how it is cut.
type variant struct {
	name string
	enc  *encoder.Encoder
}

func newVariant(t testing.TB, name string, opts ...encoder.Option) variant {
	t.Helper()
	enc, err := encoder.New(opts...)
	if err != nil {
		t.Fatalf("encoder.New: %v", err)
	}
	t.Cleanup(func() {
		if err := enc.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return variant{name, enc}
}

// newVariants are encoders that cut everywhere, often, and as they do by
// default. The first streams all it can, the last holds all.
func newVariants(t testing.TB) []variant {
	t.Helper()
	return []variant{
		newVariant(t, "quantum 1", encoder.WithQuantum(1), encoder.WithWriteSize(1), encoder.WithHold(0)),
		newVariant(t, "quantum 64", encoder.WithQuantum(64), encoder.WithWriteSize(1000), encoder.WithHold(2000)),
		newVariant(t, "default"),
	}
}

// encoded is what Encode writes. On an error it gives no bytes, as Marshal
// does: what has been written by then depends on the hold.
func encoded(enc *encoder.Encoder, v any) ([]byte, error) {
	var w bytes.Buffer
	n, err := enc.Encode(context.Background(), &w, v)
	if n != int64(w.Len()) {
		return nil, fmt.Errorf("Encode returned %d, but wrote %d bytes", n, w.Len())
	}
	if err != nil {
		return nil, err
	}
	return w.Bytes(), nil
}

// ways are the methods that encode.
var ways = []struct {
	name   string
	encode func(*encoder.Encoder, any) ([]byte, error)
}{
	{"Marshal", func(enc *encoder.Encoder, v any) ([]byte, error) { return enc.Marshal(context.Background(), v) }},
	{"MarshalInline", func(enc *encoder.Encoder, v any) ([]byte, error) {
		return enc.MarshalInline(context.Background(), v)
	}},
	{"Encode", encoded},
}

// check compares what a variant makes of v with what encoding/json does, and
// reports whether it is the same.
func (vt variant) check(t testing.TB, name string, v any, want outcome) bool {
	t.Helper()
	for _, way := range ways {
		got := outcomeOf(func() ([]byte, error) { return way.encode(vt.enc, v) })
		if d := diff(got, want); d != "" {
			t.Errorf("%s: %s, %s, of %T\n%s", name, way.name, vt.name, v, d)
			return false
		}
	}
	return true
}

// wrap puts v into larger values, so that whatever it is gets cut: a slice
// and a map of it, structs around it, pointers to it, an interface with it.
func wrap(v any, n int) []sample {
	if v == nil {
		return []sample{{"nils in any", make([]any, n)}}
	}
	elem := reflect.ValueOf(v)
	list := reflect.MakeSlice(reflect.SliceOf(elem.Type()), n, n)
	for i := range n {
		list.Index(i).Set(elem)
	}
	table := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), elem.Type()))
	anys := make([]any, n)
	for i := range n {
		table.SetMapIndex(reflect.ValueOf(fmt.Sprintf("key <%d>", i)), elem)
		anys[i] = v
	}
	ptr := reflect.New(elem.Type())
	ptr.Elem().Set(elem)
	ptrPtr := reflect.New(ptr.Type())
	ptrPtr.Elem().Set(ptr)
	both := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: elem.Type()},
		{Name: "B", Type: list.Type()},
	})).Elem()
	both.Field(0).Set(elem)
	both.Field(1).Set(list)
	pair := reflect.New(reflect.ArrayOf(2, elem.Type())).Elem()
	pair.Index(1).Set(elem)
	return []sample{
		{"in any", anys},
		{"in a slice", list.Interface()},
		{"in a map", table.Interface()},
		{"pointer to it", ptr.Interface()},
		{"pointer to a pointer to it", ptrPtr.Interface()},
		{"in a struct", both.Interface()},
		{"in an array", pair.Interface()},
		{"pointer and value", []any{ptr.Interface(), v, both.Addr().Interface(), pair.Addr().Interface()}},
	}
}

// exactGroups are the features of encoding/json. Those that are wrapped are
// also compared in larger values around them, and those that are large in the
// smallest quanta only now and then. Where time is short, one in so many of the
// samples is taken.
var exactGroups = []struct {
	name    string
	samples func() []sample
	wrapped bool
	large   bool
	oneIn   int
}{
	{"kinds under every tag option", kindSamples, true, false, 35},
	{"tags", tagSamples, true, false, 5},
	{"strings", stringSamples, false, false, 6},
	{"numbers", numberSamples, true, false, 9},
	{"raw JSON", rawSamples, true, false, 8},
	{"marshalers", marshalerSamples, true, false, 1},
	{"embedding", embeddingSamples, true, false, 2},
	{"map keys", keySamples, true, false, 13},
	{"slices, arrays and maps", collectionSamples, true, false, 7},
	{"unsupported types", unsupportedSamples, true, false, 8},
	{"library types", librarySamples, true, false, 19},
	{"recursive types", recursiveSamples, true, false, 1},
	{"any", anySamples, true, false, 1},
	{"cycles", cycleSamples, false, false, 6},
	{"depth", nestSamples, false, true, 17},
	{"large values", largeSamples, false, true, 9},
}

// hurried reports whether time is short: in short mode, and under the race
// detector, where everything takes ten times as long. The bytes are the same
// without it.
var hurried = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	race := ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	return !*long && (race || testing.Short())
})

func TestExact(t *testing.T) {
	for _, g := range exactGroups {
		t.Run(g.name, func(t *testing.T) {
			all := newVariants(t)
			for i, s := range g.samples() {
				if hurried() && i%g.oneIn != 0 {
					continue
				}
				variants := all
				if g.large && !*long {
					variants = all[leftOut(i, g.oneIn):]
				}
				want := jsonOutcome(s.value)
				for _, vt := range variants {
					vt.check(t, s.name, s.value, want)
				}
				if g.wrapped {
					checkWrapped(t, variants, i, s, len(want.out))
				}
			}
		})
	}
}

// leftOut is how many of the variants, which begin with the smallest quantum, are
// not worth their time for the i-th large sample: a turn for each byte is
// what one in oneIn gets, and every other one has quanta of 64 bytes.
func leftOut(i, oneIn int) int {
	switch {
	case hurried():
		return 1
	case i%oneIn == 2: // not the longest
		return 0
	}
	return 1 + i%2
}

// A value is repeated in what is wrapped around it until that is a few quanta
// of 64 bytes, but not often if it is large.
const (
	wrapCount = 40
	wrapBytes = 4 << 10
)

// checkWrapped compares s in larger values: in all of them with -long,
// otherwise in a few, which differ from sample to sample.
func checkWrapped(t *testing.T, variants []variant, i int, s sample, bytes int) {
	wrapped := wrap(s.value, max(3, min(wrapCount, wrapBytes/(bytes+1))))
	if !*long && len(wrapped) > wrapsPerSample {
		wrapped = append(wrapped, wrapped...)[i*wrapsPerSample%len(wrapped):][:wrapsPerSample]
		if hurried() {
			wrapped = wrapped[:1]
		}
	}
	for _, w := range wrapped {
		want := jsonOutcome(w.value)
		for _, vt := range variants {
			if !vt.check(t, s.name+" "+w.name, w.value, want) {
				return
			}
		}
	}
}

// wrapsPerSample has no common factor with the number of wrappings, so that
// neighbours, which are alike, meet all of them.
const wrapsPerSample = 3

// The types of the next test differ only in Tag, so that each can be encoded
// for the first time in another way.
type (
	byAddress[Tag any]     struct{ N int }
	textByAddress[Tag any] struct{ N int }
	mixed[Tag any]         struct{ N int }
	holder[Tag any]        struct {
		J byAddress[Tag]
		T textByAddress[Tag]
		M mixed[Tag]
	}
)

func (p *byAddress[Tag]) MarshalJSON() ([]byte, error)     { return []byte(`"by address"`), nil }
func (p *textByAddress[Tag]) MarshalText() ([]byte, error) { return []byte("<text by address>"), nil }
func (p *mixed[Tag]) MarshalJSON() ([]byte, error)         { return []byte(`"mixed by address"`), nil }
func (p mixed[Tag]) MarshalText() ([]byte, error)          { return []byte("mixed text"), nil }

// uses are ways to come upon a holder, addressable and not.
func uses[Tag any]() []any {
	type h = holder[Tag]
	return []any{
		h{}, &h{}, []h{{}, {}}, [2]h{}, &[2]h{}, map[string]h{"a": {}}, map[string]*h{"a": {}}, []any{h{}, &h{}}, plain[h]{}, &plain[h]{},
		struct {
			V h
			P *h
		}{P: &h{}}, byAddress[Tag]{}, &byAddress[Tag]{}, []textByAddress[Tag]{{}}, map[int]mixed[Tag]{1: {}}, []mixed[Tag]{{}}, [1]mixed[Tag]{},
	}
}

// A type may be compiled for the first value of it that is seen. That must
// not decide how later ones are encoded.
func TestExactWhateverCameFirst(t *testing.T) {
	everyUse := []func() []any{
		uses[int], uses[int8], uses[int16], uses[int32], uses[int64], uses[uint], uses[uint8], uses[uint16], uses[uint32], uses[uint64],
		uses[float32], uses[float64], uses[string], uses[bool], uses[uintptr], uses[complex64], uses[complex128],
	}
	vs := newVariants(t)
	for first, use := range everyUse {
		values := use()
		for i := range values {
			v := values[(first+i)%len(values)]
			want := jsonOutcome(v)
			for j := range vs {
				vs[(first+j)%len(vs)].check(t, fmt.Sprintf("use %d after %d", (first+i)%len(values), first), v, want)
			}
		}
	}
}

// exploding does in its methods what no method should.
type exploding struct{ do func() }

func (e exploding) MarshalJSON() ([]byte, error) { e.do(); return []byte("1"), nil }

type explodingText struct{ do func() }

func (e *explodingText) MarshalText() ([]byte, error) { e.do(); return []byte("1"), nil }

type explodingZero struct{ do func() }

func (e explodingZero) IsZero() bool { e.do(); return false }

func TestExactPanics(t *testing.T) {
	boom := &customError{1}
	var none []int
	acts := []struct {
		name string
		do   func()
	}{
		{"a pointer", func() { panic(boom) }},
		{"a string", func() { panic("boom") }},
		{"nil", func() { panic(any(nil)) }},
		{"a runtime error", func() { none[len(none)]++ }},
		{"an error of encoding/json", func() { panic(&json.UnsupportedTypeError{Type: reflect.TypeFor[int]()}) }},
		{"a panic in a deferred call", func() {
			defer func() { panic(boom) }()
			panic("first")
		}},
		{"Goexit", runtime.Goexit},
	}
	vs := newVariants(t)
	if hurried() {
		vs = vs[1:]
	}
	for _, act := range acts {
		for i, v := range []any{
			exploding{act.do},
			[]any{1, exploding{act.do}, 2},
			map[string]any{"a": 1, "b": exploding{act.do}},
			&explodingText{act.do},
			append(make([]any, 20_000), exploding{act.do}),
			append(make([]*explodingText, 20_000), &explodingText{act.do}),
			map[*explodingText]int{{act.do}: 1},
			omitZero[explodingZero]{V: explodingZero{act.do}},
			[]any{strings.Repeat("x", 200_000), omitZero[explodingZero]{V: explodingZero{act.do}}},
		} {
			want := jsonOutcome(v)
			for _, vt := range vs {
				vt.check(t, fmt.Sprintf("%s, %d", act.name, i), v, want)
				after := []int{1, 2, 3}
				vt.check(t, act.name+", what comes after", after, jsonOutcome(after))
			}
		}
	}
}

func TestExactErrorsOfMarshalers(t *testing.T) {
	own := &customError{5}
	for _, vt := range newVariants(t) {
		for _, v := range []any{failing{own}, append(make([]any, 20_000), failing{fmt.Errorf("wrapped: %w", own)}), map[string]failingText{"a": {own}}} {
			_, err := vt.enc.Marshal(context.Background(), v)
			if got := (*customError)(nil); !errors.As(err, &got) || got != own {
				t.Errorf("%s: Marshal of %T gives %v, which does not lead to the marshaler's error", vt.name, v, err)
			}
		}
	}
}

// An IsZero method with a pointer receiver may change what it is called on. If
// that is not addressable it gets a copy.
func TestExactIsZeroThatWrites(t *testing.T) {
	n := 5 // not a constant, or the values could be in read-only memory
	v := omitZero[zeroWriter]{V: zeroWriter{n}}
	for _, vt := range newVariants(t) {
		for _, v := range []any{v, map[string]omitZero[zeroWriter]{"a": v}, []any{v, v}, plain[any]{v}, [2]omitZero[zeroWriter]{v, v}} {
			vt.check(t, "IsZero that writes", v, jsonOutcome(v))
		}
	}
}

// counting writes down its calls.
type counting struct {
	name  string
	calls *[]string
}

func (c counting) note(what string)             { *c.calls = append(*c.calls, what+" "+c.name) }
func (c counting) MarshalJSON() ([]byte, error) { c.note("MarshalJSON"); return []byte("1"), nil }
func (c counting) IsZero() bool                 { c.note("IsZero"); return false }

type countingText struct{ c counting }

func (t *countingText) MarshalText() ([]byte, error) {
	t.c.note("MarshalText")
	return []byte("x"), nil
}

// Marshalers are called once each, in the order of the value.
func TestExactCallsOfMarshalers(t *testing.T) {
	var calls []string
	c := func(name string) counting { return counting{name, &calls} }
	many := make([]counting, 300)
	texts := make([]countingText, 300)
	for i := range many {
		many[i] = c(strconv.Itoa(i))
		texts[i] = countingText{c("text " + strconv.Itoa(i))}
	}
	values := []any{
		c("alone"), many, texts, map[string]any{"b": c("b"), "a": many, "c": &texts[0]}, []omitZero[counting]{{V: c("x")}, {V: c("y")}},
		plain[[]any]{[]any{strings.Repeat("z", 100_000), c("after"), omitZero[counting]{V: c("last")}, map[int]counting{1: c("1"), 10: c("10"), 2: c("2")}}},
	}
	for _, v := range values {
		calls = nil
		if _, err := json.Marshal(v); err != nil {
			t.Fatal(err)
		}
		want := calls
		for _, vt := range newVariants(t) {
			for _, way := range ways {
				calls = nil
				if _, err := way.encode(vt.enc, v); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(calls, want) {
					t.Errorf("%s: %s, of %T makes %d calls, want %d\ngot  %.300q\nwant %.300q", way.name, vt.name, v, len(calls), len(want), calls, want)
				}
			}
		}
	}
}

// What Marshal returned does not change when the encoder is used again.
func TestExactResultsAreTheCallers(t *testing.T) {
	vs := newVariants(t)
	if hurried() {
		vs = vs[1:]
	}
	for _, vt := range vs {
		var results [][]byte
		values := mapTo([]int{1, 100, 2_000, 30_000, 3, 1_000, 25_000, 10}, func(n int) any { return strings.Split(strings.Repeat(strconv.Itoa(n)+" ", n), " ") })
		for _, v := range values {
			got, err := vt.enc.Marshal(context.Background(), v)
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, got)
			if _, err := encoded(vt.enc, []any{nil, v}[:1+len(results)%2]); err != nil {
				t.Fatal(err)
			}
		}
		for i, got := range results {
			if d := diff(outcome{out: got}, jsonOutcome(values[i])); d != "" {
				t.Errorf("%s: result %d\n%s", vt.name, i, d)
			}
		}
	}
}

// untouched fails the test if anything is written to it.
type untouched struct{ t *testing.T }

func (u untouched) Write(b []byte) (int, error) {
	u.t.Errorf("%d bytes were written", len(b))
	return len(b), nil
}

func TestExactErrorBeforeTheFirstWrite(t *testing.T) {
	vt := newVariant(t, "quantum 64, held", encoder.WithQuantum(64))
	for _, s := range join(unsupportedSamples(), cycleSamples()) {
		if want := jsonOutcome(s.value); want.err != nil {
			n, err := vt.enc.Encode(context.Background(), untouched{t}, s.value)
			if n != 0 || err == nil {
				t.Errorf("%s: Encode returned %d, %v; want 0 and an error", s.name, n, err)
			}
		}
	}
}

// recursiveUse calls the encoder from inside a marshaler.
type recursiveUse struct {
	enc *encoder.Encoder
	v   any
}

func (r recursiveUse) MarshalJSON() ([]byte, error) { return r.enc.Marshal(context.Background(), r.v) }

func TestExactMarshalersThatUseTheEncoder(t *testing.T) {
	for _, vt := range newVariants(t) {
		inner := []any{strings.Repeat("<", 1000), map[string]any{"b": pointerJSON{1}, "a": nil}}
		v := recursiveUse{vt.enc, inner}
		many := make([]any, 100)
		for i := range many {
			many[i] = recursiveUse{vt.enc, []any{v, i}}
		}
		vt.check(t, "marshalers that use the encoder", many, jsonOutcome(many))
	}
}

// Types are met for the first time by many goroutines at once.
func TestExactConcurrently(t *testing.T) {
	vs := newVariants(t)
	samples := join(marshalerSamples(), embeddingSamples(), recursiveSamples(), anySamples(), newUses[*int]())
	wants := mapTo(samples, func(s sample) outcome { return jsonOutcome(s.value) })
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range samples {
				i = (i + g*len(samples)/8) % len(samples)
				vs[g%len(vs)].check(t, samples[i].name, samples[i].value, wants[i])
			}
		})
	}
	wg.Wait()
}

// newUses names the uses of a type of its own.
func newUses[Tag any]() []sample {
	return mapTo(uses[Tag](), func(v any) sample { return sample{"a type new to all", v} })
}
