package admission

import (
	"cmp"
	"slices"
	"time"
)

// reader is the client of a request, in so far as the request waits for it: to
// take what is answered, or to send what is asked. It is guarded by the gate's
// mu.
type reader struct {
	taken func() (bytes int64, exact bool) // that it has taken and sent; nil if nobody knows
	cut   func()                           // breaks its connection if the request still waits

	over         progress // in all waits that are, and what has moved between them
	since, from  int64    // of the one that goes on: when it began, and taken at that time
	seen, seenAt int64    // taken when it was last looked at, and when that was another number than before; since it waits

	began, due progress // in all waits, when its response began, and when it was last seen on time
	exact      bool     // what taken said last
}

// progress is for how many nanoseconds a client has been waited for, and how many
// bytes it has moved.
type progress struct{ waited, moved int64 }

// late is how many bytes a client is short of what it should have moved since it
// was last on time, and how many a second it has moved since then. What it was
// early before does not count: a client whose kernel takes megabytes at once is
// as late as another when it stops reading, and one that has paused is on time
// again when it has made up for it. What it was late while its connection began
// does not count either.
func (g *Gate) late(r *reader, now progress) (bytes float64, rate int64) {
	seconds := time.Duration(now.waited - r.due.waited).Seconds()
	bytes = seconds*float64(g.cfg.MinReadRate) - float64(now.moved-r.due.moved)
	began := r.begins(r.due) && !r.begins(now) && now.waited-r.began.waited < int64(g.cfg.ReadsFor)
	if bytes <= 0 || began {
		r.due = now
		return 0, g.cfg.MinReadRate
	}
	return bytes, int64(float64(now.moved-r.due.moved) / seconds)
}

// begins reports whether its connection may have been at its beginning yet.
func (r *reader) begins(then progress) bool { return then.moved-r.began.moved < beginning }

const (
	// maxCredit is how many budgets full of clients may be cut for being slow
	// before a faster one has been served. Where a budget holds thirteen responses
	// and one client in thirteen is fast, those who held it and so many after them
	// are all slow once in sixty times; after one budget it is once in eight.
	maxCredit = 3
	// slowPerCredit is how much slow clients have to come to the end of for as much
	// to be cut again. Where all are slow that wastes a fifth of what they take at
	// the most, and a fast client, of which nobody knows while it waits, gets in
	// some time.
	slowPerCredit = 4
	// crawls is the part of MinReadRate below which a client is so slow that it
	// matters to nobody whether it would have come to an end: what others wait
	// for for seconds would take it hours.
	crawls = 64
	// beginning is what a client may take slowly, because its connection does not
	// know yet how much it may send at once. One whose packets need 600 ms for
	// their way and back has taken this after 3 s, in the sixth round, and takes
	// 1 MiB/s soon after; judged from the start it would be late by 2 s then.
	beginning = 256 << 10
	// ackDelay is how long a client's kernel may keep to itself what it has taken:
	// Linux's TCP_DELACK_MIN.
	ackDelay = 40 * time.Millisecond
	// looksEvery is how often the clients are looked at, at the most: asking the
	// kernel about 1,000 of them takes a millisecond.
	looksEvery = 200 * time.Millisecond
)

// WaitsFor tells who reads the response and sends the request. taken is how many
// bytes the connection has moved, which only grows, and exact whether that
// follows the client at once. cut breaks it off if it is still this request that
// waits for it, and comes from a goroutine of the gate's. To be called before
// anything is read or written.
func (t *Ticket) WaitsFor(taken func() (bytes int64, exact bool), cut func()) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.reader.taken, t.reader.cut = taken, cut
}

// waits notes that a ticket begins to wait for its client, or ends to.
func (g *Gate) waits(t *Ticket, begins bool) {
	r := &t.reader
	switch {
	case r.taken == nil:
	case begins:
		g.readers[t] = struct{}{}
		r.since = g.cfg.nanoseconds()
		taken, _ := r.taken()
		if r.over.waited > 0 {
			r.over.moved += taken - r.from
		}
		r.from = taken
		if t.wasCut { // too late, and it goes on
			t.wasCut = false
			g.leaving -= t.weight
		}
		r.seenAt = 0
	default:
		delete(g.readers, t)
		r.over.waited += g.cfg.nanoseconds() - r.since
		taken, exact := r.taken()
		r.over.moved += taken - r.from
		r.from = taken
		r.exact = exact
		g.late(r, r.over)
	}
}

// pace is how a client keeps up.
type pace uint8

const (
	unpaced pace = iota // nobody has looked
	fair                // or not known yet
	quick               // at least MinReadRate, all in all
	slow                // late
	stopped             // nothing for a while, or next to nothing since it was on time
)

