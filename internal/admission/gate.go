package admission

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/probelane/probelane/internal/sched"
)

var (
	// ErrQueueFull: as many requests wait as may, and the request's route has its
	// share of them.
	ErrQueueFull = errors.New("admission: too many requests are waiting")
	// ErrTimeout: the request has waited for as long as it may.
	ErrTimeout = errors.New("admission: waited too long")
	// ErrClosed: the gate was closed while the request waited.
	ErrClosed = errors.New("admission: closed")
)

// Config are a gate's limits. None of them may be zero, except that without a
// MinReadRate nobody is cut, and without Backlog and NearlyDone the encoder is
// taken to be idle.
type Config struct {
	Floor       int           // requests that always find room
	Runnable    int           // goroutines per processor that may be waiting for it
	Encodes     int           // encodes per processor that may be waiting for a worker, unless what enters builds its value
	WorkingSet  int64         // bytes that heavy requests may hold while they are worked on
	Budget      int64         // bytes that all requests may hold
	MaxWaiting  int           // requests that may wait
	MaxWait     time.Duration // for how long
	MinReadRate int64         // bytes a second; a client that takes less may be cut when the budget is used up
	StopsFor    time.Duration // once it is late by what it should take in that time, or moves nothing for as long
	ReadsFor    time.Duration // the same where what it has moved is not exactly known, or its connection begins
	Backlog     func() int    // how many encodes wait for a worker
	NearlyDone  func() int    // of those, how many do not wait for the others
	procs       func() int
	runnable    func() int64
	allocated   func() int64
	nanoseconds func() int64
}

// Gate lets requests in. It has a goroutine of its own, the keeper, while
// somebody waits; Close ends it.
type Gate struct {
	cfg    Config
	routes sync.Map // name → *Route
	event  chan struct{}

	mu          sync.Mutex // guards all below, and the routes
	inFlight    int
	waiting     int
	building    int   // heavy requests, or those thought to be, that are not built yet
	unknown     int   // in flight that entered before their routes had answered
	unknownFrom int64 // bytes allocated when it was last looked at whether they are many
	unknownAt   int64 // when that was, in nanoseconds
	heavies     int   // heavy requests in flight
	idle        int   // requests in flight that wait for their clients
	lent        int64 // bytes of heavy requests of clients not known to be fast
	working     int64 // bytes of heavy requests that are not just waiting for their clients
	ledger      int64 // bytes of all requests in flight
	queued      []*Route
	keeping     bool
	asleep      bool // the keeper is; nobody who waits has room
	closed      bool
	passed      int64 // the last route's, before it was let in

	readers  map[*Ticket]struct{} // that wait for their clients, if those can be cut
	credit   int64                // how much of what they hold may be
	leaving  int64                // bytes of those that were cut and have not gone yet
	cutAt    int64                // when the last one was
	lookedAt int64                // when it was last looked whom to cut
	fastAt   int64                // when a client came that is known to be fast
	fast     int                  // of those who wait, those known to be fast

	lastEntry int64 // when somebody who waited was let in
	interval  int64 // between two of those, on average

	admitted, shed, cuts int64
}

// New returns a gate. The caller has checked the limits.
func New(cfg Config) *Gate {
	if cfg.procs == nil {
		cfg.procs = func() int { return runtime.GOMAXPROCS(0) }
	}
	if cfg.runnable == nil {
		cfg.runnable = sched.Runnable().Read
	}
	if cfg.allocated == nil {
		cfg.allocated = sched.Allocated().Read
	}
	if cfg.nanoseconds == nil {
		start := time.Now()
		cfg.nanoseconds = func() int64 { return int64(time.Since(start)) }
	}
	if cfg.Backlog == nil {
		cfg.Backlog = func() int { return 0 }
	}
	if cfg.NearlyDone == nil {
		cfg.NearlyDone = func() int { return 0 }
	}
	return &Gate{cfg: cfg, event: make(chan struct{}, 1), readers: map[*Ticket]struct{}{}, credit: maxCredit * cfg.Budget}
}

