package encoder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// ants starts a pool of its own when it is imported.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

// deadline bounds everything that a test waits for.
const deadline = 20 * time.Second

// made is an Encoder that is closed after the test, which it has to allow:
// no job may be left, whatever went wrong with it.
func made(t testing.TB, opts ...Option) *Encoder {
	t.Helper()
	e, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			wantIdle(t, e)
		}
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("Close: %v; a job was left", err)
		}
	})
	return e
}

// wantIdle checks that nothing is left in an encoder that nobody uses.
func wantIdle(t testing.TB, e *Encoder) {
	t.Helper()
	if st := e.Stats(); st.Waiting != 0 || st.Inline != 0 || st.Held != 0 || e.Backlog() != 0 {
		t.Errorf("after the last encode: %+v, backlog %d", st, e.Backlog())
	}
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range []*ring{&p.queue.short, &p.queue.long, &p.outside} {
		if r.head != nil || r.tail != nil || r.rest != 0 {
			t.Errorf("a ring from %p to %p with %d bytes before it", r.head, r.tail, r.rest)
		}
	}
	if p.jobs != 0 || p.room != 0 {
		t.Errorf("the pool has %d jobs, and %d bytes set aside", p.jobs, p.room)
	}
	// A segment that was given back twice would be handed out twice.
	seen := map[*byte]bool{}
	for _, p := range []*segmentPool{e.firsts, e.segments} {
		for range 8 {
			s := p.get()
			defer s.free()
			b := s.buf
			if len(b) != 0 || seen[&b[:1][0]] {
				t.Fatalf("a segment of %d bytes was given back twice", cap(b))
			}
			seen[&b[:1][0]] = true
		}
	}
}

// occupy takes all of an idle encoder's workers, as if each were in a quantum
// without end, until the returned function is called.
func occupy(e *Encoder) (release func()) {
	p := e.pool
	until(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.workers > 0 {
			return false
		}
		p.workers = int(p.most.Load())
		return true
	})
	return func() {
		p.mu.Lock()
		n := min(int(p.most.Load()), p.queued())
		p.workers, p.starting = n, n
		p.mu.Unlock()
		for range n {
			go p.work()
		}
	}
}

// until yields until what another goroutine is about to bring about is so.
func until(ok func() bool) {
	for begin := time.Now(); !ok(); runtime.Gosched() {
		if time.Since(begin) > deadline {
			panic("waited in vain")
		}
	}
}

// waiting waits until n jobs are in the queue.
func waiting(e *Encoder, n int) { until(func() bool { return e.Stats().Waiting == n }) }

// result is all that a caller can see of an encode.
type result struct {
	out      []byte // of Marshal, or what its writer was given
	n        int64
	err      error
	panicked any
	exited   bool // by runtime.Goexit
}

// run starts an encode on a goroutine of its own, where a panic or Goexit ends
// nothing else.
func run(encode func() ([]byte, int64, error)) <-chan result {
	done := make(chan result, 1)
	go func() {
		var r result
		returned := false
		defer func() {
			r.panicked = recover()
			r.exited = !returned && r.panicked == nil
			done <- r
		}()
		r.out, r.n, r.err = encode()
		returned = true
	}()
	return done
}

// startMarshal runs Marshal.
func startMarshal(ctx context.Context, e *Encoder, v any) <-chan result {
	return run(func() ([]byte, int64, error) {
		b, err := e.Marshal(ctx, v)
		return b, int64(len(b)), err
	})
}

// startEncode runs Encode. The result has no output: w has it.
func startEncode(ctx context.Context, e *Encoder, w io.Writer, v any) <-chan result {
	return run(func() ([]byte, int64, error) {
		n, err := e.Encode(ctx, w, v)
		return nil, n, err
	})
}

// ways are the methods that encode.
var ways = []struct {
	name   string
	pooled bool
	encode func(context.Context, *Encoder, any) ([]byte, error)
}{
	{"Marshal", true, func(ctx context.Context, e *Encoder, v any) ([]byte, error) { return e.Marshal(ctx, v) }},
	{"MarshalInline", false, func(ctx context.Context, e *Encoder, v any) ([]byte, error) { return e.MarshalInline(ctx, v) }},
	{"Encode", true, func(ctx context.Context, e *Encoder, v any) ([]byte, error) {
		var w bytes.Buffer
		n, err := e.Encode(ctx, &w, v)
		if n != int64(w.Len()) {
			return nil, fmt.Errorf("%d bytes written, but %d returned: %w", w.Len(), n, err)
		}
		return w.Bytes(), err
	}},
}

// row is one of many in a large value.
type row struct {
	ID   int     `json:"id"`
	Name string  `json:"name"`
	Rate float64 `json:"rate"`
}

func rows(n int) []row {
	out := make([]row, n)
	for i := range out {
		out[i] = row{i, "a name like <many> others & more", 1.5}
	}
	return out
}

// traced is what the race detector can follow into the workers: encoding/json
// encodes it, because of the tag.
type traced struct {
	S string `json:",string"`
}

func traceds(n int) []traced {
	out := make([]traced, n)
	for i := range out {
		out[i].S = "a text that is read by whoever encodes it"
	}
	return out
}

// overwrite changes all of a value. It is called as soon as an encode has
// returned: if anybody still reads the value, the race detector says so.
func overwrite(v []traced) {
	for i := range v {
		v[i].S = "changed"
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantOutput(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, want %d; they begin %.60q and %.60q", what, len(got), len(want), got, want)
	}
}

// marshalerFunc is a value whose marshaler does whatever a test wants.
type marshalerFunc func() ([]byte, error)

func (f marshalerFunc) MarshalJSON() ([]byte, error) { return f() }

// writerFunc is a writer that does.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// untouched is a writer that nobody may use.
func untouched(t testing.TB) io.Writer {
	return sized{
		writerFunc(func(b []byte) (int, error) {
			t.Errorf("%d bytes were written", len(b))
			return len(b), nil
		}),
		func(n int64) { t.Errorf("SetSize(%d)", n) },
	}
}

// sized is a writer that wants to know the size.
type sized struct {
	io.Writer
	setSize func(int64)
}

func (s sized) SetSize(n int64) { s.setSize(n) }

// stalling is a writer of which every Write begins by asking on the channel
// and waits for the answer.
type stalling struct {
	bytes.Buffer
	begun chan int // bytes of the write
	goOn  chan struct{}
}

func newStalling() *stalling { return &stalling{begun: make(chan int), goOn: make(chan struct{})} }

func (w *stalling) Write(b []byte) (int, error) {
	w.begun <- len(b)
	<-w.goOn
	return w.Buffer.Write(b)
}

// pass lets all that comes through until the encode has ended.
func (w *stalling) pass(done <-chan result) result {
	close(w.goOn)
	for {
		select {
		case <-w.begun:
		case r := <-done:
			return r
		}
	}
}

// goid identifies the goroutine that calls it.
func goid() string {
	b := make([]byte, 64)
	id, _, _ := strings.Cut(strings.TrimPrefix(string(b[:runtime.Stack(b, false)]), "goroutine "), " ")
	return id
}

// turns counts the goroutines that are encoding on the pool at this moment.
func turns(buf []byte) int {
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("encoder.(*job).turn("))
}

// counter is an io.Writer that counts, and can be read meanwhile.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
