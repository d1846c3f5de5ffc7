package probe

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// A Lane is a listener that answers probes by itself and leaves every other
// connection to whoever accepts from it. Registry.Lane makes it; it starts with
// the first Accept, so nothing is answered for a server that does not serve,
// and ends with Close.
//
// A probe needs a turn on a processor to be accepted, one to be read and one to
// be answered, and behind hundreds of handlers that compute each turn costs a
// queue. The lane needs none: it is a thread of its own that takes connections
// from the kernel, looks at what they have sent without taking it, and answers
// what is a probe. A connection with anything else on it comes out of Accept
// with every byte still to be read. The thread asks the kernel for a short time
// slice, with which it seldom waits for the process's other threads when a probe
// wakes it (Linux 6.12 and later).
//
// A probe, to the lane, is a GET or HEAD of a path that the registry serves,
// whole in what was sent at first, in less than 1 KB, with nothing behind it,
// and with no header by which an answer might differ: no Accept but "*/*" and
// "text/plain", no query, no body. kubelet's are such, and those of most load
// balancers. Its answer has the bytes that the registry's handler and net/http
// would send. All other requests are answered by them, in the ordinary way. An
// answered connection is kept if its request keeps it, unless the registry
// drains.
//
// Who connects and is silent stays in the lane for a second, or until 1,024
// others are there, and then goes the ordinary way. If nobody calls Accept, 1,024
// connections wait to be handed out and as many in the lane; then probes wait in
// the kernel's queue, too.
//
// While Accept is behind with the connections that the lane has handed over, it
// takes the next ones from the kernel itself. It answers probes among them as the
// lane does, but for the heartbeat: that Accept has its turn is sign enough. Those
// that are silent, or kept after an answer, it gives to the lane. The lane takes the
// next ones again if Accept is not there for two to four milliseconds. A probe may
// have to wait as long, but not if Accept stays away.
//
// Because the thread would answer for a process in which nothing else runs,
// goroutines send it a heartbeat every second, in turn. Once the last is older
// than the limit, every endpoint answers 503. So it does when what other
// goroutines say of the checks is older than three times the limit, three seconds
// at least.
//
// What the lane answers, the server does not see: no ConnState, no ConnContext.
//
// It learns of what changes, draining included, as soon as a goroutine has had a
// turn to tell it.
//
// A running lane costs one thread, 26 goroutines, two of which wake in a second,
// half a megabyte and seven descriptors. A connection that it hands over is made from
// a descriptor, which takes a dozen system calls more than a listener's own. One
// that Accept takes itself costs one more, to peek at what it has sent; AcceptAhead
// saves that one.
type Lane struct {
	inner  net.Listener
	active laneThread // nil where the lane is off
	why    string     // why it is
}

var _ net.Listener = (*Lane)(nil)

// laneThread is the part of a lane that depends on the platform.
type laneThread interface {
	accept(peek bool) (c net.Conn, ahead []byte, err error)
	Close() error
	stats() LaneStats
	disable(why string)
}

// LaneStats is what a lane has done since it was made.
type LaneStats struct {
	Addr string // the listener's
	On   bool   // probes on new connections are answered by the lane
	Why  string // why it is off; empty if it is on

	Answered uint64 // probes, those that Accept has answered included
	Stale    uint64 // of these, those answered 503 because the heartbeat, or what to answer, was late
	Passed   uint64 // connections handed over to Accept
	Waiting  int    // connections in the lane
	Scarce   uint64 // failures to accept for want of descriptors or memory

	HeartbeatMax time.Duration // the heartbeat's greatest age so far; about 1 s is normal
}

type laneConfig struct {
	limit time.Duration
	idle  time.Duration
}

// DefaultHeartbeatLimit is how old the heartbeat may be. It is sent once a second
// by one of 16 goroutines in turn, which needs a turn on a processor for it and
// nothing else. The runtime puts it in front of the queue when its timer fires;
// where something else gets before it, the next may have better luck. With 1,000
// goroutines on one processor that compute, allocate and cannot be interrupted for
// 10 ms at a time, and 50 timers that fire ten times a second, the oldest was 2.0 s
// old (go test ./probe -run HeartbeatUnderOverload -long -v). It was 2.2 s old
// where nothing bounded what was let in and the heap had grown to 24 GB on one
// processor, until the process was killed for its memory.
const DefaultHeartbeatLimit = 10 * time.Second

