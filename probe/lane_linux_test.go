//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// options are those of a connection that a server might rely on.
func options(t *testing.T, c net.Conn) map[string]int {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	raw.Control(func(fd uintptr) {
		const tcp = syscall.IPPROTO_TCP
		for name, o := range map[string][2]int{
			"SO_KEEPALIVE":  {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
			"SO_REUSEADDR":  {syscall.SOL_SOCKET, syscall.SO_REUSEADDR},
			"SO_BROADCAST":  {syscall.SOL_SOCKET, syscall.SO_BROADCAST},
			"SO_PROTOCOL":   {syscall.SOL_SOCKET, 38},
			"TCP_NODELAY":   {tcp, syscall.TCP_NODELAY},
			"TCP_KEEPIDLE":  {tcp, syscall.TCP_KEEPIDLE},
			"TCP_KEEPINTVL": {tcp, syscall.TCP_KEEPINTVL},
			"TCP_KEEPCNT":   {tcp, syscall.TCP_KEEPCNT},
		} {
			if v, err := syscall.GetsockoptInt(int(fd), o[0], o[1]); err == nil {
				got[name] = v
			}
		}
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		got["O_NONBLOCK"] = int(flags & syscall.O_NONBLOCK)
		flags, _, _ = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
		got["FD_CLOEXEC"] = int(flags & syscall.FD_CLOEXEC)
	})
	if options, ok := c.(*net.TCPConn); ok {
		if m, err := options.MultipathTCP(); err == nil && m {
			got["MPTCP"] = 1
		}
	}
	return got
}

func TestLaneConnectionsAreAsWithoutIt(t *testing.T) {
	config := func(f func(*net.ListenConfig)) *net.ListenConfig {
		lc := new(net.ListenConfig)
		f(lc)
		return lc
	}
	for _, test := range []struct {
		name    string
		network string
		address string
		lc      *net.ListenConfig
		mptcp   bool // the client's
	}{
		{"TCP", "tcp", "127.0.0.1:0", &net.ListenConfig{}, false},
		{"IPv6", "tcp", "[::1]:0", &net.ListenConfig{}, false},
		{"both families", "tcp", ":0", &net.ListenConfig{}, false},
		{"unix", "unix", "", &net.ListenConfig{}, false},
		{"no keep-alive", "tcp", "127.0.0.1:0", &net.ListenConfig{KeepAlive: -1}, false},
		{"keep-alive", "tcp", "127.0.0.1:0", &net.ListenConfig{KeepAlive: 40 * time.Second}, false},
		{"keep-alive in full", "tcp", "127.0.0.1:0", &net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 50 * time.Second, Interval: 7 * time.Second, Count: 4}}, false},
		{"a client with multipath TCP", "tcp", "127.0.0.1:0", &net.ListenConfig{}, true},
		{"no multipath TCP", "tcp", "127.0.0.1:0", config(func(lc *net.ListenConfig) { lc.SetMultipathTCP(false) }), true},
		{"options set by Control", "tcp", "127.0.0.1:0", &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1) })
			return err
		}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got [2]map[string]int
			var types [2]reflect.Type
			for i := range got {
				address := test.address
				if test.network == "unix" {
					address = fmt.Sprintf("%s/%d", t.TempDir(), i)
				}
				ln, err := test.lc.Listen(context.Background(), test.network, address)
				if err != nil {
					t.Skip(err)
				}
				defer ln.Close()
				if i == 1 {
					lane, err := made(t).Lane(ln)
					if err != nil {
						t.Fatal(err)
					}
					on(t, lane)
					ln = lane
				}
				dialer := net.Dialer{}
				dialer.SetMultipathTCP(test.mptcp)
				client, err := dialer.Dial(ln.Addr().Network(), ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				io.WriteString(client, "hello")
				c, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				got[i], types[i] = options(t, c), reflect.TypeOf(c)
				if r, l := c.RemoteAddr().String(), client.LocalAddr().String(); r != l && test.network != "unix" {
					t.Errorf("RemoteAddr is %s, the client has %s", r, l)
				}
				if test.network == "unix" && (c.RemoteAddr() == nil || c.RemoteAddr().String() != "@") {
					t.Errorf("RemoteAddr is %v, want @", c.RemoteAddr())
				}
				if r, l := client.RemoteAddr().String(), c.LocalAddr().String(); r != l {
					t.Errorf("LocalAddr is %s, the client has %s", l, r)
				}
				buf := make([]byte, 5)
				if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
					t.Errorf("read %q, %v", buf, err)
				}
				c.SetReadDeadline(time.Unix(1, 0))
				if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("read past the deadline: %v", err)
				}
			}
			if types[0] != types[1] {
				t.Errorf("a %v, without the lane a %v", types[1], types[0])
			}
			if !reflect.DeepEqual(got[0], got[1]) {
				t.Errorf("with the lane %v\nwithout it    %v", got[1], got[0])
			}
		})
	}
}

