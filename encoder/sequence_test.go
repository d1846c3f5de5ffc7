package encoder

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// upTo yields n rows.
func upTo(n int) iter.Seq[row] {
	return func(yield func(row) bool) {
		for i := range n {
			if !yield(row{ID: i, Name: "<row>", Rate: float64(i) / 3}) {
				return
			}
		}
	}
}

// breaking yields n rows and then an error.
func breaking(n int, err error) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for r := range upTo(n) {
			if !yield(r, nil) {
				return
			}
		}
		yield(row{}, err)
	}
}

type page struct {
	Items iter.Seq[row]               `json:"items"`
	Next  string                      `json:"next"`
	Both  func(func(row, error) bool) `json:"both,omitempty"`
	Typed Sequence                    `json:"typed"`
}

func TestSequences(t *testing.T) {
	type named iter.Seq[row]
	for _, n := range []int{0, 1, 3, 5_000} {
		all := slices.Collect(upTo(n))
		if all == nil {
			all = []row{}
		}
		array := string(marshal(t, all))
		for _, test := range []struct {
			name string
			v    any
			want string
		}{
			{"a Seq", upTo(n), array},
			{"a Seq2", breaking(n, nil), strings.Replace(string(marshal(t, append(all, row{}))), "[,", "[", 1)},
			{"Rows", Rows(upTo(n)), array},
			{"RowsErr", RowsErr(func(yield func(row, error) bool) {
				for r := range upTo(n) {
					if !yield(r, nil) {
						return
					}
				}
			}), array},
			{"a named type", named(upTo(n)), array},
			{"a pointer to one", new(named(upTo(n))), array},
			{"in an envelope", page{Items: upTo(n), Next: "…", Typed: Rows(upTo(n))},
				`{"items":` + array + `,"next":"…","both":null,"typed":` + array + `}`},
			{"in a map", map[string]any{"a": 1, "items": upTo(n), "z": 2}, `{"a":1,"items":` + array + `,"z":2}`},
			{"a sequence of sequences", func(yield func(iter.Seq[row]) bool) {
				_ = yield(upTo(n)) && yield(nil) && yield(upTo(n))
			}, "[" + array + ",null," + array + "]"},
			{"none", iter.Seq[row](nil), "null"},
			{"no Sequence", Sequence{}, "null"},
		} {
			t.Run(fmt.Sprintf("%s of %d", test.name, n), func(t *testing.T) {
				for _, quantum := range []int{1, 100, DefaultQuantum} {
					e := made(t, WithQuantum(quantum))
					var w bytes.Buffer
					got, err := e.Encode(t.Context(), &w, test.v)
					if err != nil || got != int64(w.Len()) {
						t.Errorf("quantum %d: %d bytes of %d, error %v", quantum, got, w.Len(), err)
					}
					wantOutput(t, fmt.Sprint("quantum ", quantum), w.Bytes(), []byte(test.want))
				}
			})
		}
	}
}

func TestSequencesAsLines(t *testing.T) {
	e := made(t)
	for _, n := range []int{0, 1, 5_000} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		for r := range upTo(n) {
			if err := enc.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
		for name, v := range map[string]any{"a Seq": upTo(n), "Rows": Rows(upTo(n))} {
			var w bytes.Buffer
			if _, err := e.Encode(t.Context(), &w, v, Lines()); err != nil {
				t.Error(err)
			}
			wantOutput(t, name, w.Bytes(), want.Bytes())
		}
	}
}

func TestOnlyEncodeWritesSequences(t *testing.T) {
	e := made(t)
	_, want := json.Marshal(upTo(1)) //lint:ignore SA1026 an error is what is wanted
	for _, marshal := range []func(context.Context, any, ...EncodeOption) ([]byte, error){e.Marshal, e.MarshalInline} {
		if _, err := marshal(t.Context(), upTo(1)); err == nil || err.Error() != want.Error() {
			t.Errorf("a Seq: error %v, want %v", err, want)
		}
		if _, err := marshal(t.Context(), Rows(upTo(1))); !errors.Is(err, errSequence) {
			t.Errorf("Rows: error %v", err)
		}
	}
}

// ended is a sequence that tells whether it has been left.
func ended[T any](seq iter.Seq2[T, error], left *bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer func() { *left = true }()
		seq(yield)
	}
}