// MinHeartbeatLimit is the lowest limit. A goroutine may run for 10 ms before
// another gets its turn, and a collection takes a few turns.
const MinHeartbeatLimit = 100 * time.Millisecond

// DefaultIdleTimeout is how long an answered connection is kept. It is the
// default of the middleware's server.
const DefaultIdleTimeout = 120 * time.Second

func laneDefaults() laneConfig {
	return laneConfig{limit: DefaultHeartbeatLimit, idle: DefaultIdleTimeout}
}

// LaneOption configures a [Lane].
type LaneOption func(*laneConfig)

// HeartbeatLimit sets for how long the scheduler may make no progress before
// the lane answers 503 at every endpoint. The default is
// DefaultHeartbeatLimit. Less than MinHeartbeatLimit is an error, zero too.
func HeartbeatLimit(d time.Duration) LaneOption {
	return func(c *laneConfig) { c.limit = d }
}

// IdleTimeout sets for how long a connection whose probe the lane has answered
// is kept for another request, as http.Server.IdleTimeout does for its own. The
// default is DefaultIdleTimeout; zero keeps it for as long as the lane has room,
// and negative values are errors.
func IdleTimeout(d time.Duration) LaneOption {
	return func(c *laneConfig) { c.idle = d }
}

func (c *laneConfig) validate() error {
	var problems []error
	if c.limit < MinHeartbeatLimit {
		problems = append(problems, fmt.Errorf("probe: HeartbeatLimit(%v) would fail healthy processes: use %v at least; leave it out for %v", c.limit, MinHeartbeatLimit, DefaultHeartbeatLimit))
	}
	if c.idle < 0 {
		problems = append(problems, fmt.Errorf("probe: IdleTimeout(%v) must not be negative; 0 has no limit", c.idle))
	}
	return errors.Join(problems...)
}

// Lane puts a lane in front of a listener. The error is about the options. A
// lane that cannot be is off, passes everything on, and says why in its Stats.
//
// The listener belongs to the lane from then on. Connections come out of Accept
// as they would come out of the listener's. Under TLS a lane is of no use: it
// would answer probes sent in plain text, and no others. Disable is for that.
func (r *Registry) Lane(ln net.Listener, opts ...LaneOption) (*Lane, error) {
	c := laneDefaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	l := &Lane{inner: ln}
	active, err := r.newLane(ln, c)
	if err != nil {
		l.why = err.Error()
		return l, nil
	}
	l.active = active
	return l, nil
}

// Accept returns the next connection that is not for the lane to answer. Its
// errors are those of the listener: they wrap net.ErrClosed after Close, but not
// before everything has been handed out that had come until then.
func (l *Lane) Accept() (net.Conn, error) {
	if l.active == nil {
		return l.inner.Accept()
	}
	c, _, err := l.active.accept(true)
	return c, err
}

// AcceptAhead is Accept for a server that can begin with what has been read of a
// connection already, 1 KB at most: ahead comes before all that can be read from c.
// Where Accept would have peeked at a connection that it takes itself, to see whether
// it has sent a probe, AcceptAhead reads; of all others ahead is empty. The server has
// one read less to do then. That of package middleware uses it. A type that embeds a
// Lane and has an Accept of its own needs an AcceptAhead as well.
func (l *Lane) AcceptAhead() (c net.Conn, ahead []byte, err error) {
	if l.active == nil {
		c, err = l.inner.Accept()
		return c, nil, err
	}
	return l.active.accept(false)
}

// Close closes the listener and ends the lane. Who shares the socket, by
// inheritance for instance, keeps it. Connections that were waiting are handed
// out by Accept; if nobody asks for them, they are closed.
func (l *Lane) Close() error {
	if l.active == nil {
		return l.inner.Close()
	}
	return l.active.Close()
}

// Addr is the listener's address.
func (l *Lane) Addr() net.Addr { return l.inner.Addr() }

// Stats returns what the lane has done. It may be called at any time.
func (l *Lane) Stats() LaneStats {
	s := LaneStats{Why: l.why}
	if l.active != nil {
		s = l.active.stats()
	}
	s.Addr = l.Addr().String()
	return s
}

// Disable has the lane pass everything on from now on, and gives the reason
// that Stats shows. A lane that is off stays so, for its first reason.
func (l *Lane) Disable(why string) {
	if l.active != nil {
		l.active.disable(why)
	}
}