// crowd is how many connections fill a lane and its pipe, and leave some more in
// the kernel's queue, as far as that is long enough.
func crowd(t *testing.T, queued int) int {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Skip(err)
	}
	longest, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Skip(err)
	}
	total := 2*waitingMax + min(queued, longest/2)
	mayOpen(t, 2*total+100) // both ends are here
	return total
}

// mayOpen skips the test where the process may not have so many descriptors.
func mayOpen(t *testing.T, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Skip(err)
	}
	if limit.Cur < uint64(n) {
		t.Skipf("needs %d descriptors, and may have %d", n, limit.Cur)
	}
}

// unbegun returns a lane that does not run: nobody has called Accept.
func unbegun(t *testing.T, r *Registry) *Lane {
	t.Helper()
	l, err := r.Lane(listen(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	t.Cleanup(func() { l.Close() })
	return l
}

// begun returns a lane that runs: one connection has been accepted.
func begun(t *testing.T, r *Registry) *Lane {
	t.Helper()
	l := unbegun(t, r)
	visit(t, l)
	acceptOne(t, l)
	return l
}

// visit makes a connection that is not a probe.
func visit(t *testing.T, l *Lane) {
	c := dial(t, l.Addr())
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "x")
}

// acceptOne closes the next connection that the lane hands out.
func acceptOne(t *testing.T, l *Lane) {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestLaneHandsOutWhatCameBeforeClose(t *testing.T) {
	lane := begun(t, made(t))
	addr := lane.Addr()
	// More than pipe and lane take together.
	total := 300
	if !testing.Short() {
		total = crowd(t, 200)
	}
	for i := range total {
		c := dial(t, addr)
		defer c.Close()
		if i%2 == 0 {
			io.WriteString(c, "x")
		}
	}
	if err := lane.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", addr.String()); err == nil {
		c.Close()
		t.Error("the address is still in use after Close")
	}
	for i := range total {
		c, err := lane.Accept()
		if err != nil {
			t.Fatalf("Accept after %d of %d: %v", i, total, err)
		}
		c.Close()
	}
	for range 2 {
		if _, err := lane.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after the last = %v, want net.ErrClosed", err)
		}
	}
	if err := lane.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close = %v, want net.ErrClosed as from net", err)
	}
}

// A connection with a request on it is not idle, though the lane has answered on
// it before.
func TestLaneThatEndsKeepsWhatHasARequest(t *testing.T) {
	l, err := made(t).Lane(listen(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	lane := l.active.(*lane)
	idle, asking := dial(t, l.Addr()), dial(t, l.Addr())
	defer idle.Close()
	defer asking.Close()
	// As the thread leaves them when it has not come to the second's request.
	for i, c := range []net.Conn{idle, asking} {
		if errno := lane.loop.accept4(); errno != 0 {
			t.Fatal(errno)
		}
		lane.loop.accepted.list = slotKept
		lane.loop.take()
		if i == 1 {
			io.WriteString(c, "GET /other HTTP/1.1\r\n")
			eventually(t, "it has arrived", func() bool { return lane.loop.peek() == 0 })
		}
	}
	lane.begin.Do(func() {
		close(lane.alone)
		lane.finish(0)
	})
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle one: %v, want it closed", err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after the last = %v", err)
	}
	lane.closeOrders()
	l.Close()
}

func TestLaneClosesWhatNobodyAccepts(t *testing.T) {
	l, err := made(t).Lane(listen(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	l.active.(*lane).unclaimed = 20 * time.Millisecond
	for range 3 { // not the first, which starts the lane
		c := dial(t, l.Addr())
		defer c.Close()
		io.WriteString(c, "x")
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	silent := dial(t, l.Addr())
	defer silent.Close()
	l.Close()
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that nobody has accepted: %v, want it closed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v", err)
	}
}

// threadsOfSlice returns how many threads of this process have asked for the
// lane's time slice, and whether the first is one of them: the runtime keeps that
// when a goroutine locked to it ends, unused from then on.
func threadsOfSlice(t *testing.T) (n int, first bool) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		if attr, err := unix.SchedGetAttr(tid, 0); err == nil && attr.Runtime == uint64(slice) { // it may have ended
			n++
			first = first || tid == os.Getpid()
		}
	}
	return n, first
}

