package middleware

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/internal/memlimit"
	"github.com/probelane/probelane/internal/server"
	"github.com/probelane/probelane/probe"
)

const (
	// DefaultMemoryBudget is what responses may hold where neither GOMEMLIMIT
	// nor a cgroup limits memory: a dozen responses of 18 MB.
	DefaultMemoryBudget = 256 << 20
	// budgetShare is the part of a memory limit that responses may hold. The
	// collector lets the heap grow to twice what is alive, and the app needs
	// memory too.
	budgetShare = 4
	// minMemoryBudget keeps a guard in a tiny container useful.
	minMemoryBudget = 16 << 20
	// workingSet is how many bytes per processor the heavy requests may hold
	// that are being worked on, not waiting for their clients. More of them at a
	// time finish no sooner. Three responses of 16 MB: one builds its value
	// while one is encoded and one is written.
	workingSet = 48 << 20
	// floor is how many requests always find room, per guard.
	floor = 2
	// runnablePerProc is how many goroutines may be waiting for a processor, for
	// each one, before requests wait too. A goroutine that computes is moved
	// aside after 10 ms, so this many times 10 ms is what a probe waits.
	runnablePerProc = 2
	// encodesPerProc is how many values that are not built for a request may be
	// waiting for a worker, for each processor. They take turns of a fraction of a
	// millisecond, and hold little. With fewer, fewer responses are under way, and
	// their clients have to be woken more often: eight of them on loopback get 9 %
	// less with none waiting, and 4 % less with four. Probes of a flood have the
	// same p50 and p99 with all of these.
	encodesPerProc = 8
	// DefaultMaxWaiting is how many requests may wait. They cost a goroutine and
	// a connection each.
	DefaultMaxWaiting = 1000
	// DefaultMaxWait is how long they may: well below the 60 s after which
	// nginx and most load balancers give up.
	DefaultMaxWait = 15 * time.Second
	// DefaultMinReadRate is 8 Mbit/s: a response of 18 MB is gone in 18 s, so
	// that who waits has a chance within DefaultMaxWait. Many phones are slower;
	// none is cut unless it is what others wait for.
	DefaultMinReadRate = 1 << 20
	// DefaultOverloadDwell is for probers that notice within a few seconds: a
	// readiness probe with a period of 2 s and a threshold of 1.
	DefaultOverloadDwell = 10 * time.Second
	// readsFor is stopsFor while a connection begins, and where the kernel does
	// not tell what a client has taken: a write that waits says how far it has
	// come after 512 KB, or an eighth of the write stall.
	readsFor = 5 * time.Second
	// stopsFor is how late a client may be while others wait before it counts as
	// slow, by what it should take in that time, and for how long it may take
	// nothing before it counts as one that has stopped. A lost packet comes again
	// after 0.2 s, or within a second if that is lost too.
	stopsFor = time.Second
)

type config struct {
	budget      int64
	maxWaiting  int
	maxWait     time.Duration
	minReadRate int64
	readsFor    time.Duration
	exempt      map[string]bool
	encoder     []encoder.Option
	warm        []any
	probe       []probe.Option
	server      server.Config
	log         *slog.Logger
	maxProcs    bool
	rotation    rotationConfig
	noLane      bool
	heartbeat   time.Duration // the lane's limit
	probeAddr   string
	// compressFrom is from how many bytes of JSON on a response is compressed; 0
	// compresses nothing.
	compressFrom int
	err          error // what an option found wrong already
}

func defaults() config {
	budget := int64(DefaultMemoryBudget)
	if limit := memlimit.Bytes(); limit > 0 {
		budget = max(limit/budgetShare, minMemoryBudget)
	}
	return config{
		budget:      budget,
		maxWaiting:  DefaultMaxWaiting,
		maxWait:     DefaultMaxWait,
		minReadRate: DefaultMinReadRate,
		readsFor:    readsFor,
		exempt:      map[string]bool{},
		server:      server.Defaults(),
		log:         slog.New(slog.DiscardHandler),
		maxProcs:    true,
		rotation:    rotationConfig{interval: time.Second},
		heartbeat:   probe.DefaultHeartbeatLimit,
	}
}

