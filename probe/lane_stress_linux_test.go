//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// stressTime is how long each of the stress tests goes on.
func stressTime() time.Duration {
	switch {
	case *long:
		return time.Minute
	case testing.Short():
		return 500 * time.Millisecond
	}
	return time.Second
}

// ordeal is a lane under everything that the runtime does to its threads.
type ordeal struct {
	registry *Registry
	lane     *Lane
	addr     string
	ctx      context.Context
	probes   atomic.Int64
	others   atomic.Int64
	mu       sync.Mutex
	failures []error
	wg       sync.WaitGroup
}

func (o *ordeal) fail(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures = append(o.failures, fmt.Errorf(format, args...))
}

// loops runs f again and again until the time is over.
func (o *ordeal) loops(f func()) {
	o.wg.Go(func() {
		for o.ctx.Err() == nil {
			f()
		}
	})
}

func (o *ordeal) request(request, want string) {
	c, err := net.DialTimeout("tcp", o.addr, patience)
	if err != nil {
		o.fail("%v", err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(string(got), want) {
		o.fail("%.20q: got %q, %v", request, got, err)
	}
}

// stress returns what went wrong.
func stress(d time.Duration) (*ordeal, error) {
	r, err := New()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	lane, err := r.Lane(ln)
	if err != nil {
		return nil, err
	}
	var cancel func()
	o := &ordeal{registry: r, lane: lane, addr: ln.Addr().String()}
	o.ctx, cancel = context.WithTimeout(context.Background(), d)
	defer cancel()
	srv := &http.Server{Handler: r.Wrap(echo), ErrorLog: discard}
	served := make(chan struct{})
	go func() { srv.Serve(lane); close(served) }()

	o.load()
	o.runtime()
	o.signals()
	o.wg.Wait()
	if err := srv.Shutdown(context.Background()); err != nil {
		o.fail("Shutdown: %v", err)
	}
	<-served
	if o.probes.Load() == 0 || o.others.Load() == 0 || lane.Stats().Answered < uint64(o.probes.Load()) {
		o.fail("%d probes, %d others, %+v", o.probes.Load(), o.others.Load(), lane.Stats())
	}
	return o, errors.Join(o.failures...)
}

// load is what clients do.
func (o *ordeal) load() {
	for range 2 {
		o.loops(func() {
			o.request(probeRequest("/livez"), "\r\n\r\nok")
			o.probes.Add(1)
		})
		o.loops(func() {
			o.request(probeRequest("/other"), "GET /other HTTP/1.1 \"\" <nil>\n")
			o.others.Add(1)
		})
	}
	o.loops(func() { // connections that are kept, with probes and others on them
		c, err := net.DialTimeout("tcp", o.addr, patience)
		if err != nil {
			o.fail("%v", err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		r := bufio.NewReader(c)
		for range 10 {
			path := []string{"/livez", "/livez", "/other"}[rand.N(3)]
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != 200 {
				// A lane that is told to drain closes what it has answered.
				if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					o.fail("on a kept connection: %v", err)
				}
				return
			}
			io.Copy(io.Discard, resp.Body)
			if resp.Close {
				return
			}
		}
	})
	o.loops(func() { // clients that leave in all ways
		c, err := net.DialTimeout("tcp", o.addr, patience)
		if err != nil {
			o.fail("%v", err)
			return
		}
		defer c.Close()
		switch rand.N(4) {
		case 0:
			c.(*net.TCPConn).SetLinger(0)
		case 1:
			io.WriteString(c, "GET /livez HTT")
			c.(*net.TCPConn).SetLinger(0)
		case 2:
			c.(*net.TCPConn).CloseWrite()
		case 3:
			io.WriteString(c, probeRequest("/livez"))
		}
	})
	o.loops(func() { // other lanes come and go
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			o.fail("%v", err)
			return
		}
		lane, err := o.registry.Lane(ln)
		if err != nil {
			o.fail("%v", err)
			return
		}
		ended := make(chan struct{})
		go func() { lane.Accept(); close(ended) }()
		if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			io.WriteString(c, probeRequest("/livez"))
			c.Read(make([]byte, 1))
			c.Close()
		}
		lane.Close()
		<-ended
	})
	o.loops(func() { // and the answers change
		o.registry.SetDraining(rand.N(2) == 0)
		time.Sleep(time.Millisecond)
	})
}

// runtime is what the runtime does.
func (o *ordeal) runtime() {
	percent := debug.SetGCPercent(1)
	o.wg.Go(func() {
		<-o.ctx.Done()
		debug.SetGCPercent(percent)
	})
	o.loops(func() {
		runtime.GC()
		time.Sleep(time.Millisecond)
	})
	o.loops(func() { // garbage, and stacks that grow and shrink
		var grow func(int) byte
		grow = func(n int) byte {
			var b [1024]byte
			if n > 0 {
				b[n&1023] = grow(n - 1)
			}
			return b[0]
		}
		done := make(chan struct{})
		go func() { grow(100); close(done) }()
		<-done
		list := make([]*[]byte, 100)
		for i := range list {
			b := make([]byte, 1+rand.N(1000))
			list[i] = &b
		}
	})
	o.loops(func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		runtime.Stack(make([]byte, 1<<20), true)
		pprof.Lookup("goroutine").WriteTo(io.Discard, 1)
		time.Sleep(time.Millisecond)
	})
	procs := runtime.GOMAXPROCS(0)
	o.wg.Go(func() {
		for o.ctx.Err() == nil {
			runtime.GOMAXPROCS(1 + rand.N(4))
			time.Sleep(5 * time.Millisecond)
		}
		runtime.GOMAXPROCS(procs)
	})
	o.loops(func() {
		var b bytes.Buffer
		if pprof.StartCPUProfile(&b) == nil {
			time.Sleep(50 * time.Millisecond)
			pprof.StopCPUProfile()
		}
	})
	o.loops(func() {
		if trace.Start(io.Discard) == nil {
			time.Sleep(20 * time.Millisecond)
			trace.Stop()
		}
		time.Sleep(10 * time.Millisecond)
	})
}

