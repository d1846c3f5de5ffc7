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

func TestWhatIsLongerThanExpectedIsJoined(t *testing.T) {
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

// TestPiecesAreJoinedInQuanta is the worker itself. No turn copies much, the
// ledger has all pieces, and a job may end between any two turns.
func TestPiecesAreJoinedInQuanta(t *testing.T) {
	e := made(t, WithWorkers(1))
	defer occupy(e)()
	p := e.pool
	v := growing(1500)
	want := marshal(t, v)
	turns, pieces := 0, 0
	for leave := 1; ; leave += 3 { // after so many turns
		j := queuedJob(t, e, v)
		if err := p.begin(j); err != nil {
			t.Fatal(err)
		}
		for turns = 0; turns < leave && !j.done; turns++ {
			p.queue.pop()
			before := 0
			if j.whole.joining {
				before = len(j.open.buf)
			}
			turnOf(p, j)
			if j.whole.joining && len(j.open.buf)-before > joined {
				t.Fatalf("turn %d copies %d bytes, want at most %d", turns, len(j.open.buf)-before, joined)
			}
			if held := e.Stats().Held; held != j.booked() || held < int64(len(j.open.buf)) {
				t.Fatalf("turn %d: %d bytes on the ledger, %d booked", turns, held, j.booked())
			}
			pieces = max(pieces, len(j.whole.full))
		}
		p.end(j)
		complete := j.done
		if complete {
			wantOutput(t, "joined", j.last().give(), want)
		}
		j.free()
		if held := e.Stats().Held; held != 0 {
			t.Fatalf("after %d turns: %d bytes stay on the ledger", turns, held)
		}
		if complete {
			break
		}
	}
	if pieces < 3 {
		t.Errorf("%d pieces, want some to join", pieces)
	}
}