func (c *config) validate() error {
	problems := []error{c.err, c.server.Validate()}
	if c.budget <= 0 {
		problems = append(problems, fmt.Errorf("WithMemoryBudget(%d): must be above zero; leave it out for the default", c.budget))
	}
	if c.maxWaiting <= 0 {
		problems = append(problems, fmt.Errorf("WithQueue(%d, …): at least one request must be able to wait", c.maxWaiting))
	}
	if c.maxWait <= 0 {
		problems = append(problems, fmt.Errorf("WithQueue(…, %v): the longest wait must be above zero", c.maxWait))
	}
	if c.compressFrom < 0 {
		problems = append(problems, fmt.Errorf("WithCompression(%d): the shortest response that is compressed cannot be negative; 0 means %d", c.compressFrom, DefaultCompressionMinimum))
	}
	if c.heartbeat < probe.MinHeartbeatLimit {
		problems = append(problems, fmt.Errorf("WithHeartbeatLimit(%v): would fail healthy processes; %v at least", c.heartbeat, probe.MinHeartbeatLimit))
	}
	if err := checkProbeAddress(c.probeAddr); err != nil {
		problems = append(problems, err)
	}
	if c.minReadRate < 0 {
		problems = append(problems, fmt.Errorf("WithMinReadRate(%d): cannot be negative; 0 cuts nobody", c.minReadRate))
	}
	if r := c.rotation; r.on && r.out < r.interval {
		problems = append(problems, fmt.Errorf("WithOverloadReadiness(%v): must be at least %v, or 0 for %v", r.out, r.interval, DefaultOverloadDwell))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("middleware: %w", err)
	}
	return nil
}

// An Option sets up a Guard.
type Option func(*config)

// WithMemoryBudget sets how many bytes the responses being made may hold
// together. Requests that would go beyond wait. The default is a quarter of
// GOMEMLIMIT or of the cgroup's limit, whichever is lower, and
// DefaultMemoryBudget without either; zero is an error.
func WithMemoryBudget(bytes int64) Option { return func(c *config) { c.budget = bytes } }

// WithQueue sets how many requests may wait for room, and for how long, before
// they are answered 503 with Retry-After. The defaults are DefaultMaxWaiting
// and DefaultMaxWait; zero is an error for either. A request whose own context ends sooner leaves sooner.
func WithQueue(requests int, wait time.Duration) Option {
	return func(c *config) { c.maxWaiting, c.maxWait = requests, wait }
}

// WithMinReadRate sets how many bytes a second a client should take of a large
// response, or send of the body of a request for one. Nothing happens to one
// that is slower while there is room. But when the memory budget is used up and
// requests wait for nothing else, as many clients are cut, the slowest first, as
// hold what those who wait need. The connection of one that does not read is
// reset, and it sees a broken response; where a body does not come, the
// handler's read fails with os.ErrDeadlineExceeded. These may be cut:
//
//   - clients that have moved nothing for a second while others waited (five,
//     where the kernel does not tell: elsewhere than on Linux on amd64 and arm64,
//     and if a listener's connections hide their sockets),
//   - clients that are late by what the rate allows in a second (five, where the
//     kernel does not tell, and until 256 KiB have moved, because a connection
//     begins slowly). That is counted from when they were last on time: what they
//     took early counts for nothing later, and one that pauses for less than a
//     second is on time again when it has made up for it. A client at half the rate
//     is late by a second after two. Those above a 64th of it are cut only as long
//     as faster clients are served meanwhile, three budgets full of them in
//     advance: where all are slow, four in five come to the end.
//
// A client that has taken a large response at this rate or faster is known to be
// fast for as long as it keeps the connection. While such clients come, 48 MiB
// per processor, but at most half of the budget, are left to them by requests
// of other clients.
//
// The default is DefaultMinReadRate; 0 cuts nobody. It is for connections from
// Run or Listener. On HTTP/2, where many responses share a connection, only
// bodies are cut.
func WithMinReadRate(bytes int64) Option { return func(c *config) { c.minReadRate = bytes } }

// WithExempt lets requests to these routes pass without admission. Routes are
// named as they were registered: "/users/:id".
func WithExempt(routes ...string) Option {
	return func(c *config) {
		for _, r := range routes {
			if r == "" || r[0] != '/' {
				c.err = errors.Join(c.err, fmt.Errorf("WithExempt(%q): a route begins with a slash, as it was registered", r))
			}
			c.exempt[r] = true
		}
	}
}

// WithEncoder sets options of the encoder, for instance its hold.
func WithEncoder(opts ...encoder.Option) Option {
	return func(c *config) { c.encoder = append(c.encoder, opts...) }
}

// WithWarm has New prepare to encode values of the types of these, as
// encoder.Warm does, so that the first responses need not. That is before any
// probe says that the process is ready.
func WithWarm(values ...any) Option {
	return func(c *config) { c.warm = append(c.warm, values...) }
}

// WithProbes sets options of the probes, for instance checks and paths.
func WithProbes(opts ...probe.Option) Option {
	return func(c *config) { c.probe = append(c.probe, opts...) }
}