// signals hits every thread with those that the runtime uses, and one that
// makes a call on all threads at once.
func (o *ordeal) signals() {
	o.loops(func() {
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			for _, sig := range []syscall.Signal{syscall.SIGURG, syscall.SIGPROF} {
				syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(tid), uintptr(sig))
			}
		}
		time.Sleep(200 * time.Microsecond)
	})
	o.loops(func() {
		const prGetName = 16
		var name [16]byte
		syscall.AllThreadsSyscall(syscall.SYS_PRCTL, prGetName, uintptr(unsafe.Pointer(&name)), 0)
		time.Sleep(5 * time.Millisecond)
	})
}

func TestLaneUnderStress(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	o, err := stress(stressTime())
	if err != nil {
		t.Errorf("%.4000s", err)
	}
	t.Logf("%d probes, %d other requests, %+v", o.probes.Load(), o.others.Load(), o.lane.Stats())
}

func init() {
	children["stress"] = func() {
		d := must(time.ParseDuration(os.Getenv("PROBE_LANE_TIME")))
		o, err := stress(d)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%.4000s\n", err)
			os.Exit(1)
		}
		fmt.Printf("%d probes, %d other requests, %+v\n", o.probes.Load(), o.others.Load(), o.lane.Stats())
	}
}

// The same in processes whose runtime works in other ways.
func TestLaneUnderStressOfOtherRuntimes(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	for name, env := range map[string][]string{
		"no asynchronous preemption": {"GODEBUG=asyncpreemptoff=1"},
		"one processor":              {"GOMAXPROCS=1"},
		"what is freed is overwritten, and the collector stops the world": {"GODEBUG=clobberfree=1,gcstoptheworld=1"},
		"invalid pointers are looked for":                                 {"GODEBUG=invalidptr=1,gccheckmark=1", "GOGC=5"},
	} {
		t.Run(name, func(t *testing.T) {
			_, out := startChild(t, "stress", nil, append(env, "PROBE_LANE_TIME="+stressTime().String())...)
			t.Log(line(t, out))
		})
	}
}