// The lane's thread alone has the short time slice, and takes it along.
func TestLaneHasAShortSlice(t *testing.T) {
	if !mayAsk() {
		t.Skip("system calls are filtered")
	}
	granted := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends
		attr, err := unix.SchedGetAttr(0, 0)
		if err == nil && (attr.Policy != unix.SCHED_NORMAL || attr.Runtime <= uint64(slice)) {
			err = fmt.Errorf("Linux before 6.12, or another policy: %+v", *attr)
		}
		if err == nil {
			err = unix.SchedSetAttr(0, attr, 0)
		}
		granted <- err
	}()
	if err := <-granted; err != nil {
		t.Skip(err)
	}
	none := func() bool {
		n, first := threadsOfSlice(t)
		return n == 0 || n == 1 && first
	}
	eventually(t, "the lanes of other tests have ended", none)
	before, _ := threadsOfSlice(t)
	l := begun(t, made(t))
	if n, _ := threadsOfSlice(t); n != before+1 {
		t.Errorf("%d threads have the slice, want %d", n, before+1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the thread has ended", none)
}

// Where asking for the slice would be the end of the process, the lane does not.
func TestLaneWhereSystemCallsAreFiltered(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	_, out := startChild(t, "filtered", nil, "KUBERNETES_SERVICE_HOST=")
	said := line(t, out)
	if why, ok := strings.CutPrefix(said, "no filter: "); ok {
		t.Skip(why)
	}
	addr, err := net.ResolveTCPAddr("tcp", said)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, addr, probeRequest("/livez")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
}

func init() {
	children["filtered"] = func() {
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SCHED_SETATTR, Jt: 0, Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		}
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		runtime.LockOSThread() // both calls are to be of one thread
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
			if errno != 0 {
				err = errno
			}
		}
		if err != nil {
			fmt.Println("no filter:", err)
			return
		}
		runtime.UnlockOSThread()
		children["stopped"]()
	}
}

func TestLaneClosedBeforeItBegins(t *testing.T) {
	before := descriptors(t)
	l, err := made(t).Lane(listen(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v", err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before the lane, %d after Close", before, after)
	}
}

// However many are written at once, the pipe holds as many, and they come out in
// the order in which they came in.
func TestLaneHandsOverInOrder(t *testing.T) {
	for _, size := range []int32{1, 7, 64, 100, parcelMax, 3 * parcelMax} {
		t.Run(strconv.Itoa(int(size)), func(t *testing.T) {
			l, err := made(t).Lane(listen(t, "tcp", "127.0.0.1:0"))
			if err != nil {
				t.Fatal(err)
			}
			on(t, l)
			defer l.Close()
			lane := l.active.(*lane)
			lp := lane.loop
			if n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(lp.handOver), syscall.F_GETPIPE_SZ, 0); n != pipeSize {
				t.Skipf("a pipe of %d bytes, %v", n, errno)
			}
			// Their numbers are those of no descriptor: nothing uses them here.
			sent, got := int32(0), int32(0)
			bring := func() {
				for range size {
					lp.accepted.fd, lp.accepted.list = sent, slotSilent
					lp.take()
					lp.pass()
					sent++
				}
				lp.handOverAll()
			}
			read := func() {
				var b [50]guest
				n, err := lane.pipe.Read(unsafe.Slice((*byte)(unsafe.Pointer(&b)), unsafe.Sizeof(b)))
				if err != nil {
					t.Fatal(err)
				}
				n /= int(unsafe.Sizeof(guest{}))
				atomic.AddUint32(&lp.received, uint32(n))
				for _, g := range b[:n] {
					if g.fd != got {
						t.Fatalf("connection %d came out as number %d", g.fd, got)
					}
					got++
				}
			}
			bring()
			for got < sent { // so that it does not begin with an empty page
				read()
			}
			for !lp.clogged {
				bring()
			}
			if n := sent - got - int32(lp.counts.waiting); n != waitingMax {
				t.Errorf("the pipe holds %d, want %d", n, waitingMax)
			}
			for got < sent {
				read()
				lp.handOverAll()
			}
			if lp.clogged || lp.counts.waiting != 0 || lp.counts.passed != uint64(sent) {
				t.Errorf("clogged: %v, waiting: %d, passed: %d of %d", lp.clogged, lp.counts.waiting, lp.counts.passed, sent)
			}
		})
	}
}

