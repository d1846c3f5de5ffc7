//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is how many bytes fit between the lane and Accept: as many
	// connections as the lane itself holds.
	pipeSize = waitingMax * unsafe.Sizeof(guest{})
	// queueMax is how many connections a lane that ends takes from the kernel's
	// queue: as many as that has by default (net.core.somaxconn). A listener
	// that another process serves as well might never run dry.
	queueMax = 4096
	// unclaimedFor is how long after Close, or after the last Accept since, a
	// connection waits to be handed out. A server that accepts comes back at
	// once, if it gets a processor.
	unclaimedFor = 10 * time.Second
	// heartbeat is the longest time between two beats.
	heartbeat = time.Second
	// beaters is how many goroutines send the beats, in turn. One alone would do
	// but for two things: sysmon preempts it when it finds itself in a time slice
	// that the goroutine before it has used up, and another timer that fires in
	// the same moment takes its place in front of the queue. Then it waits as
	// long as all others that want to run, which was 30 s with 256 goroutines that
	// faulted in fresh memory, a third of a second each that nothing can
	// interrupt. Meanwhile the next ones beat.
	beaters = 16
	// drawers is how many goroutines make the tables, for the same reason. They
	// have three times as long.
	drawers = 8
	// slice is the time slice that the lane's thread asks for. The kernel's own is
	// 0.7 ms or more, and the least that it grants is 0.1 ms. The shorter it is, the
	// sooner the thread runs; but one shorter than its work for a probe, which takes
	// about 0.1 ms, can cost it the processor in the middle of that, until the next
	// tick. Behind c.JSON of 256 clients, written in pieces of 64 KB, p98 and p99 of
	// the probes were 3.6 and 4.1 ms without it, 3.1 and 3.9 with 0.1 ms, 2.7 and 3.3
	// with 0.2 ms, 3.0 and 3.6 with 0.3 ms. Where each request is on a connection of
	// its own, it costs 1 % of them.
	slice = 200 * time.Microsecond
	// outdated is how old a table may be, in the heartbeat's limits, of a
	// second at least: there is a table every second. Making one takes memory
	// and locks, so it may be later than a beat; but the goroutines that do may
	// stand still for ever where beats go on.
	outdated = 3
)

// lane is a Lane that is on.
type lane struct {
	registry  *Registry
	inner     net.Listener
	raw       syscall.RawConn // of inner
	period    time.Duration   // of the heartbeat
	begun     time.Time       // when beaters and tables count from
	unclaimed time.Duration   // see the constant
	loop      *loop
	stopping  sync.Mutex     // held to shut orders down or to close it
	orders    int            // our end of loop.orders; -1 once closeOrders has run
	adjust    func(net.Conn) // gives a connection the listener's own keep-alive; nil where that is the default

	disabled atomic.Pointer[string] // why

	begin   sync.Once
	end     sync.Once
	changed chan struct{} // has a notice when the table does not hold any more
	parted  func()        // ends these notices; set by start
	ended   chan struct{} // closed when the thread is gone and rest is set
	alone   chan struct{} // closed when the goroutines that send are gone, and orders
	pulse   [1]byte       // what a heartbeat sends

	// Set before ended is closed, read after.
	failure error   // what ended the lane, if it was not Close
	rest    []guest // what it left, for Accept

	mu     sync.Mutex // held while a connection is got from the pipe; guards what follows
	pipe   *os.File   // connections come out here
	read   [parcelMax]guest
	ready  []guest     // read from the pipe
	retry  *handed     // the connection for which there was no descriptor
	over   error       // what Accept returns from now on
	taking taking      // connections itself
	unused *time.Timer // closes what nobody accepts, after Close
}

func (r *Registry) newLane(ln net.Listener, c laneConfig) (laneThread, error) {
	if instrumented() {
		return nil, errors.New("the lane cannot be measured for coverage under the race detector")
	}
	l := &lane{
		registry:  r,
		inner:     ln,
		period:    min(heartbeat, c.limit/4),
		begun:     time.Now(),
		unclaimed: unclaimedFor,
		changed:   make(chan struct{}, 1),
		ended:     make(chan struct{}),
		alone:     make(chan struct{}),
	}
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return nil, notOurs(ln)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	switch ln := ln.(type) {
	case *net.TCPListener:
		l.adjust = keepAlive(ln, raw)
	case *net.UnixListener:
		if network := ln.Addr().Network(); network != "unix" {
			return nil, fmt.Errorf("the lane is for streams, not for %s", network)
		}
	default:
		return nil, notOurs(ln)
	}
	l.raw = raw
	l.loop = newLoop(c)
	if err := l.open(); err != nil {
		release(l.loop)
		l.taking.listener.Close()
		return nil, fmt.Errorf("the lane needs a few descriptors: %w", err)
	}
	return l, nil
}