// Route returns what is known of a route. Routes are few; names must not come
// from clients.
func (g *Gate) Route(name string) *Route {
	if r, ok := g.routes.Load(name); ok {
		return r.(*Route)
	}
	r, _ := g.routes.LoadOrStore(name, new(Route))
	return r.(*Route)
}

// Ticket is a request that was let in. Its methods are for the goroutine that
// serves the request, except for WaitBegin and WaitEnd.
type Ticket struct {
	gate    *Gate
	route   *Route
	weight  int64 // guarded by the gate's mu; 0 once it has left
	waiting int   // guarded by the gate's mu; waits for its client, to read or to write
	paused  int64 // guarded by the gate's mu; bytes allocated when it began to wait, if it is not built
	others  int64 // guarded by the gate's mu; bytes allocated in such waits
	left    bool  // guarded by the gate's mu
	fast    bool  // its client was known to be
	kept    pace  // how its client kept up, once it has left; guarded by the gate's mu
	wasCut  bool  // its client's connection; guarded by the gate's mu
	reader  reader
	built   atomic.Bool
	unknown bool  // entered before its route had answered
	from    int64 // bytes allocated in the process when it entered; 0 if not measured
	rivals  int   // heavy requests that were building then, itself among them
	grown   int64 // its share of what was allocated until it was built
}

// Enter lets a request in, at once or when there is room. fast is what KeptUp
// has said of the client before. The error is the context's, ErrQueueFull,
// ErrTimeout or ErrClosed; the ticket is then nil.
func (g *Gate) Enter(ctx context.Context, r *Route, fast bool) (*Ticket, error) {
	light := r.light.Load()
	if light {
		if t := g.passFloor(r, fast); t != nil {
			return t, nil
		}
	}
	s := g.signals(!light)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil, ErrClosed
	}
	if fast && !light {
		g.fastAt = g.cfg.nanoseconds()
	}
	v := g.room(r, s, fast)
	if v == roomy && (g.waiting == 0 || g.asleep && (len(r.waiters) == 0 || fast && r.fast == 0)) {
		// While the keeper sleeps there is room for nobody who waits, so that
		// nobody is overtaken who could enter.
		t := g.admit(r, s, fast)
		g.mu.Unlock()
		return t, nil
	}
	now := g.cfg.nanoseconds()
	if g.waiting >= g.cfg.MaxWaiting && !g.displace(r, now) {
		g.shed++
		g.mu.Unlock()
		return nil, ErrQueueFull
	}
	w := &waiter{ready: make(chan *Ticket, 1), route: r, fast: fast, since: now}
	g.enqueue(w)
	if v < full {
		g.wake()
	}
	if !g.keeping {
		g.keeping = true
		go g.keep()
	}
	g.mu.Unlock()
	return g.wait(ctx, w)
}

// passFloor lets a light request in that needs no signals to be: most are, in
// a process that is not flooded.
func (g *Gate) passFloor(r *Route, fast bool) *Ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.waiting > 0 || g.inFlight >= g.cfg.Floor {
		return nil
	}
	return g.admit(r, signals{}, fast)
}

func (g *Gate) wait(ctx context.Context, w *waiter) (*Ticket, error) {
	timeout := time.NewTimer(g.cfg.MaxWait)
	defer timeout.Stop()
	var err error
	select {
	case t := <-w.ready:
		if t == nil {
			return nil, w.err
		}
		return t, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timeout.C:
		err = ErrTimeout
	}
	g.mu.Lock()
	left := g.dequeue(w)
	if left && err == ErrTimeout {
		g.shed++
	}
	if g.waiting == 0 {
		g.wake() // so that it ends
	}
	g.mu.Unlock()
	if left {
		return nil, err
	}
	// Let in, or turned away, at the very same moment.
	t := <-w.ready
	if t == nil {
		return nil, w.err
	}
	if ctx.Err() != nil {
		t.Abandon()
		return nil, context.Cause(ctx)
	}
	return t, nil
}

// Heavy reports whether the request may hold so much that it is of interest
// what it does.
func (t *Ticket) Heavy() bool { return t.from > 0 }

