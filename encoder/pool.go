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
// the queue, runs one quantum of it, and puts it at the tail if others wait.
type pool struct {
	ants  *ants.Pool
	limit int // most jobs that may wait

	mu       sync.Mutex
	queue    ring // guarded by mu
	workers  int  // running or about to; guarded by mu
	starting int  // of those, about to take their first job; guarded by mu
	most     int  // workers at the same time
	jobs     int  // accepted and not yet ended; guarded by mu
	closed   bool // guarded by mu
	drained  chan struct{}
}

func newPool(workers, limit int) (*pool, error) {
	// One goroutine more than we ever use: the one that just ran out of work
	// may not yet have been given back when the next is wanted. Where that is
	// not enough ants must not block: its waiters can miss the wake-up of a
	// goroutine that expires, and know no context.
	a, err := ants.NewPool(workers+1, ants.WithExpiryDuration(10*time.Second), ants.WithNonblocking(true))
	if err != nil {
		return nil, err
	}
	return &pool{ants: a, limit: limit, most: workers, drained: make(chan struct{})}, nil
}

// begin accepts a job and queues it. Only here can a job be refused: once it
// runs it comes back to the queue as often as it needs.
func (p *pool) begin(j *job) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if p.waiting()-p.starting >= p.limit {
		// A job that a worker is on its way to does not wait for one: a burst
		// on an idle pool is not refused while there are workers left.
		p.mu.Unlock()
		return ErrOverloaded
	}
	p.jobs++
	p.push(j)
	return nil
}

// push queues a job, and starts a worker if there is one to start. It is
// called with mu held and releases it.
func (p *pool) push(j *job) {
	j.state = queued
	p.queue.push(j)
	start := p.workers < p.most
	if start {
		p.workers++
		p.starting++
	}
	p.mu.Unlock()
	if start && p.ants.Submit(p.work) != nil {
		// All of ants' goroutines are on their way back to it. The job must
		// not wait for that, and not be lost.
		go p.work()
	}
}

// work runs quanta until nothing is queued.
func (p *pool) work() {
	p.mu.Lock()
	p.starting--
	for {
		j := p.queue.pop()
		if j == nil {
			p.workers--
			p.mu.Unlock()
			return
		}
		j.state, j.began = running, true
		for j.state == running {
			p.mu.Unlock()
			full, done, callsUser := j.turn()
			// Give way: to the handlers that write what was encoded, and to
			// whatever else waits for a processor.
			runtime.Gosched()
			p.mu.Lock()
			if full != nil {
				j.ready = append(j.ready, full)
			}
			j.done, j.callsUser = done, callsUser
			if done || callsUser || j.cancelled || len(j.ready) >= maxReady {
				// Not for want of work to do, the last: its client has not
				// read what is ready. It holds no worker until take.
				j.state = parked
			} else if p.waiting() > 0 {
				j.state = queued
				p.queue.push(j)
			}
			if full != nil || j.state == parked {
				j.signal()
			}
		}
	}
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
	p.push(j)
	return ready, false
}

// withdraw takes j off the queue if it has not yet had a turn.
func (p *pool) withdraw(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.began {
		return false
	}
	p.queue.remove(j)
	j.state = parked
	return true
}

// end gives up j's place. If j has not ended by itself it is taken off the
// queue, or the worker finishes the quantum it is in: when end returns nothing
// reads the value any more.
func (p *pool) end(j *job) {
	p.mu.Lock()
	j.cancelled = true
	if j.state == queued {
		p.queue.remove(j)
		j.state = parked
	}
	for j.state == running {
		p.mu.Unlock()
		<-j.wake
		p.mu.Lock()
	}
	freeAll(j.ready)
	j.ready = nil
	p.jobs--
	last := p.closed && p.jobs == 0
	p.mu.Unlock()
	if last {
		close(p.drained)
	}
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

func (p *pool) waiting() int { return int(p.queue.n.Load()) }

// ring is a queue of jobs from which any can be removed.
type ring struct {
	head, tail *job
	n          atomic.Int64 // read without mu by those who only want to know
}

func (r *ring) push(j *job) {
	j.prev, j.next = r.tail, nil
	if r.tail == nil {
		r.head = j
	} else {
		r.tail.next = j
	}
	r.tail = j
	r.n.Add(1)
}

func (r *ring) pop() *job {
	j := r.head
	if j != nil {
		r.remove(j)
	}
	return j
}

func (r *ring) remove(j *job) {
	if j.prev == nil {
		r.head = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		r.tail = j.prev
	} else {
		j.next.prev = j.prev
	}
	j.prev, j.next = nil, nil
	r.n.Add(-1)
}
