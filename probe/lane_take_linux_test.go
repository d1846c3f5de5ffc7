//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// isLeft reports whether the queue is left to Accept.
func (l *lane) isLeft() bool { return atomic.LoadUint32(&l.loop.left)&1 != 0 }

func active(l *Lane) *lane { return l.active.(*lane) }

// gate is a lane of which nobody accepts while somebody holds the lock, once who
// is in Accept has come out.
type gate struct {
	*Lane
	sync.Mutex
	in atomic.Bool // somebody is
}

func (g *gate) Accept() (net.Conn, error) {
	g.Lock()
	g.in.Store(true)
	g.Unlock()
	defer g.in.Store(false)
	return g.Lane.Accept()
}

// behindGate returns a listener whose Accept is behind the lane, and has been left
// the queue, from a call of busy until one of open.
func behindGate(l *Lane) (ln net.Listener, busy func(*testing.T) (open func())) {
	lane := active(l)
	lane.loop.leaveFor = int64(patience)
	lane.begin.Do(lane.start) // the first Accept would, and may find the gate held
	g := &gate{Lane: l}
	return g, func(t *testing.T) func() {
		g.Lock()
		open := sync.OnceFunc(g.Unlock)
		t.Cleanup(open) // or a test that fails would wait for ever for who accepts
		for g.in.Load() || !lane.isLeft() {
			seen := l.Stats().Passed
			c := dial(t, l.Addr())
			io.WriteString(c, "x")
			eventually(t, "it is passed on, or left in the queue", func() bool { return l.Stats().Passed > seen || lane.isLeft() })
			c.Close()
		}
		return open
	}
}

// taken returns a lane whose Accept has started nothing, and is to take what
// comes.
func taken(t *testing.T) (l *Lane, lane *lane, end func()) {
	t.Helper()
	l = unbegun(t, made(t))
	lane = active(l)
	lane.begin.Do(func() { close(lane.alone) })
	lane.loop.left = 1
	end = sync.OnceFunc(func() { lane.finish(0) })
	t.Cleanup(func() {
		end()
		l.Close()
		lane.closeOrders()
		lane.closeUnclaimed()
	})
	return l, lane, end
}

func TestAcceptTakesWhatHasGathered(t *testing.T) {
	l := unbegun(t, started(t))
	lane := active(l)
	lane.loop.leaveFor = int64(patience)
	accept := func(want string, from net.Conn) {
		t.Helper()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if c.RemoteAddr().String() != from.LocalAddr().String() {
			t.Errorf("from %v, want %v", c.RemoteAddr(), from.LocalAddr())
		}
	}
	client := func(text string) net.Conn {
		c := dial(t, l.Addr())
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, text)
		return c
	}
	first := client("first")
	accept("first", first)
	behind := client("behind")
	eventually(t, "the lane has handed it over", func() bool { return l.Stats().Passed == 2 })
	const total = 60
	var others [total]net.Conn
	var probes []net.Conn
	for i := range others {
		others[i] = client(fmt.Sprintf("%03d", i))
		if i == 0 {
			eventually(t, "the lane leaves the queue to Accept", lane.isLeft)
		}
		if i >= 20 && i%10 == 0 {
			probes = append(probes, client(probeRequest("/livez")))
		}
	}
	silent := client("")
	last := client("last")
	accept("behind", behind)
	for i, c := range others {
		accept(fmt.Sprintf("%03d", i), c)
	}
	accept("last", last)
	for _, c := range probes {
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
			t.Errorf("a probe among them: %q, %v", got, err)
		}
	}
	eventually(t, "the lane has the silent one", func() bool { return l.Stats().Waiting == 1 })
	io.WriteString(silent, "late")
	accept("late", silent)
	eventually(t, "all are counted", func() bool { return l.Stats().Passed == total+4 })
	if n, s := active(l).taking.count.Load(), l.Stats(); n < 20 || s.Answered != uint64(len(probes)) {
		t.Errorf("Accept has taken %d itself, Stats = %+v", n, s)
	}
}

// The lane does not leave the queue again and again to an Accept that does not
// come, and does once it has come.
func TestLaneDoesNotWaitForAnAcceptThatStaysAway(t *testing.T) {
	l := begun(t, started(t))
	lane := active(l)
	clients := 1
	client := func() {
		visit(t, l)
		clients++
	}
	handedOver := func() bool { return l.Stats().Passed == uint64(clients) }
	times := func() uint32 { return atomic.LoadUint32(&lane.loop.left) / 2 }
	for range missedMax + 5 {
		client()
		eventually(t, "the lane hands it over", handedOver)
	}
	if n := times(); n != missedMax {
		t.Errorf("the queue has been left to Accept %d times, want %d", n, missedMax)
	}
	for range missedMax + 5 {
		acceptOne(t, l)
	}
	client()
	eventually(t, "the lane hands it over", handedOver)
	client() // before it is known that Accept is there
	eventually(t, "the lane hands it over", handedOver)
	client()
	eventually(t, "the lane leaves the queue to Accept again", func() bool { return times() > missedMax || lane.isLeft() })
}