// Unknown reports whether the request entered before its route had answered.
func (t *Ticket) Unknown() bool { return t.unknown }

// Built says that what the request is going to answer exists now: the value
// that is to be streamed, or the whole response. Its weight becomes what was
// allocated meanwhile, shared among the heavy requests that were building at
// the same time, and pooled, what its encoder is going to hold of its own. The
// allocations tell a value that was built for the request from one that all
// requests share, which nothing else does. Only the first call counts.
//
// All else that was allocated meanwhile looks the same, so that what is booked
// is bounded: by the route's usual weight, or by the working set where that is
// not known.
func (t *Ticket) Built(pooled int64) {
	if t.from == 0 || t.built.Swap(true) {
		return
	}
	g := t.gate
	allocated := g.cfg.allocated()
	g.mu.Lock()
	defer g.mu.Unlock()
	t.reader.began, t.reader.due = t.reader.over, t.reader.over
	share := t.rivals + g.building
	g.known(t)
	if t.left {
		return // a handler that goes on after its request has ended
	}
	t.grown = (allocated - t.from - t.others) * 2 / int64(share)
	value := min(t.grown, maxGrowth*t.weight)
	if t.unknown {
		value = min(t.grown, g.cfg.WorkingSet)
	}
	if !t.route.answered {
		t.route.learn(value, pooled)
		t.route.guess = t
	}
	g.book(t, value+pooled)
	g.wake()
}

// Opened says that the request streams, or has been hijacked, without a
// response that exists as a whole: what it holds is little, for as long as it
// may last, and tells nothing of its route.
func (t *Ticket) Opened() {
	if t.from == 0 || t.built.Swap(true) {
		return
	}
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known(t)
	if !t.left {
		g.book(t, min(t.weight, lightWeight))
		g.wake()
	}
}

// Trickles says that what the request answers is sent as it comes, and comes so
// slowly that next to nothing of it is held. It counts for little from then on,
// whatever Built has made of it, and so does what its route learns.
func (t *Ticket) Trickles() {
	t.Opened()
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	t.built.Store(true)
	if !t.left && t.weight > lightWeight {
		t.grown = 0
		g.book(t, lightWeight)
		g.wake()
	}
}

// Outgrown says that a request of a light route is about to have answered so
// many bytes after all. They are booked at once: it may take its client long to
// read them.
func (t *Ticket) Outgrown(bytes int64) {
	if t.from > 0 || bytes <= lightWeight || t.built.Swap(true) {
		return
	}
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !t.left {
		t.route.learn(bytes, 0)
		g.book(t, bytes)
	}
}

// known ends a ticket's building.
func (g *Gate) known(t *Ticket) {
	if t.paused == 0 {
		g.building--
	}
	t.paused = 0
	if t.unknown {
		g.unknown--
	}
}

// unknownFor is for how long all that is allocated is put down to requests
// whose routes have not answered yet. Most answer sooner; one that streams
// events or has been hijacked never does, and must not be blamed for ever.
const unknownFor = time.Second

// book makes weight what a ticket holds.
func (g *Gate) book(t *Ticket, weight int64) {
	g.ledger += weight - t.weight
	if t.waiting == 0 {
		g.working += heavy(weight) - heavy(t.weight)
	}
	if !t.fast {
		g.lent += heavy(weight) - heavy(t.weight)
	}
	if t.wasCut {
		g.leaving += weight - t.weight
	}
	if heavy(t.weight) > 0 {
		g.heavies--
	}
	if heavy(weight) > 0 {
		g.heavies++
	}
	t.weight = weight
}

// heavy is what a weight counts for in the working set: small ones do not.
func heavy(weight int64) int64 {
	if weight <= lightWeight {
		return 0
	}
	return weight
}