func notOurs(ln net.Listener) error {
	return fmt.Errorf("the lane is for a *net.TCPListener or a *net.UnixListener, not for a %T", ln)
}

func newLoop(c laneConfig) *loop {
	l := &loop{
		epoll: -1, listener: -1, orders: -1, handOver: -1, spare: -1,
		limit: int64(c.limit), asleep: min(asleep, int64(c.limit)/4), leaveFor: leaveFor, idle: int64(c.idle), rest: restMin,
		gift: gift{guest: guest{fd: -1}},
	}
	for i := range l.first {
		l.first[i], l.last[i] = -1, -1
	}
	l.first[slotFree], l.last[slotFree] = 0, waitingMax-1
	for i := range int32(waitingMax) {
		l.slots[i] = slot{guest: guest{fd: -1}, prev: i - 1, next: i + 1}
	}
	l.slots[waitingMax-1].next = -1
	l.outdated = outdated * max(l.limit, int64(heartbeat))
	return l
}

// open gets the descriptors. What it got before an error, release gives back.
func (l *lane) open() error {
	lp := l.loop
	var err error
	if e := l.raw.Control(func(fd uintptr) { lp.listener, err = duplicate(int32(fd)) }); e != nil {
		return e
	}
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if err := l.taking.open(lp.listener); err != nil {
		return err
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	lp.epoll = int32(epoll)
	orders, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	l.orders, lp.orders = orders[0], int32(orders[1])
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		l.closeOrders()
		return os.NewSyscallError("pipe2", err)
	}
	lp.handOver = int32(pipe[1])
	l.pipe = os.NewFile(uintptr(pipe[0]), "lane")
	if err := l.prepare(); err != nil {
		l.pipe.Close()
		l.closeOrders()
		return err
	}
	return nil
}

// prepare brings the descriptors into their places.
func (l *lane) prepare() error {
	lp := l.loop
	// Without this a pipe has 64 KB, or 8 KB if the user has very many of them,
	// and then it is not allowed to grow.
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(lp.handOver), syscall.F_SETPIPE_SZ, pipeSize); errno != 0 && errno != syscall.EPERM {
		return os.NewSyscallError("fcntl", errno)
	}
	var err error
	if lp.spare, err = duplicate(lp.epoll); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if !lp.watch(syscall.EPOLL_CTL_ADD, lp.listener, syscall.EPOLLIN, ofListener, 0) ||
		!lp.watch(syscall.EPOLL_CTL_ADD, lp.orders, syscall.EPOLLIN, ofOrders, 0) {
		return os.NewSyscallError("epoll_ctl", syscall.ENOMEM)
	}
	lp.sized = lp.askQueue()
	// The largest of tables has to fit into one message.
	if err := l.send(l.draft(time.Now()).bytes(textMax)); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	lp.tick()
	lp.takeOrders()
	return nil
}

func duplicate(fd int32) (int32, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	return int32(n), nil
}

// release closes the loop's descriptors, but for the listener's.
func release(l *loop) {
	for _, fd := range []*int32{&l.epoll, &l.orders, &l.handOver, &l.spare} {
		if *fd >= 0 {
			syscall.Close(int(*fd))
			*fd = -1
		}
	}
}

// thread is the goroutine of the lane's thread, which ends with it.
func (l *lane) thread() {
	runtime.LockOSThread()
	shortenSlice()
	l.loop.tick()
	errno := l.loop.run()
	l.finish(errno)
}

// shortenSlice has the kernel run this thread soon after it is woken. Since Linux
// 6.12 a thread that has asked for a shorter time slice than the running one's need
// not wait for the end of that. It gets no more of the processor in all, and it
// needs no privilege. An older kernel says that the slice is 0. A policy that
// somebody has chosen for the process stays, and so does a slice that is shorter.
func shortenSlice() {
	if !mayAsk() {
		return
	}
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Runtime <= uint64(slice) {
		return
	}
	attr.Runtime = uint64(slice)
	unix.SchedSetAttr(0, attr, 0)
}

