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

	waited, moved int64 // in all waits that are over: nanoseconds, and bytes moved meanwhile
	since, from   int64 // of the one that goes on: when it began, and taken at that time
	seen, seenAt  int64 // taken when it was last looked at, and when that was another number than before; since it waits
}

const (
	// maxCredit is how many clients may be cut for being slow before a faster one
	// has been served.
	maxCredit = 16
	// slowPerCredit is how many slow clients have to come to an end for one more
	// to be cut. Where all are slow that wastes a fifth of what they take at the
	// most, and a fast client, of which nobody knows while it waits, gets in some
	// time.
	slowPerCredit = 4
	// crawls is the part of MinReadRate below which a client is so slow that it
	// matters to nobody whether it would have come to an end: what others wait
	// for for seconds would take it hours.
	crawls = 64
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
		r.from, _ = r.taken()
		r.seenAt = 0
	default:
		delete(g.readers, t)
		r.waited += g.cfg.nanoseconds() - r.since
		taken, _ := r.taken()
		r.moved += taken - r.from
	}
}

// pace is how a client keeps up.
type pace uint8

const (
	unpaced pace = iota // nobody has looked
	fair                // or not known yet
	quick               // at least MinReadRate
	slow                // less than MinReadRate, as long as it has been waited for
	stopped             // nothing for a while, or next to nothing all the time
)

// pace tells how a ticket's client keeps up, and how many bytes a second that
// is.
func (g *Gate) pace(t *Ticket) (p pace, rate int64) {
	r := &t.reader
	waited, moved := r.waited, r.moved
	if _, waits := g.readers[t]; waits {
		now := g.cfg.nanoseconds()
		taken, exact := r.taken()
		if taken != r.seen || r.seenAt == 0 {
			r.seen, r.seenAt = taken, now
		}
		if now-r.seenAt >= int64(g.cfg.StopsFor) && (exact || now-r.seenAt >= int64(g.cfg.ReadsFor)) {
			return stopped, 0
		}
		waited += now - r.since
		moved += taken - r.from
	}
	if waited < int64(g.cfg.ReadsFor) {
		return fair, 0
	}
	rate = int64(float64(moved) / float64(waited) * float64(time.Second))
	switch {
	case rate >= g.cfg.MinReadRate:
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
// Each cut of a client that is only slow has to be paid for by a response that
// a faster client has taken since, or by several that slow ones have: where all
// are slow, those who come in would be no better than those who were cut, and
// nobody would ever get to the end of a response. Those that have stopped would
// not get there anyway.
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
			if g.credit == 0 {
				continue
			}
			g.credit--
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

// served earns the credit of a client that was not slow, and tells how it kept
// up in the end.
func (g *Gate) served(t *Ticket) pace {
	p, _ := g.pace(t)
	switch {
	case t.reader.taken == nil:
		return unpaced
	case p != fair:
		if g.slowOnes++; g.slowOnes%slowPerCredit == 0 {
			g.credit = min(g.credit+1, maxCredit)
		}
		return p
	}
	g.credit = min(g.credit+1, maxCredit)
	r := &t.reader
	if float64(r.moved) >= float64(r.waited)/float64(time.Second)*float64(g.cfg.MinReadRate) {
		return quick
	}
	return fair
}

// fastFor is for how long after a client has come that is known to be fast
// others leave room for such. One that is busy asks again within that.
const fastFor = time.Second

// lendable is how many bytes may be held by what waits for clients that are not
// known to be fast. While fast ones come or wait, as much is left to those as
// heavy requests may hold that are worked on, so that they are served as if they
// were alone. Slow ones would take all there is, merely by staying.
func (g *Gate) lendable(procs int) int64 {
	if g.fast == 0 && (g.fastAt == 0 || g.cfg.nanoseconds()-g.fastAt >= int64(fastFor)) {
		return g.cfg.Budget
	}
	return g.cfg.Budget - min(g.cfg.Budget/2, g.cfg.WorkingSet*int64(procs))
}

// lend books bytes of a request that waits for its client.
func (g *Gate) lend(t *Ticket, bytes int64) {
	if !t.fast {
		g.lent += bytes
	}
}

// KeptUp reports whether the client of a request that has left has taken it at
// the rate that it should, or faster. It is not known of a request that was
// light or not answered.
func (t *Ticket) KeptUp() (yes, known bool) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	return t.kept == quick, t.kept != unpaced
}