func TestASequenceIsLeftHoweverItEnds(t *testing.T) {
	cause := errors.New("the database is away")
	bad := func(yield func(any, error) bool) {
		for i := 0; ; i++ {
			var v any = i
			if i == 20_000 {
				v = make(chan int)
			}
			if !yield(v, nil) {
				return
			}
		}
	}
	broken := errors.New("the client is away")
	for _, test := range []struct {
		name  string
		seq   func(left *bool) any
		w     io.Writer
		check func(r result) bool
	}{
		{"an error at once", func(left *bool) any { return ended(breaking(0, cause), left) }, untouched(t),
			func(r result) bool { return r.err == cause && r.n == 0 }},
		// A few rows, so that even on a busy machine it comes before flushAfter.
		{"an error within the hold", func(left *bool) any { return ended(breaking(100, cause), left) }, untouched(t),
			func(r result) bool { return r.err == cause && r.n == 0 }},
		{"an error after the first write", func(left *bool) any { return ended(breaking(100_000, cause), left) }, io.Discard,
			func(r result) bool { return r.err == cause && r.n > 0 }},
		{"a row that has no JSON", func(left *bool) any { return ended(bad, left) }, io.Discard,
			func(r result) bool { return errors.As(r.err, new(*json.UnsupportedTypeError)) }},
		{"a writer that fails", func(left *bool) any { return ended(breaking(1_000_000, cause), left) },
			writerFunc(func([]byte) (int, error) { return 0, broken }),
			func(r result) bool { return r.err == broken }},
		{"a writer that panics", func(left *bool) any { return ended(breaking(1_000_000, cause), left) },
			writerFunc(func([]byte) (int, error) { panic(broken) }),
			func(r result) bool { return r.panicked == broken }},
		{"a panic of its own", func(left *bool) any {
			return ended(func(yield func(int, error) bool) {
				for i := range 50_000 {
					if !yield(i, nil) {
						return
					}
				}
				panic(cause)
			}, left)
		}, io.Discard, func(r result) bool { return r.panicked == cause }},
		{"Goexit", func(left *bool) any {
			return ended(func(yield func(int, error) bool) { yield(1, nil); runtime.Goexit() }, left)
		}, io.Discard, func(r result) bool { return r.exited }},
		{"a marshaler of a row that panics", func(left *bool) any {
			return ended(func(yield func(marshalerFunc, error) bool) {
				yield(func() ([]byte, error) { panic(cause) }, nil)
			}, left)
		}, io.Discard, func(r result) bool { return r.panicked == cause }},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := made(t)
			left := false
			r := <-startEncode(t.Context(), e, test.w, test.seq(&left))
			if !test.check(r) {
				t.Errorf("%d bytes, error %v, panic %v, exited %v", r.n, r.err, r.panicked, r.exited)
			}
			if !left {
				t.Error("the sequence has not been left")
			}
		})
	}
}

func TestASequenceEndsWithItsContext(t *testing.T) {
	e := made(t)
	ctx, cancel := context.WithCancel(t.Context())
	left, rows := false, 0
	endless := func(yield func(int, error) bool) {
		for yield(rows, nil) {
			if rows++; rows == 100_000 {
				cancel()
			}
		}
	}
	if _, err := e.Encode(ctx, io.Discard, ended(endless, &left)); !errors.Is(err, context.Canceled) || !left {
		t.Errorf("error %v, left %v", err, left)
	}
}

// flushed is a writer that tells what it has when it is flushed.
type flushed struct {
	bytes.Buffer
	flushes chan string
}

func (w *flushed) Flush() { w.flushes <- w.String() }

func TestARowThatComesLateIsSentAtOnce(t *testing.T) {
	e := made(t)
	w := &flushed{flushes: make(chan string, 100)}
	more := make(chan int)
	done := startEncode(t.Context(), e, w, func(yield func(int) bool) {
		for i := range more {
			if !yield(i) {
				return
			}
		}
	})
	// Whatever has been sent by the time that a row arrives: rows go on coming
	// until this one was flushed.
	for want := range 3 {
		for got := ""; !strings.Contains(got, fmt.Sprint("[", 1000*want)) && !strings.Contains(got, fmt.Sprint(",", 1000*want)); {
			select {
			case got = <-w.flushes:
			case more <- 1000 * want:
			case <-time.After(deadline):
				t.Fatalf("row %d has not been flushed", want)
			}
		}
	}
	close(more)
	if r := <-done; r.err != nil {
		t.Error(r.err)
	}
	if !json.Valid(w.Bytes()) {
		t.Errorf("%q is no JSON", w.Bytes())
	}
}