// mayAsk reports whether a system call that is not allowed would be an error at
// worst. Where they are filtered it may be the end of the process: systemd's
// SystemCallFilter=~@resources, which many services have, kills for
// sched_setattr. The filters of container runtimes return an error, and allow it.
func mayAsk() bool {
	status, err := os.ReadFile("/proc/thread-self/status")
	unfiltered := err == nil && bytes.Contains(status, []byte("\nSeccomp:\t0\n"))
	return unfiltered || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// attend starts the lane and waits for its end. The thread comes first, since
// what is started last has the next turn. Those that keep it from being late are
// started by their timers: under load they would wait long for a first turn.
func (l *lane) attend() {
	defer close(l.alone)
	var senders sync.WaitGroup
	var timers []*time.Timer
	start := func(send func(turn int), turn int, delay time.Duration) {
		senders.Add(1)
		timers = append(timers, time.AfterFunc(delay, func() {
			defer senders.Done()
			send(turn)
		}))
	}
	for turn := range beaters {
		start(l.beat, turn, time.Duration(turn+1)*l.period)
	}
	for turn := 1; turn < drawers; turn++ {
		start(l.draw, turn, time.Duration(turn)*time.Second)
	}
	senders.Go(func() { l.draw(0) })
	go l.thread()
	<-l.ended
	for _, t := range timers {
		if t.Stop() {
			senders.Done()
		}
	}
	senders.Wait()
	l.parted()
	l.closeOrders()
}

// beat sends the lane a heartbeat whenever it is its turn, until the lane ends.
// It does nothing that has to wait for more than a processor: it allocates
// nothing, lest it be sent to help the collector, takes no lock, and keeps its P
// in its only system call.
func (l *lane) beat(turn int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if l.raw.Control(func(uintptr) {}) != nil {
			// Somebody has closed the listener itself. It lives on in our
			// duplicate, which nobody expects.
			l.stop()
			return
		}
		l.send(l.pulse[:])
		timer.Reset(untilTurn(time.Since(l.begun), turn, beaters, l.period))
		select {
		case <-l.ended:
			return
		case <-timer.C:
		}
	}
}

// draw sends the lane a table whenever the answers change, and at every second
// that is its turn, for the date in them, until the lane ends.
func (l *lane) draw(turn int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-l.changed:
		case <-timer.C:
		}
		now := time.Now()
		d := l.draft(now)
		l.send(d.bytes(d.used))
		second := untilTurn(time.Duration(now.UnixNano()), turn, drawers, time.Second)
		timer.Reset(min(second, l.registry.changesIn()))
	}
}

// untilTurn is how long it is until the next turn of one of several who take
// turns, each a period after the other. It does not depend on how late the last
// was, so that they never come to fall together.
func untilTurn(elapsed time.Duration, turn, of int, period time.Duration) time.Duration {
	round := time.Duration(of) * period
	return round - (elapsed-time.Duration(turn)*period+round)%round
}

// draft makes the table for a moment.
func (l *lane) draft(now time.Time) *draft {
	d := l.registry.drafted(now)
	d.made = int64(now.Sub(l.begun))
	if l.disabled.Load() != nil {
		d.count = 0
	}
	l.taking.publish(d.table)
	return d
}

// send sends a table or a heartbeat. It never waits, so it need not tell the
// scheduler: after a system call that does, a goroutine may find its P taken,
// and then it queues behind all others. A message for which there is no room is
// not missed: there are others on the way.
func (l *lane) send(message []byte) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(l.orders), uintptr(unsafe.Pointer(&message[0])),
		uintptr(len(message)), syscall.MSG_DONTWAIT|msgNoSignal, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// stop ends the thread, by the end of its orders. It may have ended already, and
// the descriptor's number be somebody else's.
func (l *lane) stop() {
	l.stopping.Lock()
	defer l.stopping.Unlock()
	if l.orders >= 0 {
		syscall.Shutdown(l.orders, syscall.SHUT_WR)
	}
}

// closeOrders is for when nobody sends any more.
func (l *lane) closeOrders() {
	l.stopping.Lock()
	defer l.stopping.Unlock()
	syscall.Close(l.orders)
	l.orders = -1
}

