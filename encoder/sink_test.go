package encoder

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
)

// recorder is a writer that records what is asked of it.
type recorder struct {
	bytes.Buffer
	size   int64 // -1 until it is set
	writes int
	t      testing.TB
}

func newRecorder(t testing.TB) *recorder { return &recorder{size: -1, t: t} }

func (r *recorder) SetSize(n int64) {
	if r.size >= 0 {
		r.t.Errorf("SetSize(%d) after SetSize(%d)", n, r.size)
	}
	if r.writes > 0 {
		r.t.Errorf("SetSize(%d) after %d writes", n, r.writes)
	}
	r.size = n
}

func (r *recorder) Write(b []byte) (int, error) {
	r.writes++
	return r.Buffer.Write(b)
}

func TestTheSizeIsSetIfAllWasHeld(t *testing.T) {
	small, large := rows(10), rows(2_000)
	s, l := len(marshal(t, small)), len(marshal(t, large))
	const quantum, write = 1 << 10, 4 << 10
	tests := []struct {
		name string
		hold int
		v    any
		want int // the size, or -1
	}{
		{"a small value", DefaultHold, small, s},
		{"as much as may be held", s, small, s},
		{"no hold, yet known before the first write", 0, small, s},
		{"many segments", DefaultHold, large, l},
		{"many segments, just held", l, large, l},
		{"many segments, known with the last one", l - 1, large, l},
		{"a few segments too many", l - 3*(write+quantum), large, -1},
		{"hardly any of it held", write, large, -1},
		{"no hold", 0, large, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := made(t, WithHold(tt.hold), WithQuantum(quantum), WithWriteSize(write))
			r := newRecorder(t)
			n, err := e.Encode(t.Context(), r, tt.v)
			if err != nil || n != int64(r.Len()) {
				t.Errorf("%d, %v, with %d bytes written", n, err, r.Len())
			}
			wantOutput(t, tt.name, r.Bytes(), marshal(t, tt.v))
			if r.size != int64(tt.want) {
				t.Errorf("size %d, want %d", r.size, tt.want)
			}
		})
	}
}

func TestAWriterNeedNotCareForTheSize(t *testing.T) {
	e := made(t)
	var out bytes.Buffer
	if _, err := e.Encode(t.Context(), struct{ io.Writer }{&out}, rows(10)); err != nil {
		t.Fatal(err)
	}
	wantOutput(t, "unsized", out.Bytes(), marshal(t, rows(10)))
}

func TestWritesAreAboutAsLongAsAskedFor(t *testing.T) {
	const quantum, write = 2 << 10, 16 << 10
	e := made(t, WithHold(0), WithQuantum(quantum), WithWriteSize(write))
	v := rows(10_000)
	var lengths []int
	var out bytes.Buffer
	if _, err := e.Encode(t.Context(), writerFunc(func(b []byte) (int, error) {
		lengths = append(lengths, len(b))
		return out.Write(b)
	}), v); err != nil {
		t.Fatal(err)
	}
	wantOutput(t, "written", out.Bytes(), marshal(t, v))
	for _, n := range lengths[:len(lengths)-1] {
		if n < write || n > write+2*quantum {
			t.Errorf("writes of %v bytes, want %d and up to a quantum", lengths, write)
			break
		}
	}
}

// Marshalers in the value see how much of what is before them was written.
func TestNothingIsWrittenUntilTheHoldIsExceeded(t *testing.T) {
	const quantum, write, hold, size = 1 << 10, 4 << 10, 64 << 10, 200 << 10
	e := made(t, WithHold(hold), WithQuantum(quantum), WithWriteSize(write))
	r := newRecorder(t)
	text := strings.Repeat("x", 98)
	looks := 0
	var v []any
	before := 1
	for before < size {
		at := before
		v = append(v, marshalerFunc(func() ([]byte, error) {
			looks++
			switch written := r.Len(); {
			case at <= hold && written > 0:
				t.Errorf("%d bytes were written when %d were encoded", written, at)
			case at > hold+2*write && written == 0:
				t.Errorf("nothing was written when %d bytes were encoded", at)
			case at-written > int(e.MaxHeld()):
				t.Errorf("of %d bytes %d were written: more than %d are held", at, written, e.MaxHeld())
			}
			return []byte("1"), nil
		}), text)
		before += len("1,,") + len(text) + 2
	}
	n, err := e.Encode(t.Context(), r, v)
	if err != nil || n < size || looks != len(v)/2 || r.size >= 0 {
		t.Errorf("%d bytes, %v, %d marshalers of %d ran, size %d", n, err, looks, len(v)/2, r.size)
	}
}

func TestAnErrorBeforeTheHoldIsExceededLeavesTheWriterUntouched(t *testing.T) {
	const rowCount = 2_000
	good := marshal(t, rows(rowCount))
	bad := func(last any) []any {
		v := make([]any, 0, rowCount+1)
		for _, r := range rows(rowCount) {
			v = append(v, r)
		}
		return append(v, last)
	}
	values := map[string]any{
		"a number that has no JSON": bad(math.NaN()),
		"a type that has no JSON":   bad(make(chan int)),
		"a marshaler":               bad(marshalerFunc(func() ([]byte, error) { return nil, errBroken })),
	}
	for name, v := range values {
		for _, hold := range []int{0, 20 << 10, DefaultHold} {
			t.Run(fmt.Sprintf("%s, hold %d", name, hold), func(t *testing.T) {
				e := made(t, WithHold(hold), WithQuantum(1<<10), WithWriteSize(4<<10))
				w := untouched(t)
				var out bytes.Buffer
				if hold < DefaultHold {
					w = sized{&out, func(n int64) { t.Errorf("SetSize(%d)", n) }}
				}
				n, err := e.Encode(t.Context(), w, v)
				if err == nil || n != int64(out.Len()) || !bytes.HasPrefix(good, out.Bytes()) {
					t.Errorf("%d, %v, with %d bytes written", n, err, out.Len())
				}
				if hold < DefaultHold && n < int64(hold) {
					t.Errorf("%d bytes were written, want more than the hold of %d", n, hold)
				}
				if st := e.Stats(); st.Failed != 1 || st.Bytes != n {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// The value is changed while its writer stalls: how far the encoder had come
// by then shows in the output.
func TestAStalledWriterHoldsNoMoreThanMaxHeld(t *testing.T) {
	for _, hold := range []int{0, 5 << 10, 200 << 10} {
		t.Run(fmt.Sprintf("hold %d", hold), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := made(t, WithWorkers(2), WithHold(hold), WithQuantum(1<<10), WithWriteSize(8<<10))
				const digits = 9
				v := make([]int, (hold+2*digits*(8<<10))/2) // each is a digit and a comma
				fill := func(digit int) {
					for i := range v {
						v[i] = digit
					}
				}
				fill(1)
				w := newStalling()
				end := startEncode(t.Context(), e, w, v)
				var written []int // before the value changed from digit i+1 on
				for digit := 1; digit < digits; digit++ {
					<-w.begun
					synctest.Wait()
					written = append(written, w.Len())
					fill(digit + 1)
					w.goOn <- struct{}{}
					synctest.Wait()
				}
				if r := w.pass(end); r.err != nil {
					t.Fatal(r.err)
				}
				most := 0
				for i, n := range written {
					encoded := bytes.IndexAny(w.Bytes(), "123456789"[i+1:])
					most = max(most, encoded-n)
				}
				if most > int(e.MaxHeld()) || most < int(e.MaxHeld())*2/3 {
					t.Errorf("%d bytes were held, while MaxHeld is %d", most, e.MaxHeld())
				}
			})
		})
	}
}