// A listener that somebody has shut down ends the lane, also while its queue is
// left to an Accept that does not come.
func TestLaneEndsWithItsListenerWhileAcceptHasIt(t *testing.T) {
	l := unbegun(t, started(t))
	lane := active(l)
	lane.loop.leaveFor = int64(patience)
	visit(t, l)
	acceptOne(t, l)
	visit(t, l)
	eventually(t, "the lane has handed it over", func() bool { return l.Stats().Passed == 2 })
	visit(t, l)
	eventually(t, "the lane leaves the queue to Accept", lane.isLeft)
	lane.raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RD) })
	eventually(t, "the lane has ended", func() bool { return !l.Stats().On })
	acceptOne(t, l)
	if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Accept = %v", err)
	}
}

// A connection whose first word comes a moment later is not given to the lane.
func TestAcceptWaitsForTheFirstWord(t *testing.T) {
	l, lane, _ := taken(t)
	lane.taking.lookFor = patience
	client := dial(t, l.Addr())
	defer client.Close()
	taken := make(chan net.Conn)
	go func() { taken <- lane.take() }()
	eventually(t, "it is accepted", func() bool { return !lane.loop.askQueue() || lane.loop.info.unacked == 0 })
	io.WriteString(client, "x")
	c := <-taken
	if c == nil {
		t.Fatal("the lane has it")
	}
	defer c.Close()
	got := make([]byte, 1)
	if _, err := io.ReadFull(c, got); err != nil || got[0] != 'x' {
		t.Errorf("read %q, %v", got, err)
	}
}

// Where connections stay silent, Accept does not wait for each.
func TestAcceptDoesNotWaitInVainAgainAndAgain(t *testing.T) {
	l, lane, _ := taken(t)
	for i := range vainFor + 1 {
		client := dial(t, l.Addr())
		defer client.Close()
		if c := lane.take(); c != nil && i == 0 {
			t.Fatal("Accept keeps a silent one")
		} else if c != nil {
			c.Close() // the lane has not taken the first
		}
		if i == 0 {
			lane.taking.lookFor = time.Hour
		}
		lane.loop.left += 2
	}
}

// What Accept has given to the lane is not lost when that ends.
func TestLaneThatEndsKeepsWhatItIsGiven(t *testing.T) {
	l, lane, end := taken(t)
	client := dial(t, l.Addr())
	defer client.Close()
	io.WriteString(client, probeRequest("/livez"))
	if c := lane.take(); c != nil {
		t.Fatal("Accept keeps a probe")
	}
	other := dial(t, l.Addr())
	defer other.Close()
	io.WriteString(other, probeRequest("/livez"))
	lane.loop.left += 2
	if c := lane.take(); c == nil {
		t.Error("the lane is given another before it has taken the first")
	} else {
		c.Close()
	}
	end()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("from %v, want %v", c.RemoteAddr(), client.LocalAddr())
	}
}

// Accept does not block where the listener does, nor where others have taken what
// it has seen.
func TestAcceptTakesFromAListenerThatBlocks(t *testing.T) {
	l, lane, _ := taken(t)
	f := shared(t, l.inner)
	f.Fd() // which makes it block
	if c := lane.take(); c != nil {
		t.Fatal("a connection, and nobody has made one")
	}
	for _, stolen := range []bool{false, true} {
		lane.loop.left += 2
		f.Fd() // again
		client := dial(t, l.Addr())
		defer client.Close()
		io.WriteString(client, "x")
		if !lane.await() {
			t.Fatal("nothing in the queue")
		}
		if stolen {
			if errno := lane.loop.accept4(); errno != 0 {
				t.Fatal(errno)
			}
			lane.rest = append(lane.rest, lane.loop.accepted) // to be closed
		}
		rescue := time.AfterFunc(patience, func() { dial(t, l.Addr()).Close() })
		c := lane.take()
		if !rescue.Stop() {
			t.Errorf("stolen: %v, and Accept waits for the next connection", stolen)
		}
		if (c == nil) != stolen {
			t.Errorf("stolen: %v, and Accept has %v", stolen, c)
		}
		if c != nil {
			c.Close()
		}
	}
}