// finish gathers what the thread has left behind.
func (l *lane) finish(errno syscall.Errno) {
	lp := l.loop
	if errno != 0 {
		l.failure = os.NewSyscallError("accept4", errno)
	}
	leave := func(g guest, list int32) {
		switch list {
		case slotKept:
			n, _, _ := syscall.Recvfrom(int(g.fd), lp.request[:1], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if n > 0 {
				l.rest = append(l.rest, g) // has a request
			} else {
				syscall.Close(int(g.fd)) // idle, as http.Server.Shutdown sees it
			}
		case slotSilent, slotLeaving:
			l.rest = append(l.rest, g)
		}
	}
	for i := range lp.slots {
		leave(lp.slots[i].guest, lp.slots[i].list)
	}
	atomic.StoreUint64(&lp.counts.waiting, 0)
	// What Accept may have given since, and no more after that.
	syscall.Shutdown(int(lp.orders), syscall.SHUT_RD)
	lp.takeOrders()
	if lp.gift.fd >= 0 {
		leave(lp.gift.guest, lp.gift.list)
	}
	// Where descriptors are scarce, accept may need those of the others.
	release(lp)
	for range queueMax {
		setNonblock(uintptr(lp.listener)) // see the loop, on descriptors
		var g guest
		length := uint32(unsafe.Sizeof(g.from))
		fd, _, errno := syscall.Syscall6(syscall.SYS_ACCEPT4, uintptr(lp.listener), uintptr(unsafe.Pointer(&g.from)),
			uintptr(unsafe.Pointer(&length)), syscall.SOCK_CLOEXEC, 0, 0)
		if errno == syscall.EINTR || errno == syscall.ECONNABORTED {
			continue
		}
		if errno != 0 {
			break
		}
		g.fd = int32(fd)
		l.rest = append(l.rest, g)
	}
	l.taking.listener.Close()
	close(l.ended)
}

// accept starts the lane if it has not been yet. It has read nothing ahead if it
// is only to peek.
func (l *lane) accept(peek bool) (c net.Conn, ahead []byte, err error) {
	l.begin.Do(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if c, ahead := l.take(peek); c != nil {
			return c, ahead, nil
		}
		f, err := l.next()
		if err != nil {
			return nil, nil, l.failed(err)
		}
		c, err := net.FileConn(f.File)
		if err != nil {
			var errno syscall.Errno
			if errors.As(err, &errno) && (errno.Temporary() || errno == syscall.ENOMEM || errno == syscall.ENOBUFS) {
				l.retry = f
				return nil, nil, l.failed(scarce{os.NewSyscallError("accept4", errno)})
			}
			f.Close()
			continue
		}
		f.Close()
		if l.adjust != nil {
			l.adjust(c)
		}
		if tcp, ok := c.(*net.TCPConn); ok && c.RemoteAddr() == nil {
			c = departed{tcp, f.from.addr()}
		}
		return c, nil, nil
	}
}

// start starts the goroutines. The lane's first table is made now: what has
// changed since Lane is in it, and of what changes from here on there is a
// notice.
func (l *lane) start() {
	l.parted = l.registry.follow(l.changed)
	l.loop.tables[l.loop.current] = *l.draft(time.Now()).table
	go l.attend()
}

// scarce is a lack of descriptors or memory. It passes, so a server should try
// again; net says so of a lack of descriptors only.
type scarce struct{ error }

func (scarce) Temporary() bool { return true }
func (s scarce) Unwrap() error { return s.error }

func (l *lane) failed(err error) error {
	return &net.OpError{Op: "accept", Net: l.inner.Addr().Network(), Addr: l.inner.Addr(), Err: err}
}

// handed is a connection that has been handed over.
type handed struct {
	*os.File
	from sockaddr
}

// next gets the next connection. mu is held.
func (l *lane) next() (*handed, error) {
	if f := l.retry; f != nil {
		l.retry = nil
		return f, nil
	}
	if l.over != nil {
		return nil, l.over
	}
	if l.unused != nil {
		l.unused.Reset(l.unclaimed)
	}
	for len(l.ready) == 0 {
		l.nap()
		n, err := l.pipe.Read(unsafe.Slice((*byte)(unsafe.Pointer(&l.read)), unsafe.Sizeof(l.read)))
		l.ready = append(l.ready, l.read[:max(n, 0)/int(unsafe.Sizeof(guest{}))]...)
		atomic.AddUint32(&l.loop.received, uint32(len(l.ready)))
		if err == io.EOF {
			<-l.ended
			l.ready, l.rest = l.rest, nil
		}
		if err != nil && len(l.ready) == 0 {
			l.pipe.Close()
			if l.unused != nil {
				l.unused.Stop()
			}
			l.over = net.ErrClosed
			if l.failure != nil {
				l.over = l.failure
			}
			return nil, l.over
		}
	}
	g := l.ready[0]
	l.ready = l.ready[1:]
	return &handed{os.NewFile(uintptr(g.fd), "connection"), g.from}, nil
}

// Close ends the lane. It waits for its thread, so that afterwards the address
// is free.
func (l *lane) Close() error {
	err := l.inner.Close()
	l.end.Do(func() {
		running := true
		l.begin.Do(func() { running = false })
		if !running { // and never will
			release(l.loop)
			l.taking.listener.Close()
			l.closeOrders()
			close(l.ended)
			close(l.alone)
		} else {
			l.stop()
		}
		<-l.ended
		<-l.alone
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.over != nil:
		case !running:
			l.pipe.Close()
			l.over = net.ErrClosed
		default:
			l.unused = time.AfterFunc(l.unclaimed, l.closeUnclaimed)
		}
	})
	return err
}

