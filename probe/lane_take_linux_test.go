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

	"golang.org/x/sys/unix"

	"github.com/probelane/probelane/internal/server"
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

func (g *gate) enter() (leave func()) {
	g.Lock()
	g.in.Store(true)
	g.Unlock()
	return func() { g.in.Store(false) }
}

func (g *gate) Accept() (net.Conn, error) {
	defer g.enter()()
	return g.Lane.Accept()
}

// ReadAhead is for internal/server.
func (g *gate) ReadAhead() (net.Conn, []byte, error) {
	defer g.enter()()
	return g.AcceptAhead()
}

var _ server.AheadListener = (*gate)(nil)

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
	if n, s := lane.taking.count.Load(), l.Stats(); n < 20 || s.Answered != uint64(len(probes)) {
		t.Errorf("Accept has taken %d itself, Stats = %+v", n, s)
	}
	if lane.taking.answered.Load() == 0 {
		t.Error("Accept has answered none")
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

// arrived waits until a connection is in the kernel's queue, with all that its client
// has sent.
func arrived(t *testing.T, lane *lane, client net.Conn) {
	t.Helper()
	eventually(t, "it is in the queue", func() bool { return lane.taking.queued.now(lane.taking.queue) })
	raw, err := client.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "what it has sent is there", func() bool {
		info, err := (*unix.TCPInfo)(nil), error(nil)
		raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		if err != nil {
			t.Fatal(err)
		}
		return info.Unacked == 0
	})
}

// A connection whose first word comes a moment later is not given to the lane, nor
// is the word lost, nor a deadline left.
func TestAcceptWaitsForTheFirstWord(t *testing.T) {
	for _, test := range []struct {
		name    string
		lookFor time.Duration
		before  bool // Accept waits
	}{
		{"it waits", patience, false},
		{"it is about to wait", patience, true},
		{"the time is over", time.Nanosecond, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, lane, _ := taken(t)
			client := dial(t, l.Addr())
			defer client.Close()
			arrived(t, lane, client)
			lane.taking.lookFor = test.lookFor
			lane.taking.crowded = func() bool { // the last that it asks before it waits
				said := make(chan struct{})
				go func() {
					defer close(said)
					io.WriteString(client, "word")
				}()
				if test.before {
					<-said
				}
				return false
			}
			lane.inner.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
			c, ahead := lane.take(false)
			if c == nil {
				t.Fatal("the lane has it")
			}
			defer c.Close()
			if string(ahead) != "word" {
				t.Errorf("read %q", ahead)
			}
			io.WriteString(client, "next")
			got := make([]byte, 4)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "next" {
				t.Errorf("then %q, %v", got, err)
			}
		})
	}
}

// In a crowd Accept sleeps, and holds no connection meanwhile.
func TestAcceptInACrowd(t *testing.T) {
	l, lane, _ := taken(t)
	asked := 0
	crowd := func() bool { asked++; return true }
	for _, silent := range []bool{true, false} {
		client := dial(t, l.Addr())
		defer client.Close()
		if !silent {
			io.WriteString(client, "x")
		}
		arrived(t, lane, client)
		if !silent {
			lane.taking.length = 0 // it has yet to look
		}
		lane.taking.crowded = crowd
		c, _ := lane.take(false)
		lane.taking.crowded = func() bool { return false }
		if c != nil {
			defer c.Close()
		}
		if (c == nil) != silent {
			t.Errorf("silent: %v, and Accept has %v", silent, c)
		}
		lane.loop.left += 2
	}
	lane.taking.lookFor = time.Nanosecond
	lane.taking.crowded, asked = crowd, 0
	if c, _ := lane.take(false); c != nil || asked != looksMax {
		t.Errorf("has %v, after %d looks at an empty queue", c, asked)
	}
	asked = 0
	if lane.nap(); asked != napsMax {
		t.Errorf("asked %d times whether there is a crowd, want %d", asked, napsMax)
	}
	lane.loop.counts.passed++
	if lane.nap(); asked != napsMax {
		t.Error("sleeps although there is something in the pipe")
	}
	lane.loop.received++
	lane.taking.crowded = func() bool { asked++; return false }
	if lane.nap(); asked != napsMax+1 {
		t.Error("sleeps where there is no crowd")
	}
}

