package encoder

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/ants/v2"
)

// pool shares a few workers among many encodes, a quantum at a time. ants runs
// the workers; the queue in front of it is ours, because a goroutine that
// waits in ants can be neither cancelled nor timed out.
//
// A worker exists only while there is work: it takes the job at the head of
// the queue, runs one quantum of it, and puts it back if others wait.
type pool struct {
	ants      *ants.Pool
	limit     int   // most jobs that may wait
	limitRest int64 // most bytes that those may have before them, together; 0 is no limit
	limitRoom int64 // most bytes that may be set aside for what jobs hold; 0 is no limit

	mu       sync.Mutex
	queue    queue        // of those that wait for a worker; guarded by mu
	outside  ring         // of those that wait for room before that; guarded by mu
	room     int64        // bytes set aside for those let in; guarded by mu
	workers  int          // running or about to; guarded by mu
	starting int          // of those, about to take their first job; guarded by mu
	most     atomic.Int64 // workers at the same time; written with mu held
	jobs     int          // accepted and not yet ended; guarded by mu
	closed   bool         // guarded by mu
	drained  chan struct{}
}

func newPool(cfg *config) (*pool, error) {
	// Where spare is not enough ants must not block: its waiters can miss the
	// wake-up of a goroutine that expires, and know no context.
	a, err := ants.NewPool(cfg.workers+spare, ants.WithExpiryDuration(10*time.Second), ants.WithNonblocking(true))
	if err != nil {
		return nil, err
	}
	p := &pool{ants: a, limit: cfg.queue, limitRest: cfg.queueBytes, limitRoom: cfg.heldLimit,
		queue: queue{nearly: nearly * cfg.quantum}, drained: make(chan struct{})}
	p.most.Store(int64(cfg.workers))
	return p, nil
}

// spare is how many goroutines ants has beyond those we use: the one that just
// ran out of work may not yet have been given back when the next is wanted.
const spare = 1

// resize changes how many workers there may be. Those that are too many leave
// after their quantum.
func (p *pool) resize(workers int) {
	p.mu.Lock()
	p.most.Store(int64(workers))
	p.ants.Tune(workers + spare)
	p.start()
}

// begin accepts a job and queues it. Only here can a job be refused: once it
// runs it comes back to the queue as often as it needs.
//
// A job that finds no room for what it is going to hold waits outside the
// queue, in the order in which it came, until others have ended.
func (p *pool) begin(j *job) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	// A job that a worker is on its way to does not wait for one: a burst on an
	// idle pool is not refused while there are workers left.
	waiting := p.waiting() - p.starting
	rest := p.queue.rest() + p.outside.rest + int64(j.rest)
	if waiting >= p.limit || waiting > 0 && p.limitRest > 0 && rest > p.limitRest {
		p.mu.Unlock()
		return ErrOverloaded
	}
	p.jobs++
	j.state = outside
	p.outside.push(j)
	p.letIn()
	return nil
}

// letIn moves those who wait for room to the queue while there is some. One
// alone has room whatever it is going to hold. It is called with mu held and
// releases it.
func (p *pool) letIn() {
	for j := p.outside.head; j != nil; j = p.outside.head {
		if p.limitRoom > 0 && p.room > 0 && p.room+j.room > p.limitRoom {
			break
		}
		p.outside.remove(j)
		p.room += j.room
		p.enqueue(j)
	}
	p.start()
}

func (p *pool) enqueue(j *job) {
	j.state = queued
	p.queue.push(j)
}

// start starts workers for the jobs in the queue, as many as there may be. It
// is called with mu held and releases it.
func (p *pool) start() {
	n := max(0, min(int(p.most.Load())-p.workers, p.queued()-p.starting))
	p.workers += n
	p.starting += n
	p.mu.Unlock()
	for range n {
		if p.ants.Submit(p.work) != nil {
			// All of ants' goroutines are on their way back to it. The job must
			// not wait for that, and not be lost.
			go p.work()
		}
	}
}