// While Accept is behind, probes are answered and nothing is lost.
func TestLaneGathersWhatComesWhileAcceptIsBehind(t *testing.T) {
	l := begun(t, started(t))
	const total = 200
	var senders sync.WaitGroup
	for i := range total {
		c := dial(t, l.Addr())
		defer c.Close()
		senders.Go(func() { fmt.Fprintf(c, "%03d", i) })
		if i%20 == 0 {
			if got := ask(t, l.Addr(), probeRequest("/livez")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("a probe among them: %q", got)
			}
		}
	}
	senders.Wait()
	eventually(t, "all have been handed over", func() bool { return l.Stats().Passed == 1+total })
	seen := map[string]bool{}
	for range total {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Error(err)
		}
		c.Close()
		seen[string(got)] = true
	}
	if s := l.Stats(); len(seen) != total || s.Answered != total/20 || s.Waiting != 0 {
		t.Errorf("%d different connections of %d, Stats = %+v", len(seen), total, s)
	}
}

// A heartbeat does not vouch for answers that nobody renews.
func TestLaneWithAnOldTable(t *testing.T) {
	r := made(t)
	l, err := r.Lane(listen(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	l.active.(*lane).loop.outdated = int64(100 * time.Millisecond)
	serve(t, &http.Server{Handler: r.Wrap(echo), ErrorLog: discard}, l)
	says := func(status string) func() bool {
		return func() bool { return strings.HasPrefix(ask(t, l.Addr(), probeRequest("/livez")), "HTTP/1.1 "+status) }
	}
	eventually(t, "the lane says 200", says("200"))
	r.mu.Lock() // no table is made without it
	unlock := sync.OnceFunc(r.mu.Unlock)
	t.Cleanup(unlock)
	eventually(t, "the lane says 503", says("503"))
	unlock()
	eventually(t, "the lane says 200 again", says("200"))
	if s := l.Stats(); s.Stale == 0 || s.HeartbeatMax > DefaultHeartbeatLimit {
		t.Errorf("Stats = %+v", s)
	}
}

// Several goroutines make tables. One that another has overtaken must not bring
// back what was.
func TestLaneIgnoresAnOvertakenTable(t *testing.T) {
	l := unbegun(t, made(t))
	lane := l.active.(*lane)
	lp := lane.loop
	now := time.Now()
	for _, tc := range []struct {
		made, inForce int32 // seconds
		renewed       bool
	}{{2, 2, true}, {3, 3, true}, {1, 3, false}, {3, 3, true}, {2, 3, false}} {
		d := lane.draft(now.Add(time.Duration(tc.made) * time.Second))
		d.late.head = tc.made // to know it by
		if err := lane.send(d.bytes(d.used)); err != nil {
			t.Fatal(err)
		}
		lp.since = 1
		lp.takeOrders()
		if got := lp.tables[lp.current].late.head; got != tc.inForce || (lp.since == 0) != tc.renewed {
			t.Errorf("after the table of second %d, that of %d is in force, want %d; it has been renewed: %v, want %v",
				tc.made, got, tc.inForce, lp.since == 0, tc.renewed)
		}
	}
}

func TestUntilTurn(t *testing.T) {
	const period, of = 250 * time.Millisecond, 4
	for _, tc := range []struct {
		elapsed time.Duration
		turn    int
		want    time.Duration
	}{
		{0, 0, 1000}, {0, 1, 250}, {0, 3, 750}, {1, 0, 999}, {249, 1, 1}, {250, 1, 1000}, {251, 1, 999},
		{999, 3, 751}, {1000, 0, 1000}, {7_000_000_750, 3, 1000}, {7_000_000_100, 3, 650},
	} {
		if got := untilTurn(tc.elapsed*time.Millisecond, tc.turn, of, period); got != tc.want*time.Millisecond {
			t.Errorf("%d ms after the beginning the next turn of %d is in %v, want %d ms", tc.elapsed, tc.turn, got, tc.want)
		}
	}
}

// What has changed between Lane and Accept is in the first table.
func TestLaneBeginsWithATableOfThatMoment(t *testing.T) {
	r := started(t)
	for _, test := range []struct {
		name   string
		change func(*Lane)
		want   string // as /readyz has it; empty is left to Accept
	}{
		{"draining", func(*Lane) { r.SetDraining(true) }, " 503 "},
		{"not draining again", func(*Lane) { r.SetDraining(false) }, " 200 "},
		{"disabled", func(l *Lane) { l.Disable("for the test") }, ""},
		{"released", func(*Lane) { r.Release("/readyz") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := r.Lane(listen(t, "tcp", "127.0.0.1:0"))
			if err != nil {
				t.Fatal(err)
			}
			on(t, l)
			defer l.Close()
			test.change(l)
			probe := dial(t, l.Addr())
			defer probe.Close()
			io.WriteString(probe, probeRequest("/readyz"))
			// With the lock held no other table is made.
			l.active.(*lane).begin.Do(l.active.(*lane).start)
			r.mu.Lock()
			accepted := make(chan struct{})
			go func() {
				defer close(accepted)
				if c, err := l.Accept(); err == nil {
					c.Close()
				}
			}()
			got, _ := io.ReadAll(probe)
			r.mu.Unlock()
			if (len(got) > 0) != (test.want != "") || !strings.Contains(string(got), test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			l.Close()
			<-accepted
		})
	}
}

func TestLaneEndsWithItsListener(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	l, err := made(t).Lane(ln)
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	ln.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want net.ErrClosed", err)
	}
	l.Close()
}

// By the time of Close, the number of a descriptor that the lane has closed may
// be that of another socket.
func TestLaneThatHasEndedLeavesOtherSocketsAlone(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	l, err := made(t).Lane(ln)
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	numbers := map[int]bool{l.active.(*lane).orders: true, int(l.active.(*lane).loop.orders): true}
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	ln.Close()
	<-ended
	<-l.active.(*lane).alone
	var sockets []int
	taken := false
	for range 30 {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range pair {
			defer syscall.Close(fd)
			sockets = append(sockets, fd)
			taken = taken || numbers[fd]
		}
	}
	if !taken {
		t.Skip("the numbers went to others")
	}
	l.Close()
	for _, fd := range sockets {
		if _, err := syscall.Write(fd, []byte("x")); err != nil {
			t.Errorf("after Close, write to socket %d: %v", fd, err)
		}
	}
}

func TestLaneReportsAListenerThatIsShutDown(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	f := shared(t, ln)
	l, err := made(t).Lane(ln)
	if err != nil {
		t.Fatal(err)
	}
	on(t, l)
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := syscall.Shutdown(int(f.Fd()), syscall.SHUT_RD); err != nil { // as whoever shares it may
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Accept = %v, want EINVAL as from net", err)
	}
	if s := l.Stats(); s.On || s.Why == "" {
		t.Errorf("Stats = %+v", s)
	}
	l.Close()
}

func TestLaneLeavesNoDescriptor(t *testing.T) {
	round := func() {
		r := made(t)
		ln := listen(t, "tcp", "127.0.0.1:0")
		l, err := r.Lane(ln)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: r.Wrap(echo)}
		ended := make(chan struct{})
		go func() { srv.Serve(l); close(ended) }()
		ask(t, ln.Addr(), probeRequest("/livez"))
		ask(t, ln.Addr(), probeRequest("/other"))
		kept := dial(t, ln.Addr())
		io.WriteString(kept, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		kept.Read(make([]byte, 1))
		silent := dial(t, ln.Addr())
		srv.Close()
		<-ended
		kept.Close()
		silent.Close()
	}
	round() // the runtime opens some of its own
	before := descriptors(t)
	for range 5 {
		round()
	}
	eventually(t, "all descriptors are given back", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestLaneIdleTimeout(t *testing.T) {
	s := serveLane(t, started(t), listen(t, "tcp", "127.0.0.1:0"), IdleTimeout(50*time.Millisecond))
	c := dial(t, s.addr)
	defer c.Close()
	io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Errorf("got %q, %v; want an answer and then the end", got, err)
	}
	if s.lane.Stats().Passed != 0 {
		t.Error("the connection was handed over")
	}
}

// An event that is not for the lane's way of reading is left to Go's.
func TestLaneDoesNotSpinOnBytesOutOfBand(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, kept %v", network, kept), func(t *testing.T) {
				address := "127.0.0.1:0"
				if network == "unix" {
					address = t.TempDir() + "/socket"
				}
				s := serveLane(t, started(t), listen(t, network, address))
				c := dial(t, s.addr)
				defer c.Close()
				if kept {
					io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
					if _, err := c.Read(make([]byte, 1000)); err != nil {
						t.Fatal(err)
					}
				}
				eventually(t, "the lane has the connection", func() bool { now := s.lane.Stats(); return now.Waiting == 1 || now.Passed == 1 })
				raw, err := c.(syscall.Conn).SyscallConn()
				if err != nil {
					t.Fatal(err)
				}
				raw.Control(func(fd uintptr) { err = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil) })
				if err != nil {
					t.Skip(err)
				}
				if network == "unix" {
					eventually(t, "the connection is handed over", func() bool { return s.lane.Stats().Passed == 1 })
				}
				before := usage(t)
				time.Sleep(300 * time.Millisecond) // what is measured, not waited for
				if used := usage(t) - before; used > 150*time.Millisecond {
					t.Errorf("%v of processor time in 300 ms with nothing to do", used)
				}
			})
		}
	}
}