// WaitBegin says that the request now waits for its client, to take what is
// written or to send what is read, WaitEnd that it no longer does. A request
// that waits needs no processor, so another one may be worked on; what it holds
// stays on the ledger. One whose client has not sent all builds nothing
// meanwhile, and what is allocated is not for it.
func (t *Ticket) WaitBegin(int) {
	g, allocated := t.gate, t.allocated()
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.waiting++; t.waiting > 1 {
		return
	}
	if t.left {
		return
	}
	g.idle++
	g.working -= heavy(t.weight)
	if allocated > 0 && !t.built.Load() {
		t.paused = allocated
		g.building--
	}
	g.waits(t, true)
	g.wake()
}

// WaitEnd is the other half of WaitBegin.
func (t *Ticket) WaitEnd(int) {
	g, allocated := t.gate, t.allocated()
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.waiting == 0 {
		return
	}
	if t.waiting--; t.waiting > 0 || t.left {
		return
	}
	g.idle--
	g.working += heavy(t.weight)
	if t.paused > 0 {
		t.others += allocated - t.paused
		t.paused = 0
		g.building++
	}
	g.waits(t, false)
}

// allocated is what has been allocated in the process, or 0 if that does not
// matter to the ticket any more.
func (t *Ticket) allocated() int64 {
	if t.from == 0 || t.built.Load() {
		return 0
	}
	return t.gate.cfg.allocated()
}

// maxGrowth bounds what a response can have cost: so many bytes of heap for
// each of its own. Whatever else was allocated while the request was building
// was not for it.
const maxGrowth = 4

// Leave gives the request's place up. bytes is what it has answered, and
// pooled what its encoder held of its own. Either Leave or Abandon must be
// called once.
func (t *Ticket) Leave(bytes, pooled int64) {
	g := t.gate
	g.mu.Lock()
	if t.wasCut {
		g.leave(t)
		g.mu.Unlock()
		return // as if it had been abandoned, which it may not know
	}
	if t.route.guess == t {
		t.route.answered = false // what it cost is known now
	}
	if t.from > 0 {
		t.kept = g.served(t)
		t.route.learn(min(t.grown, maxGrowth*bytes), pooled)
	} else if bytes > lightWeight && !t.built.Load() {
		// A light route has turned heavy. What it holds is measured next time.
		t.route.learn(bytes, pooled)
	}
	g.leave(t)
	g.mu.Unlock()
}

// Abandon is Leave for a request that was not answered in full, because its
// client has gone or there was no room for its encoding. From that nothing is
// learned: clients give up most of all when there is too much work, and a route
// that got lighter by it would let in more.
func (t *Ticket) Abandon() {
	t.gate.mu.Lock()
	t.gate.leave(t)
	t.gate.mu.Unlock()
}

func (g *Gate) leave(t *Ticket) {
	g.inFlight--
	if t.from > 0 && !t.built.Swap(true) {
		g.known(t)
	}
	t.left = true
	if t.waiting > 0 {
		g.idle--
	}
	delete(g.readers, t)
	g.book(t, 0)
	g.wake()
}

// wake has the keeper look again, if it sleeps. It is called with mu held.
func (g *Gate) wake() {
	if !g.asleep {
		return // it is going to look anyway
	}
	g.asleep = false
	select {
	case g.event <- struct{}{}:
	default: // of an earlier time, when it woke by itself
	}
}

// signals are read before the lock is taken.
type signals struct {
	runnable   int64
	backlog    int
	nearlyDone int
	procs      int
	allocated  int64
}

// signals leaves out what has been allocated unless it is asked for: that
// costs 0.3 µs, and light routes need not know.
func (g *Gate) signals(allocated bool) signals {
	s := signals{
		runnable:   g.cfg.runnable(),
		backlog:    g.cfg.Backlog(),
		nearlyDone: g.cfg.NearlyDone(),
		procs:      g.cfg.procs(),
	}
	if allocated {
		s.allocated = g.cfg.allocated()
	}
	return s
}

// verdict says whether there is room, and if not, what has to change.
type verdict uint8

const (
	roomy verdict = iota
	busy          // the processors have to catch up: look again after giving way
	full          // somebody has to leave: wait for the event
	spent         // the same, and nothing but the budget is in the way
)