// closeUnclaimed closes what nobody has accepted after Close.
func (l *lane) closeUnclaimed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		f, err := l.next()
		if err != nil {
			return
		}
		f.Close()
	}
}

func (l *lane) disable(why string) {
	if l.disabled.CompareAndSwap(nil, &why) {
		select {
		case l.changed <- struct{}{}:
		default:
		}
	}
}

func (l *lane) stats() LaneStats {
	c := &l.loop.counts
	s := LaneStats{
		On:       true,
		Answered: atomic.LoadUint64(&c.answered) + l.taking.answered.Load(),
		Stale:    atomic.LoadUint64(&c.stale),
		Passed:   atomic.LoadUint64(&c.passed) + l.taking.count.Load(),
		Waiting:  int(atomic.LoadUint64(&c.waiting)),
		Scarce:   atomic.LoadUint64(&c.scarce),

		HeartbeatMax: time.Duration(atomic.LoadUint64(&c.oldest)),
	}
	if why := l.disabled.Load(); why != nil {
		s.On, s.Why = false, *why
	}
	select {
	case <-l.ended:
		s.On, s.Why = false, "the lane is closed"
		if l.failure != nil {
			s.Why = l.failure.Error()
		}
	default:
	}
	return s
}

// inheritedKeepAlive is no keep-alive, with the figures that a connection has
// from its listener and net.FileConn has changed.
func inheritedKeepAlive(raw syscall.RawConn) net.KeepAliveConfig {
	var c net.KeepAliveConfig
	raw.Control(func(fd uintptr) {
		get := func(option int) int {
			n, _ := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
			return n
		}
		c.Idle = time.Duration(get(syscall.TCP_KEEPIDLE)) * time.Second
		c.Interval = time.Duration(get(syscall.TCP_KEEPINTVL)) * time.Second
		c.Count = get(syscall.TCP_KEEPCNT)
	})
	return c
}

// keepAlive returns what gives connections the keep-alive that the listener's
// net.ListenConfig asks for, nil if that is the default, which net.FileConn
// gives by itself. The configuration can be read, but is not exported.
func keepAlive(ln *net.TCPListener, raw syscall.RawConn) func(net.Conn) {
	lc := reflect.ValueOf(ln).Elem().FieldByName("lc")
	own := net.KeepAliveConfig{}
	c := lc.FieldByName("KeepAliveConfig")
	own.Enable = c.FieldByName("Enable").Bool()
	own.Idle = time.Duration(c.FieldByName("Idle").Int())
	own.Interval = time.Duration(c.FieldByName("Interval").Int())
	own.Count = int(c.FieldByName("Count").Int())
	old := time.Duration(lc.FieldByName("KeepAlive").Int())
	switch {
	case own.Enable:
	case old < 0:
		own = inheritedKeepAlive(raw)
	case old > 0:
		own = net.KeepAliveConfig{Enable: true, Idle: old}
	default:
		return nil
	}
	return func(c net.Conn) { c.(*net.TCPConn).SetKeepAliveConfig(own) }
}
