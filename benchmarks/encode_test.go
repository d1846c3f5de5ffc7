package benchmarks

import (
	"bytes"
	stdjson "encoding/json"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// compare returns an error unless got is what v's fidelity promises: the bytes
// in want, another spelling of the same value, or at least JSON.
func compare(v variant, got, want []byte) error {
	if v.newline {
		body, ok := bytes.CutSuffix(got, []byte("\n"))
		if !ok {
			return fmt.Errorf("no newline at the end")
		}
		got = body
	}
	if bytes.Equal(got, want) {
		return nil
	}
	switch v.fidelity {
	case exact:
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		return fmt.Errorf("%d bytes, want %d; they differ at byte %d:\n got %.60q\nwant %.60q",
			len(got), len(want), at, got[at:], want[at:])
	case inexact:
		if len(want) > huge {
			// Decoded twice it takes more memory than there may be.
			if !stdjson.Valid(got) {
				return fmt.Errorf("%d bytes that are not one JSON value", len(got))
			}
			return nil
		}
		var g, w any
		if err := stdjson.Unmarshal(got, &g); err != nil {
			return err
		}
		if err := stdjson.Unmarshal(want, &w); err != nil {
			return err
		}
		if !reflect.DeepEqual(g, w) {
			return fmt.Errorf("another value than encoding/json's")
		}
	case lossy:
		if !stdjson.Valid(got) {
			return fmt.Errorf("%d bytes that are not one JSON value", len(got))
		}
	}
	return nil
}

var long = flag.Bool("long", false, "build payloads of 180 MB, too")

// upTo returns the payloads of at most so many bytes, or all with -long.
func upTo(bytes int) []payload {
	return slices.DeleteFunc(slices.Clone(payloads), func(p payload) bool { return p.bytes > bytes && !*long })
}

// The large payloads are compared by the benchmark itself; here the ones that
// hold every kind of row are enough.
func TestVariantsKeepTheirFidelity(t *testing.T) {
	for _, p := range upTo(1 << 16) {
		v := p.build()
		want, err := stdjson.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, variant := range variants {
			value := variant.value(v)
			if value == nil {
				continue
			}
			t.Run(p.name()+"/"+variant.String(), func(t *testing.T) {
				got, err := bytesOf(variant.start(t), value, len(want))
				if err != nil {
					t.Fatal(err)
				}
				if err := compare(variant, got, want); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A variant that is called inexact or lossy without being so would be treated
// worse than it deserves.
func TestInexactVariantsAreInexact(t *testing.T) {
	v := records(200)()
	want, err := stdjson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, variant := range variants {
		value := variant.value(v)
		if variant.fidelity == exact || value == nil {
			continue
		}
		got, err := bytesOf(variant.start(t), value, len(want))
		if err != nil {
			t.Fatal(err)
		}
		variant.fidelity--
		if compare(variant, got, want) == nil {
			t.Errorf("%s is better than its name says", variant)
		}
	}
}

func TestProbelaneIsExactForLargePayloads(t *testing.T) {
	for _, p := range upTo(20_000_000) {
		v := p.build()
		want, err := stdjson.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, variant := range variants {
			if variant.name != "probelane-Marshal" && variant.name != "probelane-Encode" {
				continue
			}
			got, err := bytesOf(variant.start(t), v, len(want))
			if err != nil {
				t.Fatal(err)
			}
			if err := compare(variant, got, want); err != nil {
				t.Errorf("%s/%s: %v", p.name(), variant, err)
			}
		}
	}
}

func TestPayloadsHaveTheSizeTheyAreNamedAfter(t *testing.T) {
	for _, p := range upTo(20_000_000) {
		b, err := stdjson.Marshal(p.build())
		if err != nil {
			t.Fatal(err)
		}
		if off := float64(len(b))/float64(p.bytes) - 1; off < -0.12 || off > 0.12 {
			t.Errorf("%s has %d bytes, %+.0f %% off", p.name(), len(b), 100*off)
		}
	}
}

// compare is what the benchmarks rely on, so it must see a difference.
func TestCompareSeesDifferences(t *testing.T) {
	for _, c := range []struct {
		name      string
		variant   variant
		got, want string
		equal     bool
	}{
		{"the same bytes", variant{}, `{"a":1}`, `{"a":1}`, true},
		{"the last byte of an exact one", variant{}, `{"a":1]`, `{"a":1}`, false},
		{"an exact one cut short", variant{}, `{"a":1`, `{"a":1}`, false},
		{"an exact one escaping less", variant{}, `"<"`, `"\u003c"`, false},
		{"a missing newline", variant{newline: true}, `1`, `1`, false},
		{"a newline", variant{newline: true}, "1\n", `1`, true},
		{"an inexact one escaping less", variant{fidelity: inexact}, `"<"`, `"\u003c"`, true},
		{"an inexact one with another order", variant{fidelity: inexact}, `{"b":1,"a":2}`, `{"a":2,"b":1}`, true},
		{"an inexact one with another value", variant{fidelity: inexact}, `{"a":2}`, `{"a":1}`, false},
		{"a lossy one with another value", variant{fidelity: lossy}, `0.333333`, `0.3333333333333333`, true},
		{"a lossy one that is not JSON", variant{fidelity: lossy}, `0.33}`, `0.3333333333333333`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compare(c.variant, []byte(c.got), []byte(c.want))
			if (err == nil) != c.equal {
				t.Errorf("compare(%q, %q) = %v", c.got, c.want, err)
			}
		})
	}
}