// A lane that has lost its readers holds what it can, and leaves the rest to
// the kernel.
func TestLaneWithoutAcceptDoesNotSpin(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 3,000 connections")
	}
	total := crowd(t, 950)
	l := begun(t, made(t))
	for range total {
		c := dial(t, l.Addr())
		defer c.Close()
		io.WriteString(c, "x")
	}
	eventually(t, "pipe and lane are full", func() bool { s := l.Stats(); return s.Passed == 1+waitingMax && s.Waiting == waitingMax })
	before := usage(t)
	time.Sleep(300 * time.Millisecond) // what is measured, not waited for
	if used := usage(t) - before; used > 150*time.Millisecond {
		t.Errorf("%v of processor time in 300 ms with nothing to do", used)
	}
	for i := range total {
		c, err := l.Accept()
		if err != nil {
			t.Fatalf("Accept %d: %v", i, err)
		}
		c.Close()
	}
	eventually(t, "the lane is empty", func() bool { return l.Stats().Waiting == 0 })
}

func usage(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Children: the test binary runs itself for what needs a process of its own.

const childEnv = "PROBE_LANE_CHILD"

var children = map[string]func(){}

// runChild takes over from TestMain in a child.
func runChild() {
	if f := children[os.Getenv(childEnv)]; f != nil {
		f()
		os.Exit(0)
	}
}

// hasLane reports whether a lane is on wherever it can be at all.
func hasLane() bool { return !instrumented() }

// shared returns another descriptor of a listener's socket.
func shared(t *testing.T, ln net.Listener) *os.File {
	t.Helper()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// child runs this test binary as a child; output is what it prints.
type child struct {
	*exec.Cmd
	out bytes.Buffer
	in  io.WriteCloser
}

func startChild(t *testing.T, name string, files []*os.File, env ...string) (*child, io.Reader) {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(append(os.Environ(), childEnv+"="+name), env...)
	c.ExtraFiles = files
	c.Stderr = &c.out
	var err error
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if t.Failed() { // with all its goroutines, if it lives
			c.Process.Signal(syscall.SIGQUIT)
			defer time.AfterFunc(5*time.Second, func() { c.Process.Kill() }).Stop()
		} else {
			c.Process.Kill()
		}
		c.Wait()
		if t.Failed() {
			t.Logf("child %s: %.16000s", name, c.out.String())
		}
	})
	return c, out
}

