package flood

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a closed loop: each client keeps one connection and asks again as
// soon as it has its answer.
type Load struct {
	// Addr is the server's host:port.
	Addr string
	// Path is what every client asks for.
	Path string
	// Body is what every 200 must carry, as Verify returned it. The zero Body
	// accepts anything.
	Body Body
	// AcceptEncoding is sent as the header of that name, unless it is "". Bodies
	// are not decompressed, so Body has to be zero or that of the same encoding.
	AcceptEncoding string
	// Duration is how long the flood lasts. It must be positive.
	Duration time.Duration

	// Clients read as fast as they can.
	Clients int
	// Slow clients read at SlowRate bytes per second (0 means 500,000).
	Slow     int
	SlowRate int
	// Stalled clients send one request and never read.
	Stalled int

	// RetryAfter bounds how long a client waits after a 503 that carries
	// Retry-After. 0 means one second; negative means it asks again at once.
	RetryAfter time.Duration
	// Interval is the width of one slot of Result.Series. 0 means 250 ms.
	Interval time.Duration
}

// Result is what a Load saw.
type Result struct {
	// Elapsed is the time all counts refer to.
	Elapsed time.Duration
	// Fast and Slow count the answers to Clients and to the Slow clients.
	Fast, Slow Tally
	// Series cuts the time into slots of Interval each; the last may be shorter.
	Series   []Slot
	Interval time.Duration
	// FirstError is the first of all errors and broken bodies, nil without any.
	FirstError error
}

// Tally counts answers.
type Tally struct {
	OK         int64 // whole 200s
	Shed       int64 // 503s
	Errors     int64 // connections that failed, and other statuses
	Broken     int64 // 200s whose body was not whole; none of them is in Errors
	Unfinished int64 // requests under way when time was up
	Bytes      int64 // of bodies, also of those under way when time was up
	Latency    Quantiles
}

// PerSecond returns whole 200s per second of elapsed.
func (t Tally) PerSecond(elapsed time.Duration) float64 {
	return float64(t.OK) / elapsed.Seconds()
}

// BytesPerSecond returns bytes of bodies per second of elapsed.
func (t Tally) BytesPerSecond(elapsed time.Duration) float64 {
	return float64(t.Bytes) / elapsed.Seconds()
}

// Slot is one interval of the series; fast and slow clients together.
type Slot struct {
	OK, Shed, Errors, Bytes int64
}

// run is one flood under way.
type run struct {
	Load
	start      time.Time
	slots      []liveSlot
	firstError atomic.Pointer[error]
}

type liveSlot struct{ ok, shed, errors, bytes atomic.Int64 }

// Run floods until Duration has passed or ctx ends, whichever is first, closes
// all connections and returns what it saw. What a server does wrong is counted,
// not returned: an error means that the Load itself makes no sense.
func (l Load) Run(ctx context.Context) (Result, error) {
	if l.Duration <= 0 {
		return Result{}, errors.New("flood: Load.Duration must be positive")
	}
	if l.Addr == "" || l.Path == "" {
		return Result{}, errors.New("flood: Load needs Addr and Path")
	}
	if l.Clients < 0 || l.Slow < 0 || l.Stalled < 0 || l.SlowRate < 0 {
		return Result{}, errors.New("flood: Load with a negative number of clients")
	}
	if l.SlowRate == 0 {
		l.SlowRate = 500_000
	}
	if l.RetryAfter == 0 {
		l.RetryAfter = time.Second
	}
	if l.Interval <= 0 {
		l.Interval = 250 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, l.Duration)
	defer cancel()

	r := &run{Load: l, start: time.Now()}
	r.slots = make([]liveSlot, (l.Duration+l.Interval-1)/l.Interval)
	clients := make([]*client, 0, l.Clients+l.Slow+l.Stalled)
	var wg sync.WaitGroup
	for i := range cap(clients) {
		c := &client{run: r}
		switch {
		case i < l.Stalled:
			c.kind = stalled
		case i < l.Stalled+l.Slow:
			c.kind = slow
		}
		clients = append(clients, c)
		wg.Go(func() { c.loop(ctx) })
	}
	if len(clients) == 0 {
		<-ctx.Done() // an idle server is measured for as long as a busy one
	}
	wg.Wait()
	return r.result(clients), nil
}