func (g *Gate) room(r *Route, s signals, fast bool) verdict {
	if g.inFlight < g.cfg.Floor {
		return roomy
	}
	weight := r.weight()
	ledger := g.ledger + weight
	if !r.answered && g.unknown > 0 {
		// Until their routes have answered, all that is allocated is theirs.
		if now := g.cfg.nanoseconds(); now-g.unknownAt >= int64(unknownFor) {
			g.unknownFrom, g.unknownAt = s.allocated, now
		}
		ledger += max(s.allocated-g.unknownFrom, 0)
	}
	// One heavy request at a time may have more than there is, or one that is
	// too heavy would never find room beside others that are light.
	isHeavy := heavy(weight) > 0
	backlog := s.backlog
	if !isHeavy {
		backlog = s.nearlyDone // its response is not going to wait for the others
	}
	encodes := g.cfg.Encodes * s.procs
	if r.builds() {
		encodes = 0 // its value would wait with it
	}
	switch {
	case isHeavy && g.working > 0 && g.working+weight > g.cfg.WorkingSet*int64(s.procs):
		return full
	case ledger > g.cfg.Budget && (!isHeavy || g.heavies > 0),
		isHeavy && !fast && g.lent > 0 && g.lent+weight > g.lendable(s.procs):
		return spent
	case backlog <= encodes && s.runnable <= int64(g.cfg.Runnable*s.procs), g.inFlight-g.idle < g.cfg.Floor:
		return roomy
	}
	return busy
}

func (g *Gate) admit(r *Route, s signals, fast bool) *Ticket {
	t := &Ticket{gate: g, route: r, fast: fast}
	g.inFlight++
	g.admitted++
	g.book(t, r.weight())
	// A route that was light until a moment ago comes without that signal.
	if heavy(t.weight) > 0 && s.allocated > 0 {
		g.building++
		t.from, t.rivals = s.allocated, g.building
		if t.unknown = !r.answered; t.unknown {
			if g.unknown++; g.unknown == 1 {
				g.unknownFrom, g.unknownAt = s.allocated, g.cfg.nanoseconds()
			}
		}
	}
	return t
}

// keep is the keeper: it lets in one waiter at a time, and looks again once
// everybody who was runnable has had a turn, which is what giving way does.
// While only the leaving of others can help it sleeps.
func (g *Gate) keep() {
	for {
		s := g.signals(true)
		g.mu.Lock()
		if g.waiting == 0 {
			g.keeping = false
			g.mu.Unlock()
			return
		}
		v, memory := g.next(s)
		g.asleep = v >= full
		sleep := unknownFor // what was unknown may be forgotten then
		var cut []*Ticket
		if memory {
			if cut = g.toCut(s.procs); len(g.readers) > 0 {
				sleep = looksEvery // clients turn out slow
			}
		}
		g.mu.Unlock()
		for _, t := range cut {
			t.reader.cut() // its leaving is the event
		}
		if v >= full {
			begin := g.cfg.nanoseconds()
			select {
			case <-g.event:
			case <-time.After(sleep):
			}
			g.stoodStill(g.cfg.nanoseconds() - begin - int64(sleep))
		} else {
			runtime.Gosched()
		}
	}
}

// next lets in the waiter whose turn it is, if there is room for it: of all
// routes that have room the one that has been let in for the fewest bytes so
// far, so that a cheap route does not queue behind an expensive one. Room that
// cuts have made is for anybody. It returns the best of their verdicts, and whether
// the budget is in the way of one.
func (g *Gate) next(s signals) (v verdict, memory bool) {
	best := spent
	var r *Route
	onlyFast := false
	for _, q := range g.queued {
		v, needed := g.room(q, s, false), false
		memory = memory || v == spent
		if v != roomy && q.fast > 0 {
			v, needed = g.room(q, s, true), true
		}
		best = min(best, v)
		if v == roomy && (r == nil || q.passed < r.passed) {
			r, onlyFast = q, needed
		}
	}
	if r == nil {
		return best, memory
	}
	now := g.cfg.nanoseconds()
	w, _ := g.ends(r, now, onlyFast)
	if !onlyFast && g.cutAt > 0 && now-g.cutAt < int64(g.cfg.ReadsFor) {
		// Who was cut comes back at once, and would always be the last.
		w = r.waiters[rand.IntN(len(r.waiters))]
	}
	g.dequeue(w)
	if g.lastEntry > 0 {
		pace := now - g.lastEntry
		if g.interval == 0 {
			g.interval = pace
		}
		g.interval += (pace - g.interval) / 8
	}
	g.lastEntry = now
	g.passed = max(g.passed, r.passed)
	r.passed += r.weight() + lightWeight
	w.ready <- g.admit(r, s, w.fast)
	return roomy, memory
}