func init() {
	// holder holds connections open: silent ones, and some that send a byte of
	// a header now and then.
	children["holder"] = func() {
		addr := os.Getenv("PROBE_LANE_ADDR")
		idle := must(strconv.Atoi(os.Getenv("PROBE_LANE_IDLE")))
		slow := must(strconv.Atoi(os.Getenv("PROBE_LANE_SLOW")))
		var conns []net.Conn
		for i := range idle + slow {
			c := must(net.Dial("tcp", addr))
			if i >= idle {
				io.WriteString(c, "GET /livez HTTP/1.1\r\nX: ")
				conns = append(conns, c)
			} else {
				defer runtime.KeepAlive(c)
			}
		}
		fmt.Println("held")
		go func() {
			for {
				for _, c := range conns {
					io.WriteString(c, "x")
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
		io.Copy(io.Discard, os.Stdin)
	}
}

func TestLaneBesideManyConnections(t *testing.T) {
	idle, slow := 1500, 200 // more than the lane holds
	switch {
	case *long:
		idle, slow = 10_000, 1000
	case testing.Short():
		idle, slow = 300, 50
	}
	mayOpen(t, idle+slow+100)
	s := serveLane(t, started(t), listen(t, "tcp", "127.0.0.1:0"))
	timed := func() (all []time.Duration) {
		for range 200 {
			began := time.Now()
			s.wantProbe(t, "/livez", 200)
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all
	}
	alone := timed()
	_, out := startChild(t, "holder", nil, "PROBE_LANE_ADDR="+s.addr.String(),
		"PROBE_LANE_IDLE="+strconv.Itoa(idle), "PROBE_LANE_SLOW="+strconv.Itoa(slow))
	for range 20 { // while they come, and may push a probe out that is late with its bytes
		if got := ask(t, s.addr, probeRequest("/livez")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("got %q", got)
		}
	}
	if got := line(t, out); got != "held" {
		t.Fatal(got)
	}
	beside := timed()
	eventually(t, "all went the ordinary way", func() bool { return s.lane.Stats().Passed >= uint64(idle+slow) })
	after := timed()
	t.Logf("median and longest: alone %v %v, beside %d silent and %d slow connections %v %v, a while later %v %v",
		alone[100], alone[199], idle, slow, beside[100], beside[199], after[100], after[199])
}

func init() {
	// drowned computes and allocates on one processor, now and then in what
	// nothing can interrupt, and has timers that fire after a heartbeat's and so
	// put what waits for them in front of it.
	children["drowned"] = func() {
		r := must(New())
		ln := must(net.Listen("tcp", "127.0.0.1:0"))
		l := must(r.Lane(ln))
		go http.Serve(l, r.Wrap(echo))
		block := make([]byte, 128<<20)
		for range must(strconv.Atoi(os.Getenv("PROBE_LANE_BUSY"))) {
			go func() {
				for {
					bytes.IndexByte(block, 1)
					list := make([]*[64]byte, 20_000)
					for i := range list {
						list[i] = new([64]byte)
					}
				}
			}()
		}
		for range 50 {
			go func() {
				for {
					time.Sleep(time.Duration(rand.IntN(int(100 * time.Millisecond))))
				}
			}()
		}
		fmt.Println(ln.Addr())
		io.Copy(io.Discard, os.Stdin)
		fmt.Printf("%v %d\n", l.Stats().HeartbeatMax, l.Stats().Answered)
	}
}

// Overload is no reason to be restarted.
func TestHeartbeatUnderOverload(t *testing.T) {
	if instrumented() {
		t.Skip("no lane")
	}
	busy, probes := 64, 20
	if *long {
		busy, probes = 1000, 2000
	}
	c, out := startChild(t, "drowned", nil, "GOMAXPROCS=1", "PROBE_LANE_BUSY="+strconv.Itoa(busy))
	addr, err := net.ResolveTCPAddr("tcp", line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	var all []time.Duration
	for range probes {
		began := time.Now()
		if got := ask(t, addr, probeRequest("/livez")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("got %q", got)
		}
		all = append(all, time.Since(began))
		time.Sleep(20 * time.Millisecond)
	}
	slices.Sort(all)
	c.in.Close()
	t.Logf("probes: median %v, longest %v; the heartbeat's greatest age and what was answered: %s",
		all[len(all)/2], all[len(all)-1], line(t, out))
}