func (r *run) result(clients []*client) Result {
	res := Result{Elapsed: min(time.Since(r.start), r.Duration), Interval: r.Interval}
	var fastLatencies, slowLatencies []time.Duration
	for _, c := range clients {
		if c.kind == slow {
			res.Slow.add(c.tally)
			slowLatencies = append(slowLatencies, c.latencies...)
		} else {
			res.Fast.add(c.tally) // a stalled client leaves only its errors here
			fastLatencies = append(fastLatencies, c.latencies...)
		}
	}
	res.Fast.Latency = QuantilesOf(fastLatencies)
	res.Slow.Latency = QuantilesOf(slowLatencies)
	used := min(len(r.slots), int((res.Elapsed+r.Interval-1)/r.Interval))
	for i := range used {
		s := &r.slots[i]
		res.Series = append(res.Series, Slot{s.ok.Load(), s.shed.Load(), s.errors.Load(), s.bytes.Load()})
	}
	if p := r.firstError.Load(); p != nil {
		res.FirstError = *p
	}
	return res
}

func (t *Tally) add(o Tally) {
	t.OK += o.OK
	t.Shed += o.Shed
	t.Errors += o.Errors
	t.Broken += o.Broken
	t.Unfinished += o.Unfinished
	t.Bytes += o.Bytes
}

// slot returns the slot of this moment.
func (r *run) slot() *liveSlot {
	i := int(time.Since(r.start) / r.Interval)
	return &r.slots[min(i, len(r.slots)-1)]
}

func (r *run) fail(err error) {
	r.firstError.CompareAndSwap(nil, &err)
	r.slot().errors.Add(1)
}

type clientKind int

const (
	fast clientKind = iota
	slow
	stalled
)

// client is one client of a flood. Only its own goroutine touches it until the
// flood is over.
type client struct {
	*run
	kind      clientKind
	tally     Tally
	latencies []time.Duration
}

// readSize is what a fast client takes in at one read: as much as a server
// writes at once, so that a body costs the load few system calls.
const readSize = 256 << 10

// retryPause keeps a server that refuses connections from being asked in a
// busy loop.
const retryPause = 10 * time.Millisecond

// loop connects, asks and reads until ctx ends.
func (c *client) loop(ctx context.Context) {
	for !over(ctx) {
		err := c.connect(ctx)
		if err == nil || over(ctx) {
			continue
		}
		c.tally.Errors++
		c.fail(err)
		pause(ctx, retryPause)
	}
}

// connect serves one connection's lifetime. It returns nil when the server
// closed it properly between two responses.
func (c *client) connect(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	ask := request(c.Addr, c.Path, c.AcceptEncoding)
	if c.kind == stalled {
		if _, err := conn.Write(ask); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	rr := newResponseReader(conn, readSize)
	if c.kind == slow {
		rr = newResponseReader(newPacedReader(ctx, conn, c.SlowRate), slowReadSize)
	}
	rr.count = func(n int) {
		c.tally.Bytes += int64(n)
		c.slot().bytes.Add(int64(n))
	}
	for !over(ctx) {
		asked := time.Now()
		if _, err := conn.Write(ask); err != nil {
			return err
		}
		resp, err := rr.read()
		if err != nil {
			if over(ctx) {
				c.tally.Unfinished++
				return nil
			}
			if resp.status == 200 {
				c.broken(fmt.Errorf("body cut after %d bytes: %w", resp.size, err))
				return nil
			}
			return err
		}
		switch {
		case resp.status == 200 && (c.Body == Body{} || c.Body.matches(resp)):
			c.tally.OK++
			c.slot().ok.Add(1)
			c.latencies = append(c.latencies, time.Since(asked))
		case resp.status == 200:
			c.broken(fmt.Errorf("a whole response with a wrong body of %d bytes, want %d", resp.size, c.Body.Size))
		case resp.status == 503:
			c.tally.Shed++
			c.slot().shed.Add(1)
			pause(ctx, min(resp.retryAfter, c.RetryAfter))
		default:
			c.tally.Errors++
			c.fail(fmt.Errorf("GET %s answered %d", c.Path, resp.status))
			pause(ctx, retryPause)
		}
		if resp.close {
			return nil
		}
	}
	return nil
}

func (c *client) broken(err error) {
	c.tally.Broken++
	c.fail(err)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// over reports whether ctx has ended. A dialer looks at the clock itself and
// may give up at the deadline a moment before ctx says so.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