// WithOverloadReadiness has readiness fail for a while when the process has been
// overloaded for long, so that a balancer sends new connections elsewhere. It
// does so by a check named "overload". Overloaded means that requests were
// turned away for want of room in the last second, or that half as many wait as
// may, and from then on until fewer than an eighth do.
//
// dwell is how long the process stays out of rotation, on average: between a
// half and one and a half of it, at random. Before that it has to be overloaded
// for three times as long without a break, at random in the same way; until then
// the check is degraded. It comes back at the end of its time even if it is still
// overloaded, by connections that were kept for instance. So of a fleet that is
// overloaded as a whole a quarter is out at a time, a third at worst, and never
// all of it.
//
// The dwell should be several times what the prober needs to notice: its period
// times its failure threshold. 0 means DefaultOverloadDwell; less than a second
// is an error. Without this option readiness knows nothing of load.
func WithOverloadReadiness(dwell time.Duration) Option {
	return func(c *config) {
		if dwell == 0 {
			dwell = DefaultOverloadDwell
		}
		c.rotation.on, c.rotation.out = true, dwell
	}
}

// WithHeartbeatLimit sets for how long Go's scheduler may make no progress
// before the lane, which does not need it, answers every probe with 503. The
// default is probe.DefaultHeartbeatLimit, 10 s; less than
// probe.MinHeartbeatLimit is an error, zero too.
func WithHeartbeatLimit(d time.Duration) Option { return func(c *config) { c.heartbeat = d } }

// WithoutLane has probes on new connections accepted and answered by the
// server, in front of the router, as those on kept connections are.
func WithoutLane() Option { return func(c *config) { c.noLane = true } }

// WithProbeAddress has Run answer the probes at another address too, such as
// ":9090", where nothing else is served, until the last request is answered.
// Then the service is probed by itself as well: liveness and readiness fail
// when its own port has not answered three times in a row, asked every 5 s and
// given 10 s. The default, and the meaning of "", is no such address.
func WithProbeAddress(addr string) Option { return func(c *config) { c.probeAddr = addr } }

// WithIdleTimeout sets how long the server keeps a connection that carries no
// request. It has to be longer than the proxy in front keeps its own, or the
// proxy sends requests into connections that are just being closed: 60 s for
// AWS ALB, nginx and ingress-nginx, 90 s for Traefik and Go clients, 300 s for
// OCI, 600 s for GCP, an hour for Envoy and Istio. The default is 120 s; 0
// keeps it for ever, and negative values are errors.
func WithIdleTimeout(d time.Duration) Option { return func(c *config) { c.server.IdleTimeout = d } }

// WithWriteStall sets how long a client may take nothing of a response before
// its connection is cut, which may come up to three eighths later. It replaces
// http.Server's WriteTimeout, which counts from the request on, and so cuts long
// downloads. The default is 30 s; 0 waits for ever, and negative values are
// errors.
func WithWriteStall(d time.Duration) Option { return func(c *config) { c.server.WriteStall = d } }

// WithReadStall sets how long a client may send nothing of a request's body
// while the handler reads it. The read then fails with os.ErrDeadlineExceeded;
// the handler can still answer, and an HTTP/1 connection is closed afterwards.
// It replaces http.Server's ReadTimeout, which cuts long uploads, and does not
// apply to HTTP/1 where that is set. A handler that wants another limit, or none
// because it converses with its client, sets it with
// http.ResponseController.SetReadDeadline on HTTP/1; on HTTP/2 CONNECT and gRPC
// have none. The default is 30 s; 0 waits for ever, and negative values are
// errors.
//
// A client that sends a little now and then is another matter: see
// WithMinReadRate.
func WithReadStall(d time.Duration) Option { return func(c *config) { c.server.ReadStall = d } }

// WithDrain sets how long a server that is told to stop goes on accepting
// connections, with readiness at 503 and "Connection: close" on every
// response, and how long it then waits for requests to finish. Both together
// must fit in the pod's terminationGracePeriodSeconds. Zero for the first stops
// accepting at once; the defaults are 5 s and 20 s.
func WithDrain(accepting, finishing time.Duration) Option {
	return func(c *config) { c.server.DrainTime, c.server.ShutdownTimeout = accepting, finishing }
}

// WithLogger sets where a guard tells of panics, of what it chose, and of
// checks that change. Nil, the default, is silence.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) {
		if l == nil {
			l = slog.New(slog.DiscardHandler)
		}
		c.log = l
		c.probe = append(c.probe, probe.WithLogger(l))
	}
}

// WithoutMaxProcs leaves GOMAXPROCS alone. By default Run sets it to the
// cgroup's CPU quota, rounded down; the runtime's own rule rounds up, to at
// least 2, and a container of one CPU is then throttled most of the time.
func WithoutMaxProcs() Option { return func(c *config) { c.maxProcs = false } }