// ends returns the waiter of a route whose turn comes first, and the one whose
// turn comes last. They are let in as they came, or the other way round while
// they wait so long that the first are going to give up anyway. With onlyFast
// the others do not count.
func (g *Gate) ends(r *Route, now int64, onlyFast bool) (first, last *waiter) {
	first, last = r.waiters[0], r.waiters[len(r.waiters)-1]
	if onlyFast {
		isFast := func(w *waiter) bool { return w.fast }
		first = r.waiters[slices.IndexFunc(r.waiters, isFast)]
		for i := len(r.waiters) - 1; !last.fast; i-- {
			last = r.waiters[i]
		}
	}
	if now-first.since > int64(g.cfg.MaxWait)/2 {
		return last, first
	}
	return first, last
}

// displace turns away a waiter of the route that has the most, unless that is r
// or hardly more than r has: a route may not fill the queue and leave the others
// outside. It reports whether it did.
func (g *Gate) displace(r *Route, now int64) bool {
	most := r
	for _, q := range g.queued {
		if len(q.waiters) > len(most.waiters) {
			most = q
		}
	}
	if len(most.waiters) <= len(r.waiters)+1 {
		return false
	}
	_, w := g.ends(most, now, false)
	g.shed++
	g.turnAway(w, ErrQueueFull)
	return true
}

func (g *Gate) turnAway(w *waiter, err error) {
	g.dequeue(w)
	w.err = err
	w.ready <- nil
}

func (g *Gate) enqueue(w *waiter) {
	r := w.route
	if len(r.waiters) == 0 {
		// A route that was away has saved nothing up.
		r.passed = max(r.passed, g.passed)
		g.queued = append(g.queued, r)
	}
	r.waiters = append(r.waiters, w)
	if w.fast {
		r.fast++
		g.fast++
	}
	if g.waiting++; g.waiting == 1 {
		g.lastEntry = 0
	}
}

// dequeue reports whether w was still waiting.
func (g *Gate) dequeue(w *waiter) bool {
	r := w.route
	i := slices.Index(r.waiters, w)
	if i < 0 {
		return false
	}
	r.waiters = slices.Delete(r.waiters, i, i+1)
	if w.fast {
		r.fast--
		g.fast--
	}
	if len(r.waiters) == 0 {
		g.queued = slices.DeleteFunc(g.queued, func(q *Route) bool { return q == r })
	}
	g.waiting--
	return true
}

// RetryAfter is when a request that was turned away might find room: after all
// who wait now, at the pace at which they have lately been let in. It is
// between one second and a minute.
func (g *Gate) RetryAfter() time.Duration {
	g.mu.Lock()
	d := time.Duration(g.interval * int64(g.waiting))
	g.mu.Unlock()
	return min(max(d.Round(time.Second), time.Second), time.Minute)
}

// Close turns away those who wait and those who come. Those inside may finish.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	for len(g.queued) > 0 {
		g.turnAway(g.queued[0].waiters[0], ErrClosed)
	}
	g.wake()
	g.mu.Unlock()
}

// Stats is what the gate is doing.
type Stats struct {
	InFlight int
	Waiting  int
	Held     int64 // bytes on the ledger
	Budget   int64
	Admitted int64
	Shed     int64
	Cut      int64 // clients that read too slowly
}

// Stats returns it.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{g.inFlight, g.waiting, g.ledger, g.cfg.Budget, g.admitted, g.shed, g.cuts}
}