func TestWhenRowsAreSent(t *testing.T) {
	const late = 2 * flushAfter
	type step struct {
		pause time.Duration
		rows  int
	}
	for _, test := range []struct {
		name  string
		steps []step
		want  []int // rows that had been sent before each step
	}{
		{"a row that comes late, and the next", []step{{late, 1}, {late, 1}, {late, 1}, {0, 0}}, []int{0, 1, 2, 3}},
		{"a quick first row waits for the second", []step{{0, 1}, {late, 1}, {late, 1}, {0, 0}}, []int{0, 0, 2, 3}},
		{"the rows of a burst after a late one", []step{{late, 10}, {late, 10}, {0, 0}}, []int{0, 10, 20}},
		{"a longer burst", []step{{late, 10 * slowRows}, {late, 1}, {0, 0}}, []int{0, slowRows, 10*slowRows + 1}},
		{"rows at half the pace", []step{{late, 1}, {flushAfter / 2, 1}, {flushAfter / 2, 1}, {late, 0}}, []int{0, 1, 2, 3}},
	} {
		for _, opts := range [][]EncodeOption{{Lines()}, {Lines(), Compressed(Gzip, 1)}} {
			t.Run(fmt.Sprintf("%s, %d options", test.name, len(opts)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := made(t)
					w := &flushed{flushes: make(chan string, 10_000)}
					var sent []int
					_, err := e.Encode(t.Context(), w, func(yield func(int) bool) {
						for _, s := range test.steps {
							sent = append(sent, newlines(w.Bytes(), len(opts) > 1))
							time.Sleep(s.pause)
							for i := range s.rows {
								if !yield(i) {
									return
								}
							}
						}
					}, opts...)
					if err != nil || !slices.Equal(sent, test.want) {
						t.Errorf("sent before each step: %v, want %v; error %v", sent, test.want, err)
					}
					e.Close(t.Context())
				})
			})
		}
	}
}

// newlines counts those that b has, as far as it is there.
func newlines(b []byte, zipped bool) int {
	if zipped && len(b) > 0 {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		b, _ = io.ReadAll(z) // is not complete yet
	}
	return bytes.Count(b, []byte("\n"))
}

// TestALateRowIsSentAsAWhole has rows that are cut.
func TestALateRowIsSentAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := made(t, WithQuantum(100))
		w := &flushed{flushes: make(chan string, 10_000)}
		value := slices.Repeat([]string{"a text"}, 50)
		_, err := e.Encode(t.Context(), w, func(yield func([]string) bool) {
			for i := range 4 {
				time.Sleep(2 * flushAfter)
				if got := newlines(w.Bytes(), false); got != i {
					t.Errorf("%d rows have been sent, want %d", got, i)
				}
				if !yield(value) {
					return
				}
			}
		}, Lines())
		if err != nil {
			t.Error(err)
		}
		e.Close(t.Context())
	})
}

// TestEverySequenceIsLeftThoughOneOfThemPanics has a sequence of sequences,
// with an error in the innermost.
func TestEverySequenceIsLeftThoughOneOfThemPanics(t *testing.T) {
	e := made(t)
	left := false
	r := <-startEncode(t.Context(), e, io.Discard, ended(func(yield func(any, error) bool) {
		yield(iter.Seq[any](func(yield func(any) bool) {
			defer func() { panic("on its way out") }()
			yield(make(chan int)) // has no JSON
		}), nil)
	}, &left))
	if r.panicked != "on its way out" || !left {
		t.Errorf("panic %v, error %v, left %v", r.panicked, r.err, left)
	}
}

// long reports whether the flag of that name, which exact_test.go declares, is
// set.
func long() bool { return flag.Lookup("long").Value.String() == "true" }

// TestMillionsOfRowsTakeNoMemory looks at what is alive of the heap while a
// sequence much larger than that is written. The flag -long has ten million
// rows.
func TestMillionsOfRowsTakeNoMemory(t *testing.T) {
	const most = 8 << 20 // more than there was before
	n := 300_000
	switch {
	case long():
		n = 10_000_000
	case testing.Short():
		n = 100_000
	}
	e := made(t)
	for name, v := range map[string]any{
		"a Seq":          upTo(n),
		"Rows":           Rows(upTo(n)),
		"in an envelope": page{Items: upTo(n)},
	} {
		live() // what the pools of earlier tests keep survives a collection
		before, peak := live(), int64(0)
		writes := 0
		w := writerFunc(func(b []byte) (int, error) {
			if writes++; writes%20 == 0 {
				peak = max(peak, live()-before)
			}
			return len(b), nil
		})
		size, err := e.Encode(t.Context(), w, v)
		if err != nil || peak > most || size < int64(n*40) {
			t.Errorf("%s: %d bytes with %d more on the heap and error %v", name, size, peak, err)
		}
	}
}

// live is how many bytes of the heap are in use, garbage left out.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkSequence(b *testing.B) {
	const n = 100_000
	all := slices.Collect(upTo(n))
	e := made(b)
	for _, test := range []struct {
		name string
		v    any
	}{
		{"slice", all},
		{"Rows", Rows(upTo(n))},
		{"Seq", upTo(n)},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				size, err := e.Encode(b.Context(), io.Discard, test.v)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(size)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}