// work runs quanta until nothing is queued, or there are too many workers.
func (p *pool) work() {
	p.mu.Lock()
	p.starting--
	for {
		var j *job
		if !p.crowded() {
			j = p.queue.pop()
		}
		if j == nil {
			p.workers--
			p.mu.Unlock()
			return
		}
		j.state, j.began = running, true
		for j.state == running {
			p.turn(j)
		}
	}
}

// turn runs a quantum of j and decides where j goes from there. It is called
// with mu held, and releases it meanwhile.
func (p *pool) turn(j *job) {
	p.mu.Unlock()
	full, done, callsUser := j.turn()
	// Give way: to the handlers that write what was encoded, and to whatever
	// else waits for a processor.
	runtime.Gosched()
	p.mu.Lock()
	if full != nil {
		j.ready = append(j.ready, full)
	}
	j.done, j.callsUser = done, callsUser
	// It may be more than was thought, or something that cannot be cut.
	p.setAside(j, max(j.room, j.booked()))
	if done || callsUser || j.cancelled || len(j.ready) >= maxReady {
		// Not for want of work to do, the last: its client has not read what is
		// ready. It holds no worker until take.
		j.state = parked
	} else if p.queued() > 0 || p.crowded() {
		p.enqueue(j)
	}
	if full != nil || j.state == parked {
		j.signal()
	}
}

// crowded reports whether there are more workers than there may be.
func (p *pool) crowded() bool { return p.workers > int(p.most.Load()) }

// setAside makes room what j is expected to hold.
func (p *pool) setAside(j *job, room int64) {
	p.room += room - j.room
	j.room = room
}

// take returns the segments of j that are ready and whether it has ended on
// the pool. If it was parked for want of room it goes on.
func (p *pool) take(j *job) (ready []*segment, ended bool) {
	p.mu.Lock()
	ready, j.ready = j.ready, j.spare[:0]
	j.spare = ready
	if j.state != parked {
		p.mu.Unlock()
		return ready, false
	}
	if j.done || j.callsUser {
		p.mu.Unlock()
		return ready, true
	}
	p.enqueue(j)
	p.start()
	return ready, false
}

// withdraw takes j off the queue if it has not yet had a turn.
func (p *pool) withdraw(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.began {
		return false
	}
	p.dequeue(j)
	return true
}

// dequeue takes j off the ring it is in, if it is in one.
func (p *pool) dequeue(j *job) {
	switch j.state {
	case outside:
		p.outside.remove(j)
		j.room = 0 // none was set aside
	case queued:
		p.queue.remove(j)
	default:
		return
	}
	j.state = parked
}

// vacate leaves the room of a job that goes on in its caller's goroutine to
// others. The user's code there may wait for them.
func (p *pool) vacate(j *job) {
	p.mu.Lock()
	p.setAside(j, 0)
	p.letIn()
}

// end gives up j's place. If j has not ended by itself it is taken off the
// queue, or the worker finishes the quantum it is in: when end returns nothing
// reads the value any more.
func (p *pool) end(j *job) {
	p.mu.Lock()
	j.cancelled = true
	p.dequeue(j)
	for j.state == running {
		p.mu.Unlock()
		<-j.wake
		p.mu.Lock()
	}
	freeAll(j.ready)
	j.ready = nil
	p.setAside(j, 0)
	p.jobs--
	if p.closed && p.jobs == 0 {
		close(p.drained)
	}
	p.letIn()
}

// close refuses new jobs, waits until those accepted have ended, and gives the
// workers back.
func (p *pool) close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed && p.jobs == 0 {
		close(p.drained)
	}
	p.closed = true
	p.mu.Unlock()
	select {
	case <-p.drained:
	default:
		select {
		case <-p.drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// Not only the first to close: that one's context may have ended before.
	p.ants.Release()
	return nil
}

// queued is how many jobs wait for a worker.
func (p *pool) queued() int { return p.queue.len() }

// waiting is how many wait for a worker, or for room before that.
func (p *pool) waiting() int { return p.queued() + p.outside.len() }
