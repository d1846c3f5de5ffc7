package encoder

import "sync/atomic"

// nearly is how many quanta a job may have before it to be served as one that
// is nearly done. With the first quantum, which is over by then, that is every
// response of up to 256 KB: what admission counts as light, and lets in without
// regard to those that are long.
const nearly = 3

// queue is where jobs wait for their next quantum. They are served in turn, but
// those that are nearly done have a line of their own, and every second turn:
// a response of 64 KB waits for one quantum of another, not for one of each of
// the 64 that encode 18 MB. These go on at half their speed or better.
//
// The pool's mu guards it, except for len.
type queue struct {
	short, long ring
	nearly      int  // bytes that a job in short may have before it
	turn        bool // the next turn is for long, if both have jobs
}

func (q *queue) push(j *job) {
	j.short = j.rest <= q.nearly
	q.of(j).push(j)
}

func (q *queue) pop() *job {
	r := &q.short
	if r.head == nil || q.turn && q.long.head != nil {
		r = &q.long
	}
	q.turn = r == &q.short
	return r.pop()
}

func (q *queue) remove(j *job) { q.of(j).remove(j) }

func (q *queue) of(j *job) *ring {
	if j.short {
		return &q.short
	}
	return &q.long
}

// rest is how many bytes its jobs are expected to become yet.
func (q *queue) rest() int64 { return q.short.rest + q.long.rest }

func (q *queue) len() int { return q.short.len() + q.long.len() }

// ring is a queue of jobs from which any can be removed.
type ring struct {
	head, tail *job
	rest       int64        // bytes that its jobs are expected to become yet
	n          atomic.Int64 // of jobs; read without mu by those who only want to know
}

func (r *ring) len() int { return int(r.n.Load()) }

func (r *ring) push(j *job) {
	j.prev, j.next = r.tail, nil
	if r.tail == nil {
		r.head = j
	} else {
		r.tail.next = j
	}
	r.tail = j
	r.rest += int64(j.rest)
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
	r.rest -= int64(j.rest)
	r.n.Add(-1)
}