// line reads the child's next line.
func line(t *testing.T, r io.Reader) string {
	t.Helper()
	var b []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, one); err != nil {
			t.Fatalf("the child said %q and ended: %v", b, err)
		}
		if one[0] == '\n' {
			return string(b)
		}
		b = append(b, one[0])
	}
}

// must is for children, which have no testing.T.
func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}

func init() {
	children["inheritor"] = func() {
		ln := must(net.FileListener(os.NewFile(3, "listener")))
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin) // until the parent says go
		c := must(ln.Accept())
		io.WriteString(c, "child")
		c.Close()
	}
}

func TestLaneLeavesASharedListenerAlive(t *testing.T) {
	r := started(t)
	ln := listen(t, "tcp", "127.0.0.1:0")
	f := shared(t, ln)
	c, out := startChild(t, "inheritor", []*os.File{f})
	f.Close()
	if got := line(t, out); got != "ready" {
		t.Fatal(got)
	}
	s := serveLane(t, r, ln)
	s.wantProbe(t, "/livez", 200)
	if err := s.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.in.Close()
	client := dial(t, s.addr)
	defer client.Close()
	if got, err := io.ReadAll(client); string(got) != "child" {
		t.Errorf("after the lane's end the other process gave %q, %v", got, err)
	}
}

