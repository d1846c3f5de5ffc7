package encoder

import (
	"strings"
	"testing"
)

// growing is a list whose elements get ever longer, so that whatever is
// expected of the rest is too little.
func growing(n int) []string {
	v := make([]string, n)
	for i := range v {
		v[i] = strings.Repeat("<abc>", i)
	}
	return v
}

// nested is a tree, of which nothing tells how much is to come.
func nested(depth int) any {
	if depth == 0 {
		return "leaf"
	}
	return map[string]any{"a": nested(depth - 1), "b": []any{nested(depth - 1)}}
}

// shrinking is a list that begins as if it were endless.
func shrinking(n int) []string {
	v := make([]string, n)
	v[0] = strings.Repeat("<abc>", n)
	return v
}

func TestWhatIsLongerThanExpectedIsMoved(t *testing.T) {
	e := made(t, WithWorkers(1))
	for _, v := range []any{growing(1500), nested(15)} {
		want := marshal(t, v)
		for _, way := range ways[:2] {
			b, err := way.encode(t.Context(), e, v)
			if err != nil {
				t.Fatal(err)
			}
			wantOutput(t, way.name, b, want)
			if held := e.Stats().Held; held != 0 {
				t.Errorf("%s: %d bytes on the ledger afterwards", way.name, held)
			}
		}
	}
}

// TestMovesTakeTurns is the worker itself. No turn moves much, the ledger has
// both pieces, and a job may end between any two turns.
func TestMovesTakeTurns(t *testing.T) {
	e := made(t, WithWorkers(1))
	defer occupy(e)()
	p := e.pool
	for name, v := range map[string]any{"longer than expected": growing(1500), "shorter": shrinking(100_000)} {
		want := marshal(t, v)
		moves := 0
		for leave := 1; ; leave += 1 + leave/8 { // after so many turns
			j := queuedJob(t, e, v)
			if err := p.begin(j); err != nil {
				t.Fatal(err)
			}
			moves = 0
			for turns := 0; turns < leave && !j.done; turns++ {
				p.queue.pop()
				written, open, old := j.written, j.open, j.whole.old
				turnOf(p, j)
				if old != nil || j.whole.old != nil {
					moves++
					before := 0
					if open == j.open {
						before = len(open.buf)
					}
					if n := len(j.open.buf) - before; n > moved || old != nil && j.written > written {
						t.Fatalf("%s: turn %d moves %d bytes and encodes %d, want at most %d of either", name, turns, n, j.written-written, moved)
					}
				}
				if held := e.Stats().Held; held != j.booked() || held < int64(j.written) {
					t.Fatalf("%s: turn %d: %d bytes on the ledger, %d booked, %d written", name, turns, held, j.booked(), j.written)
				}
			}
			p.end(j)
			complete := j.done
			if complete {
				b := j.last().give()
				wantOutput(t, name, b, want)
				wantNoMoreThan(t, name, b)
			}
			j.free()
			if held := e.Stats().Held; held != 0 {
				t.Fatalf("%s: %d bytes stay on the ledger", name, held)
			}
			if complete {
				break
			}
		}
		if moves < 3 {
			t.Errorf("%s: %d moves, want some", name, moves)
		}
	}
}

// TestShortResultsAreTheCallers has results that were encoded in memory that is
// kept: they take their length of memory, and nobody writes to them afterwards.
func TestShortResultsAreTheCallers(t *testing.T) {
	e := made(t, WithWorkers(1))
	list := func(n int, c string) []string {
		v := make([]string, n)
		for i := range v {
			v[i] = strings.Repeat(c, 90)
		}
		return v
	}
	all := DefaultQuantum/100 + 100 // elements; somewhat more than a quantum
	for name, v := range map[string]any{
		"as expected":          list(all, "a"),
		"longer than expected": append(list(all, "b"), strings.Repeat("<", 20*DefaultQuantum)),
	} {
		for _, way := range ways[:2] {
			want := marshal(t, v)
			b, err := way.encode(t.Context(), e, v)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []string{"c", "d"} {
				if _, err := way.encode(t.Context(), e, list(all, c)); err != nil {
					t.Fatal(err)
				}
			}
			wantOutput(t, name+", "+way.name, b, want)
			if most := len(b) + len(b)/4; name == "as expected" && cap(b) > most {
				t.Errorf("%s: room for %d bytes of %d, want at most %d", way.name, cap(b), len(b), most)
			}
			if held := e.Stats().Held; held != 0 {
				t.Errorf("%s, %s: %d bytes on the ledger afterwards", name, way.name, held)
			}
		}
	}
}

// wantNoMoreThan looks at the memory that b takes.
func wantNoMoreThan(t *testing.T, name string, b []byte) {
	t.Helper()
	if most := 2*len(b) + 4*DefaultQuantum; cap(b) > most {
		t.Errorf("%s: room for %d bytes of %d, want at most %d", name, cap(b), len(b), most)
	}
}

// TestGuessesAreBelievedByWhatIsThere has lists of which some elements are
// written, and looks at the memory that is taken for them.
func TestGuessesAreBelievedByWhatIsThere(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name          string
		written, part int
		least, most   int
	}{
		{"few and little to come", 1 * mb, 20, 20 * mb, 22 * mb},
		{"all that is believed at first", 1 * mb, 64, 64 * mb, 70 * mb},
		{"more than that", 1 * mb, 180, 11 * mb, 13 * mb},
		{"the same later", 12 * mb, 15, 180 * mb, 193 * mb},
		{"very much more", 1 * mb, 1_000_000, 64 * mb, 65 * mb},
		{"the same later still", 65 * mb, 1_000_000, 130 * mb, 131 * mb},
		{"nearly believed", 20 * mb, 18, 40 * mb, 41 * mb},
		{"nothing to come but the bracket", 100 * mb, 1, 100 * mb, 101 * mb},
	} {
		j := &job{written: c.written, cursor: cursor{
			quantum: DefaultQuantum,
			stack:   []frame{{at: atElements, i: 1000, n: 1000 * c.part}},
		}}
		if c.part == 1 {
			j.cursor.stack = nil
		}
		j.reckon()
		if n := j.pieceSize(); n < c.least || n > c.most {
			t.Errorf("%s: %d bytes, want %d to %d", c.name, n, c.least, c.most)
		}
	}
}
