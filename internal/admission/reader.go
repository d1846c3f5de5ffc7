package admission

import "time"

// reader is the client of a response, in so far as the response waits for it.
// It is guarded by the gate's mu.
type reader struct {
	sent func() int64 // bytes that its connection has taken; nil if nobody knows
	cut  func()       // breaks its connection if the response still waits

	waited, taken int64 // in all waits that are over: nanoseconds, and bytes taken meanwhile
	since, from   int64 // of the one that goes on: when it began, and sent at that time
}

// maxCredit is how many clients may be cut before a faster one has been served.
const maxCredit = 16

// ReadBy tells who reads the response: sent is how many bytes the connection has
// taken, and only grows; cut breaks the connection if it is still this response
// that waits for it, and comes from a goroutine of the gate's. To be called
// before anything is written.
func (t *Ticket) ReadBy(sent func() int64, cut func()) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.reader.sent, t.reader.cut = sent, cut
}

// waits notes that a ticket begins to wait for its client, or ends to.
func (g *Gate) waits(t *Ticket, begins bool) {
	r := &t.reader
	switch {
	case r.sent == nil || t.left:
	case begins:
		g.readers[t] = struct{}{}
		r.since, r.from = g.cfg.nanoseconds(), r.sent()
	default:
		delete(g.readers, t)
		r.waited += g.cfg.nanoseconds() - r.since
		r.taken += r.sent() - r.from
	}
}

// slow returns how many bytes a second a ticket's client has taken while it was
// waited for, and whether that is known and less than it should be.
func (g *Gate) slow(t *Ticket) (rate int64, slow bool) {
	r := &t.reader
	waited, taken := r.waited, r.taken
	if _, waits := g.readers[t]; waits {
		waited += g.cfg.nanoseconds() - r.since
		taken += r.sent() - r.from
	}
	if waited < int64(g.cfg.ReadsFor) {
		return 0, false
	}
	rate = int64(float64(taken) / float64(waited) * float64(time.Second))
	return rate, rate < g.cfg.MinReadRate
}

// slowest takes the client that is to be cut for the sake of those who wait, nil
// if none is slow enough. It is called when all of them are kept out by the
// ledger.
//
// One is cut at a time: another only once the one before has left, or has had
// time to.
//
// Each cut has to be paid for by a response that a faster client has taken
// since: where all are slow, those who come in would be no better than those
// who were cut, and nobody would ever get to the end of a response.
func (g *Gate) slowest() *Ticket {
	now := g.cfg.nanoseconds()
	if g.credit == 0 || g.leaving > 0 && now-g.cutAt < int64(g.cfg.ReadsFor) {
		return nil
	}
	var slowest *Ticket
	var least int64
	for t := range g.readers {
		if rate, slow := g.slow(t); slow && (slowest == nil || rate < least) {
			slowest, least = t, rate
		}
	}
	if slowest != nil {
		delete(g.readers, slowest)
		slowest.wasCut = true
		g.credit--
		g.cuts++
		g.leaving++
		g.cutAt = now
	}
	return slowest
}

// served earns the credit of a client that was not slow.
func (g *Gate) served(t *Ticket) {
	if _, slow := g.slow(t); !slow && t.reader.sent != nil {
		g.credit = min(g.credit+1, maxCredit)
	}
}