// Whoever has the listener's socket, too, can make it block for all.
func TestLaneOnAListenerThatBlocks(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	f := shared(t, ln)
	s := serveLane(t, started(t), ln)
	for range 3 {
		f.Fd() // which does it
		s.wantProbe(t, "/livez", 200)
		// The lane sees what comes on a connection that it has already.
		late := dial(t, s.addr)
		defer late.Close()
		passed := s.lane.Stats().Passed
		eventually(t, "the lane has the connection", func() bool {
			now := s.lane.Stats()
			return now.Waiting > 0 || now.Passed > passed
		})
		io.WriteString(late, probeRequest("/livez"))
		if got, err := io.ReadAll(late); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
			t.Errorf("got %q, %v", got, err)
		}
		if got := ask(t, s.addr, probeRequest("/other")); !strings.Contains(got, "GET /other") {
			t.Errorf("got %q", got)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// An inherited listener works as one of one's own.
func TestLaneOnAnInheritedListener(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	f := shared(t, ln)
	ln.Close()
	inherited, err := net.FileListener(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := serveLane(t, started(t), inherited)
	s.wantProbe(t, "/readyz", 200)
	if got := ask(t, s.addr, probeRequest("/other")); !strings.Contains(got, "GET /other") {
		t.Errorf("got %q", got)
	}
}

func init() {
	children["wedged"] = func() {
		r := must(New())
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		l := must(r.Lane(ln, HeartbeatLimit(time.Second)))
		go http.Serve(l, r.Wrap(echo))
		fmt.Println(ln.Addr())
		io.Copy(io.Discard, os.Stdin)
		for i := uint64(0); ; i++ { // without a point of preemption
			if i == 1<<63 {
				break
			}
		}
	}
}

// With a scheduler that stands still the lane says so, at every endpoint.
func TestLaneOfAWedgedProcess(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	c, out := startChild(t, "wedged", nil, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	addr, err := net.ResolveTCPAddr("tcp", line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lane says 200", func() bool { return strings.HasPrefix(ask(t, addr, probeRequest("/livez")), "HTTP/1.1 200 ") })
	c.in.Close()
	eventually(t, "the lane says 503", func() bool { return strings.HasPrefix(ask(t, addr, probeRequest("/livez")), "HTTP/1.1 503 ") })
	for _, path := range []string{"/livez", "/readyz", "/startupz", "/healthz"} {
		got := ask(t, addr, probeRequest(path))
		if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.HasSuffix(got, "[-]heartbeat failed: reason withheld\ncheck failed\n") {
			t.Errorf("%s: %q", path, got)
		}
	}
	// What is not the lane's waits, and no probe waits behind it.
	for range 50 {
		c := dial(t, addr)
		defer c.Close()
		io.WriteString(c, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if got := ask(t, addr, probeRequest("/livez")); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("behind other requests: %q", got)
	}
}

// Whatever the limit, a sleep of any length and the time between two beats leave
// some of it.
func TestLaneSleepsLessThanItsLimit(t *testing.T) {
	for _, limit := range []time.Duration{MinHeartbeatLimit, time.Second, 2 * time.Second, 3 * time.Second, DefaultHeartbeatLimit} {
		l, err := made(t).Lane(listen(t, "tcp", "127.0.0.1:0"), HeartbeatLimit(limit))
		if err != nil {
			t.Fatal(err)
		}
		on(t, l)
		lane := l.active.(*lane)
		lp := lane.loop
		lp.age = int64(lane.period)
		lp.now -= int64(time.Hour) // for which it was stopped
		lp.sleep()
		if left := int64(limit) - lp.age; left < int64(limit)/4 {
			t.Errorf("with a limit of %v, after an hour that did not pass for it, the heartbeat is %v old", limit, time.Duration(lp.age))
		}
		l.Close()
	}
}

// A process that was stopped has lost time, not its heartbeat.
func TestLaneOfAStoppedProcess(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	c, out := startChild(t, "stopped", nil)
	addr, err := net.ResolveTCPAddr("tcp", line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	c.Process.Signal(syscall.SIGSTOP)
	time.Sleep(6 * time.Second) // longer than its limit: what is tested
	probe := dial(t, addr)
	defer probe.Close()
	io.WriteString(probe, probeRequest("/livez"))
	c.Process.Signal(syscall.SIGCONT)
	if got, _ := io.ReadAll(probe); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("after six seconds that did not pass for it: %q", got)
	}
}

func init() {
	children["stopped"] = func() {
		r := must(New())
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		l := must(r.Lane(ln, HeartbeatLimit(5*time.Second)))
		go http.Serve(l, r.Wrap(echo))
		fmt.Println(ln.Addr())
		io.Copy(io.Discard, os.Stdin)
	}

	// exhausted serves with a limit of descriptors, of which it leaves as many
	// as it is told on standard input.
	children["exhausted"] = func() {
		must(0, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}))
		r := must(New())
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		l := must(r.Lane(ln))
		go (&http.Server{Handler: r.Wrap(echo), ErrorLog: discard}).Serve(l)
		fmt.Println(ln.Addr())
		var taken []*os.File
		for one := make([]byte, 1); ; {
			must(io.ReadFull(os.Stdin, one))
			switch one[0] {
			case 't': // take all
				for {
					f, err := os.Open("/dev/null")
					if err != nil {
						break
					}
					taken = append(taken, f)
				}
			case 'g': // give back
				for _, f := range taken {
					f.Close()
				}
				taken = nil
			case 's':
			}
			s := l.Stats()
			fmt.Println(len(taken), s.Answered, s.Scarce)
		}
	}
}

func TestLaneWithoutDescriptors(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	c, out := startChild(t, "exhausted", nil)
	addr, err := net.ResolveTCPAddr("tcp", line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	tell := func(what string) (answered, scarce int) {
		io.WriteString(c.in, what)
		f := strings.Fields(line(t, out))
		answered, _ = strconv.Atoi(f[1])
		scarce, _ = strconv.Atoi(f[2])
		return answered, scarce
	}
	want := func(request, prefix string) {
		t.Helper()
		if got := ask(t, addr, request); !strings.HasPrefix(got, prefix) {
			t.Errorf("got %q, want %q", got, prefix)
		}
	}
	want(probeRequest("/other"), "HTTP/1.1 200 ")
	tell("t")
	for range 20 {
		want(probeRequest("/livez"), "HTTP/1.1 200 ") // on the spare descriptor
	}
	answered, scarce := tell("s")
	if answered != 20 || scarce == 0 {
		t.Errorf("answered %d, scarce %d times; want 20 and more than none", answered, scarce)
	}
	// Other connections wait for descriptors, and none is lost.
	var waiting []net.Conn
	for range 10 {
		o := dial(t, addr)
		defer o.Close()
		io.WriteString(o, probeRequest("/other"))
		waiting = append(waiting, o)
	}
	eventually(t, "the lane rests", func() bool { _, s := tell("s"); return s > scarce })
	before := childUsage(t, c)
	time.Sleep(500 * time.Millisecond) // what is measured
	if used := childUsage(t, c) - before; used > 250*time.Millisecond {
		t.Errorf("%v of processor time in 500 ms without descriptors", used)
	}
	tell("g")
	for _, o := range waiting {
		if got, err := io.ReadAll(o); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
			t.Errorf("a connection that had to wait: %q, %v", got, err)
		}
	}
	want(probeRequest("/livez"), "HTTP/1.1 200 ")
	tell("t")
	want(probeRequest("/livez"), "HTTP/1.1 200 ")
}

// childUsage is the processor time that a child has had.
func childUsage(t *testing.T, c *child) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ
}

func TestTheAnswerOfALateHeartbeatHasTheStatusOfAFailure(t *testing.T) {
	d := made(t, WithStatuses(200, 500)).drafted(time.Now())
	if head := string(d.text[d.late.head:d.late.headEnd]); !strings.HasPrefix(head, "500 Internal Server Error\r\n") {
		t.Errorf("%q", head)
	}
}

// What the loop calls is what may run without a P. The compiler, too, puts
// calls into functions, and the linker refuses a chain of nosplit functions that
// is too deep.
func TestLaneCallsNothingThatNeedsAP(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package")
	}
	builds := []struct {
		name  string
		env   string
		flags []string
	}{
		{"as it is", "", nil},
	}
	if *long {
		builds = append(builds, []struct {
			name  string
			env   string
			flags []string
		}{
			{"for arm64", "GOARCH=arm64", nil},
			{"with the race detector", "", []string{"-race"}},
			{"without optimization, inlined", "", []string{"-gcflags=all=-N"}},
			{"without optimization, inlined, for arm64", "GOARCH=arm64", []string{"-gcflags=all=-N"}},
			{"without optimization, inlined, the lane alone", "", []string{"-gcflags=-N"}},
			{"without optimization", "", []string{"-gcflags=all=-N -l"}},
			{"without optimization, for arm64", "GOARCH=arm64", []string{"-gcflags=all=-N -l"}},
			{"without optimization, with the race detector", "", []string{"-race", "-gcflags=all=-N -l"}},
		}...)
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	call := regexp.MustCompile(`CALL (\S+)\(SB\)`)
	allowed := regexp.MustCompile(`/probe\.\(\*(loop|desk)\)\.[a-zA-Z0-9]+$|/probe\.(name|value|host)Byte$|^syscall\.RawSyscall6$|^runtime\.(enter|exit)syscall$`)
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			binary := t.TempDir() + "/probe.test"
			cmd := exec.Command("go", append(append([]string{"test", "-c", "-o", binary}, b.flags...), ".")...)
			cmd.Env = append(os.Environ(), b.env)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %.2000s", err, out)
			}
			out, err := exec.Command("go", "tool", "objdump", "-s", `/probe\.\(\*(loop|desk)\)\.`, binary).Output()
			if err != nil {
				t.Fatalf("go tool objdump: %v", err)
			}
			calls := 0
			for _, l := range strings.Split(string(out), "\n") {
				m := call.FindStringSubmatch(l)
				if m == nil {
					continue
				}
				calls++
				if !allowed.MatchString(m[1]) && !(m[1] == "runtime.panicBounds" && strings.HasPrefix(b.name, "without optimization")) {
					t.Errorf("the loop calls %s: %s", m[1], strings.TrimSpace(l))
				}
			}
			if calls < 20 {
				t.Errorf("found %d calls, so this test does not see the loop", calls)
			}
		})
	}
}