// Where connections stay silent, Accept does not wait for each.
func TestAcceptDoesNotWaitInVainAgainAndAgain(t *testing.T) {
	l, lane, _ := taken(t)
	for i := range vainFor + 1 {
		client := dial(t, l.Addr())
		defer client.Close()
		if c, _ := lane.take(true); c != nil && i == 0 {
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

const keptProbe = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

// What Accept has given to the lane is not lost when that ends.
func TestLaneThatEndsKeepsWhatItIsGiven(t *testing.T) {
	for _, test := range []struct {
		name        string
		first, next string
		kept        bool
	}{
		{"silent", "", "", true},
		{"with a request behind a probe", keptProbe, "x", true},
		{"idle behind a probe", keptProbe, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, lane, end := taken(t)
			client := dial(t, l.Addr())
			defer client.Close()
			io.WriteString(client, test.first)
			arrived(t, lane, client)
			if c, _ := lane.take(true); c != nil {
				t.Fatal("Accept keeps it")
			}
			io.WriteString(client, test.next)
			other := dial(t, l.Addr())
			defer other.Close()
			arrived(t, lane, other)
			lane.loop.left += 2
			if c, _ := lane.take(true); c == nil {
				t.Error("the lane is given another before it has taken the first")
			} else {
				c.Close()
			}
			end()
			if !test.kept {
				answer, err := io.ReadAll(client)
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
					t.Errorf("%q, %v", answer, err)
				}
				return
			}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.RemoteAddr().String() != client.LocalAddr().String() {
				t.Errorf("from %v, want %v", c.RemoteAddr(), client.LocalAddr())
			}
		})
	}
}

// What Accept takes it has read at most once, and nothing of it is lost.
func TestAcceptAhead(t *testing.T) {
	long := strings.Repeat("long", requestMax)
	for _, test := range []struct {
		name, text string
		ahead      int
	}{
		{"a request", "GET /other HTTP/1.1\r\n\r\n", 23},
		{"half a probe", keptProbe[:20], 20},
		{"two probes", keptProbe + keptProbe, 2 * len(keptProbe)},
		{"more than is looked at", long, requestMax},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, lane, _ := taken(t)
			for _, peek := range []bool{false, true} {
				client := dial(t, l.Addr())
				defer client.Close()
				io.WriteString(client, test.text)
				client.(*net.TCPConn).CloseWrite()
				arrived(t, lane, client)
				c, ahead := lane.take(peek)
				if c == nil {
					t.Fatal("Accept does not take it")
				}
				defer c.Close()
				rest, err := io.ReadAll(c)
				if got := string(ahead) + string(rest); err != nil || got != test.text {
					t.Errorf("got %q and %q, %v", ahead, rest, err)
				}
				if want := map[bool]int{false: test.ahead}[peek]; len(ahead) != want {
					t.Errorf("has read %d bytes ahead, want %d", len(ahead), want)
				}
			}
		})
	}
}

// An answered connection that the lane cannot take is closed. To the server it would
// be new.
func TestAcceptClosesWhatNobodyCanKeep(t *testing.T) {
	l, lane, _ := taken(t)
	lane.taking.gave++ // as if the lane had yet to take another
	client := dial(t, l.Addr())
	defer client.Close()
	io.WriteString(client, keptProbe)
	arrived(t, lane, client)
	taken := make(chan net.Conn, 1)
	go func() {
		c, _ := lane.take(false)
		taken <- c
	}()
	answer, err := io.ReadAll(client)
	if err != nil || strings.Count(string(answer), "HTTP/1.1 200 ") != 1 {
		t.Errorf("%q, %v", answer, err)
	}
	if c := <-taken; c != nil {
		c.Close()
		t.Error("the server has it")
	}
}

// What is old, or nothing, is not Accept's to answer.
func TestAcceptLeavesProbesToTheHandler(t *testing.T) {
	for name, spoil := range map[string]func(*Lane){
		"the table is old": func(l *Lane) { active(l).begun = time.Now().Add(-time.Hour) },
		"the lane is off":  func(l *Lane) { l.Disable("for a test"); active(l).draft(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			l, lane, _ := taken(t)
			lane.draft(time.Now())
			spoil(l)
			lane.taking.got = 5 // from the last connection
			client := dial(t, l.Addr())
			defer client.Close()
			io.WriteString(client, keptProbe)
			arrived(t, lane, client)
			c, ahead := lane.take(false)
			if c == nil {
				t.Fatal("Accept does not take it")
			}
			defer c.Close()
			if len(ahead) > 0 {
				t.Errorf("has looked for a probe, and read %q", ahead)
			}
			if n := l.Stats().Answered; n != 0 {
				t.Errorf("answered %d", n)
			}
		})
	}
}

// Who draws a table may be overtaken by who draws the next.
func TestAcceptKnowsTheLatestTable(t *testing.T) {
	var tables taking
	for _, made := range []int64{2, 1, 3, 3} {
		tables.publish(&table{made: made})
	}
	if got := tables.latest.Load().made; got != 3 {
		t.Errorf("the table made at %d", got)
	}
}

// Accept does not block where the listener does, nor where others have taken what
// it has seen.
func TestAcceptTakesFromAListenerThatBlocks(t *testing.T) {
	l, lane, _ := taken(t)
	f := shared(t, l.inner)
	f.Fd() // which makes it block
	if c, _ := lane.take(true); c != nil {
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
			lane.rest = append(lane.rest, lane.loop.accepted.guest) // to be closed
		}
		rescue := time.AfterFunc(patience, func() { dial(t, l.Addr()).Close() })
		c, _ := lane.take(true)
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