// pace tells how a ticket's client keeps up, and how many bytes a second it has
// moved since it was last on time.
func (g *Gate) pace(t *Ticket) (p pace, rate int64) {
	r := &t.reader
	sum := r.over
	_, waits := g.readers[t]
	now := g.cfg.nanoseconds()
	if waits {
		var taken int64
		taken, r.exact = r.taken()
		if taken != r.seen || r.seenAt == 0 {
			r.seen, r.seenAt = taken, now
		}
		sum.waited += now - r.since
		sum.moved += taken - r.from
	}
	stopsFor, lateBy := g.cfg.StopsFor, g.cfg.StopsFor
	if !r.exact {
		stopsFor = g.cfg.ReadsFor
	}
	if !r.exact || r.begins(r.due) {
		lateBy = g.cfg.ReadsFor
	}
	late, rate := g.late(r, sum)
	switch {
	case waits && now-r.seenAt >= int64(stopsFor):
		return stopped, 0
	case late == 0 || late < lateBy.Seconds()*float64(g.cfg.MinReadRate):
		return fair, rate
	case rate >= g.cfg.MinReadRate/crawls:
		return slow, rate
	}
	return stopped, rate
}

// toCut takes the clients that are to be cut for the sake of those who wait. It
// is called when all of them are kept out by the ledger.
//
// So many are cut as hold what those who wait are going to hold, the slowest
// first. What has been cut before counts until it has left, or has had time to.
//
// What is cut of clients that are only slow has to be paid for by as much that
// faster clients have taken since, or several times as much that slow ones have:
// where all are slow, those who come in would be no better than those who were
// cut, and nobody would ever get to the end of a response. Those that have stopped
// would not get there anyway.
func (g *Gate) toCut(procs int) (cut []*Ticket) {
	now := g.cfg.nanoseconds()
	if g.cfg.MinReadRate == 0 || now-g.lookedAt < int64(looksEvery) {
		return nil
	}
	g.lookedAt = now
	wanted := max(g.ledger-g.cfg.Budget, g.lent-g.lendable(procs))
	for _, r := range g.queued {
		wanted += r.weight() * int64(len(r.waiters))
	}
	if now-g.cutAt < int64(g.cfg.ReadsFor) {
		wanted -= g.leaving
	}
	type candidate struct {
		t    *Ticket
		rate int64
		pace pace
	}
	var candidates []candidate
	for t := range g.readers {
		if heavy(t.weight) == 0 {
			continue // it keeps nobody out
		}
		if p, rate := g.pace(t); p != fair {
			candidates = append(candidates, candidate{t, rate, p})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.rate, b.rate) })
	for _, c := range candidates {
		if wanted <= 0 {
			break
		}
		if c.pace == slow {
			if g.credit <= 0 {
				continue
			}
			g.credit -= c.t.weight
		}
		delete(g.readers, c.t)
		c.t.wasCut = true
		wanted -= c.t.weight
		g.leaving += c.t.weight
		g.cuts++
		g.cutAt = now
		cut = append(cut, c.t)
	}
	return cut
}

// stoodStill says that the keeper has slept longer than it meant to, by so many
// nanoseconds. If that is long, the process stood still (SIGSTOP, a frozen cgroup),
// and it is not the clients who were late.
func (g *Gate) stoodStill(by int64) {
	if by < int64(looksEvery) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.nanoseconds()
	for t := range g.readers {
		r := &t.reader
		r.since = min(r.since+by, now) // it may have begun to wait meanwhile
		if r.seenAt > 0 {
			r.seenAt = min(r.seenAt+by, now)
		}
	}
}

// served earns the credit of a response that has come to its end, and tells how
// its client kept up.
func (g *Gate) served(t *Ticket) pace {
	if t.reader.taken == nil {
		return unpaced
	}
	p, _ := g.pace(t)
	r := &t.reader
	if p == fair && float64(r.over.moved) >= time.Duration(r.over.waited-int64(ackDelay)).Seconds()*float64(g.cfg.MinReadRate) {
		p = quick
	}
	earned := t.weight
	if p != quick {
		earned /= slowPerCredit
	}
	g.credit = min(g.credit+earned, maxCredit*g.cfg.Budget)
	return p
}

// fastFor is for how long after a client has come that is known to be fast
// others leave room for such. One that is busy asks again within that.
const fastFor = time.Second

// lendable is how many bytes may be held for clients that are not known to be
// fast: any of them may turn out to be slow once its response is made. While fast
// ones come or wait, as much is left to those as heavy requests may hold that are
// worked on, so that they are served as if they were alone. Slow ones would take
// all there is, merely by staying.
func (g *Gate) lendable(procs int) int64 {
	if g.fast == 0 && (g.fastAt == 0 || g.cfg.nanoseconds()-g.fastAt >= int64(fastFor)) {
		return g.cfg.Budget
	}
	return g.cfg.Budget - min(g.cfg.Budget/2, g.cfg.WorkingSet*int64(procs))
}

// KeptUp reports whether the client of a request that has left has taken it at
// the rate that it should, or faster. It is not known of a request that was
// light or not answered.
func (t *Ticket) KeptUp() (yes, known bool) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	return t.kept == quick, t.kept != unpaced
}
