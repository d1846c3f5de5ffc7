package encoder

import (
	"fmt"
	"runtime"
	"time"
)

const (
	// DefaultQuantum is how much JSON is encoded before an encode gives way:
	// 64 KB take 10 µs of sparse structs and 120 µs of maps, which is short
	// beside a probe's deadline and long beside the 0.1 µs that giving way costs.
	DefaultQuantum = 64 << 10
	// DefaultWriteSize is how much is handed to the writer at once. Behind
	// net/http on loopback, 512 KB per write carried 8 % more than 256 KB did,
	// and 9 % more than 1 MB.
	DefaultWriteSize = 512 << 10
	// DefaultHold is how much output is kept back before the first write.
	DefaultHold = 1 << 20
	// DefaultQueue is how many encodes may wait for a worker.
	DefaultQueue = 1024
	// DefaultQueueBytes is how much JSON may wait to be encoded: what one core
	// encodes in about the ten seconds of DefaultQueueTimeout.
	DefaultQueueBytes int64 = 16 << 30
	// DefaultHeldLimit is how much memory the output of all encodes on the pool
	// may take: that of 400 streams whose clients have stopped reading.
	DefaultHeldLimit int64 = 1 << 30
	// DefaultQueueTimeout is how long an encode may wait for its first turn:
	// far more than a full queue takes for a turn of each.
	DefaultQueueTimeout = 10 * time.Second
)

type config struct {
	workers      int
	quantum      int
	writeSize    int
	hold         int
	queue        int
	queueBytes   int64
	queueTimeout time.Duration
	heldLimit    int64
}

// segmentSize is the capacity of a segment that streams: a write is due once
// its size is reached, and the quantum that reaches it goes beyond.
func (c *config) segmentSize() int { return c.writeSize + c.quantum + c.quantum/2 }

func defaults() config {
	return config{
		workers:      runtime.GOMAXPROCS(0),
		quantum:      DefaultQuantum,
		writeSize:    DefaultWriteSize,
		hold:         DefaultHold,
		queue:        DefaultQueue,
		queueBytes:   DefaultQueueBytes,
		queueTimeout: DefaultQueueTimeout,
		heldLimit:    DefaultHeldLimit,
	}
}

func (c *config) validate() error {
	switch {
	case c.workers < 1:
		return fmt.Errorf("encoder: WithWorkers(%d): at least one worker is needed", c.workers)
	case c.quantum < 1:
		return fmt.Errorf("encoder: WithQuantum(%d): a quantum is at least one byte", c.quantum)
	case c.writeSize < 1:
		return fmt.Errorf("encoder: WithWriteSize(%d): a write is at least one byte", c.writeSize)
	case c.hold < 0:
		return fmt.Errorf("encoder: WithHold(%d): cannot be negative; 0 holds nothing back", c.hold)
	case c.queue < 1:
		return fmt.Errorf("encoder: WithQueue(%d): at least one encode must be able to wait", c.queue)
	case c.queueBytes < 0:
		return fmt.Errorf("encoder: WithQueueBytes(%d): cannot be negative; 0 is no limit", c.queueBytes)
	case c.heldLimit < 0:
		return fmt.Errorf("encoder: WithHeldLimit(%d): cannot be negative; 0 is no limit", c.heldLimit)
	case c.queueTimeout < 0:
		return fmt.Errorf("encoder: WithQueueTimeout(%v): cannot be negative; 0 waits as long as the context allows", c.queueTimeout)
	}
	return nil
}

// An Option sets up an Encoder.
type Option func(*config)

// WithWorkers sets how many values are encoded at the same time on the pool.
// The default is GOMAXPROCS at the time of New; more gain nothing, since
// encoding only ever waits for a processor; zero is an error. SetWorkers changes
// it later.
func WithWorkers(n int) Option { return func(c *config) { c.workers = n } }

// WithQuantum sets about how many bytes of JSON are encoded before an encode
// gives way. The default is DefaultQuantum; zero is an error. What cannot be
// cut takes as long as it takes: the output of one marshaler, a json.RawMessage,
// a map's key, a string tagged ",string".
func WithQuantum(bytes int) Option { return func(c *config) { c.quantum = bytes } }

// WithWriteSize sets about how many bytes Encode hands to its writer at once.
// The default is DefaultWriteSize; zero is an error.
func WithWriteSize(bytes int) Option { return func(c *config) { c.writeSize = bytes } }

// WithHold sets how many bytes Encode keeps back before its first write: what
// is complete by then is written knowing its length, and an error until then
// leaves the writer untouched. The default is DefaultHold; 0 writes as soon as
// there is anything to write.
func WithHold(bytes int) Option { return func(c *config) { c.hold = bytes } }

// WithQueue sets how many encodes may wait for a worker. One more gets
// ErrOverloaded. The default is DefaultQueue; zero is an error. Each that waits
// holds its first quantum.
func WithQueue(n int) Option { return func(c *config) { c.queue = n } }

// WithQueueBytes sets how many bytes of JSON those that wait may have before
// them, together: that is the time which the workers need for them. One that
// would bring in more gets ErrOverloaded, unless nobody else waits. How much a
// value is going to be is estimated from its first quantum, and again after
// each turn. What has begun is never refused, and what waits for its client
// does not count. The default is DefaultQueueBytes; 0 is no limit.
func WithQueueBytes(bytes int64) Option { return func(c *config) { c.queueBytes = bytes } }

// WithQueueTimeout sets how long an encode may wait for its first turn on the
// pool before it gets ErrOverloaded. The default is DefaultQueueTimeout; 0
// leaves it to the context.
func WithQueueTimeout(d time.Duration) Option { return func(c *config) { c.queueTimeout = d } }

// WithHeldLimit sets how many bytes of memory the output of all encodes on the
// pool may take together. An encode is let in if there is room for the most
// that it is going to hold: MaxHeld for Encode, the expected length for Marshal.
// Without room it waits its turn, as long as WithQueueTimeout allows; one alone
// always has room. The default is DefaultHeldLimit; 0 is no limit.
//
// Stats.Held may be more than that: it counts also the first quantum of those
// that wait, and what is encoded on its caller's goroutine, where nobody may be
// made to wait: the user's code there may be what everybody waits for.
func WithHeldLimit(bytes int64) Option { return func(c *config) { c.heldLimit = bytes } }
