//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"syscall"
	"unsafe"
)

// The lane's loop runs on a thread that has no P, from runtime.entersyscall to
// runtime.exitsyscall, as the code around any system call does, only longer. To
// the scheduler its goroutine is in a system call: sysmon hands the P to others
// within 10 ms, once; stopping the world does not wait for it; nobody preempts
// it; and nobody but the kernel decides when it runs. What it costs the others
// is the processor time it uses.
//
// What code without a P may not do, and why this code does not:
//
//   - Grow its stack. entersyscall sets the guard so that any check fails and
//     the process dies. All functions here are nosplit, and the linker proves
//     that the deepest chain of calls fits into what such chains are given (792
//     bytes; that is why arguments live in *loop, and all are noinline: with -N
//     what is inlined makes its caller's frame larger). It holds for the builds
//     of TestLaneCallsNothingThatNeedsAP, and not where the package is built
//     with -N -l and measured with -covermode=atomic: that does not link. Bounds
//     checks that cannot be proved away are masked, since a panic would grow the
//     stack.
//   - Allocate, or write a pointer, which takes the P's caches and its buffer
//     for write barriers. *loop has no pointers, and everything is in it.
//   - Be instrumented. The race detector keeps its state in the P, hence
//     norace, and no sync/atomic, whose functions are the detector's in such
//     builds. See instrumented for coverage, and the build tags for msan and
//     asan.
//   - Enter the runtime in any other way: no map, channel, interface, defer,
//     closure, no time.Now. RawSyscall6 is assembly behind one nosplit function.
//
// Memory. *loop is on the heap, where nothing moves, and stays alive because
// run's frame holds it: a collection scans the stack from where entersyscall was
// called, and does not see the frames below, which hold nothing else. The stack
// itself is not shrunk during a system call. Nothing is shared while the loop
// runs, except counters that one side writes and the other reads, a word at a
// time. On those of Accept rests for how long the lane leaves it the kernel's queue,
// and how much it writes at once, and on nothing else. What the loop has to
// know comes through a socket, and what it gives away goes into a pipe; the kernel
// orders the memory for both.
//
// Signals. A handler runs on its own signal stack, which does not need a P: the
// profiler's (SIGPROF) unwinds this code as that of any system call, one to
// preempt (SIGURG) finds nothing that can be, and that of AllThreadsSyscall
// does its call. The waiting system call returns EINTR and is made again.
//
// Descriptors. The listener's is a duplicate, so that none is used that might
// have been closed and opened as something else meanwhile. It is waited for,
// and never blocked in, so that the end of the orders ends the thread.
// shutdown(2) would end it too, and the listener for all who share it. They
// share its mode as well: os.File.Fd, and with it os/exec, makes it block for
// all. So it is set again each time, and no more connections are accepted than
// there are: one per event, or as many as the queue is long.
//
// What this relies on in the runtime: the pair's names and signatures, which it
// keeps for gVisor ("do not remove or change the type signature",
// runtime/proc.go; go.dev/issue/67401) and lets be linked to; that it is called
// from one frame; and what is said above about goroutines in system calls. The
// last is not promised, so the build tags name the versions that the tests have
// seen, and all other builds do without a lane.

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

const (
	// waitingMax is how many connections the lane holds. More silent ones than
	// this in a second leave it sooner.
	waitingMax = 1024
	// requestMax is the longest request that is looked at: kubelet's has
	// about 120 bytes, and a cloud's load balancer's not many more.
	requestMax = 1024
	// batch is how many events are taken before the lane looks at its orders
	// again.
	batch = 64

	// parcelMax is how many connections go into the pipe at once: a page, which
	// a pipe takes whole or not at all.
	parcelMax = 4096 / int32(unsafe.Sizeof(guest{}))

	// What package syscall lacks.
	msgNoSignal = 0x4000 // MSG_NOSIGNAL

	millisecond = int64(1e6)
	// silence is how long a connection may take to send something before it
	// goes the ordinary way: what a lost packet costs at first (RFC 6298), and
	// what a prober waits at most by default.
	silence = 1000 * millisecond
	// asleep is the longest that the lane itself sleeps, but for a quarter of
	// the heartbeat's limit if that is less. Beyond twice that, one sleep is
	// time for which the whole process stood still (SIGSTOP, a frozen cgroup),
	// and not held against the heartbeat: with the quarter between two beats,
	// that leaves it another until it is late.
	asleep = 1000 * millisecond
	// leaveFor is how often the lane looks whether Accept, to which it has left
	// the queue, has been there since: it may have to wait for the end of a turn
	// besides lookFor. A probe may have to wait for two of them, so it is short.
	leaveFor = 2 * millisecond
	// missedMax is how often in a row Accept may not come before the lane leaves it
	// the queue no more, until it has been there: its server has no room, or rests.
	missedMax = 4
	// Without descriptors or memory the lane accepts again after restMin, and
	// after twice as long each time until restMax: net/http's own figures.
	restMin = 5 * millisecond
	restMax = 1000 * millisecond
)

// Marks of what an event is about, where it is not a slot.
const (
	ofListener = -1 - iota
	ofOrders
	ofHandOver
)

// The lists a slot can be in.
const (
	slotFree    = iota
	slotSilent  // has sent nothing yet
	slotKept    // has got an answer and may ask again
	slotLeaving // is to be handed over, once there is room
	slotLists
)

// guest is a connection as it goes into the pipe.
type guest struct {
	fd   int32
	from sockaddr // the client's: a connection that is reset forgets it
}

// gift is a connection as it comes from accept4, or from Accept.
type gift struct {
	guest
	list int32 // where it belongs: slotSilent or slotKept
}

// sockaddr has room for sockaddr_in6, and for the beginning of others.
type sockaddr [28]byte

// slot is a connection that waits in the lane.
type slot struct {
	guest
	generation int32 // tells an event of this connection from its predecessor's
	list       int32
	prev, next int32 // in the list, -1 at its ends
	watched    bool
	until      int64 // when silent or kept ends
}

// loop is the lane's memory. While the lane runs it belongs to the lane's
// thread alone, except for the counts, which others may read.
type loop struct {
	epoll    int32
	listener int32
	orders   int32 // tables come in here; its end means stop
	handOver int32 // descriptors go out here
	spare    int32 // given up to accept when there are no more; -1 if so
	resting  bool  // not accepting
	clogged  bool  // handOver was full, and is watched
	sized    bool  // the length of the listener's queue can be asked for
	overdue  bool  // Accept has not come for the queue that was left to it
	queue    int32 // connections still to be accepted in this round
	page     int32 // guests in the pipe's last page
	limit    int64 // the heartbeat's, in nanoseconds
	outdated int64 // the table's limit, in nanoseconds
	asleep   int64 // the longest sleep, in nanoseconds
	leaveFor int64 // see the constant
	idle     int64 // how long a kept connection waits, in nanoseconds; 0 for ever

	now   int64 // nanoseconds on the monotonic clock
	age   int64 // of the heartbeat
	since int64 // the table came, as long as age is counted
	rest  int64 // how long to rest the next time
	awake int64 // when the present rest ends

	gift gift // from Accept, until there is a slot for it; fd is -1 if there is none

	// What is passed between functions, lest their frames outgrow what is
	// given to a chain of nosplit ones where nothing is optimized.
	at       int32 // the slot that is being dealt with
	accepted gift
	length   uint32 // of its address

	desk // for the slot that is being dealt with

	first, last [slotLists]int32
	slots       [waitingMax]slot
	events      [batch]syscall.EpollEvent
	change      syscall.EpollEvent
	clock       syscall.Timespec
	info        listenInfo
	parcel      [parcelMax]guest

	// Written by the lane: odd while it leaves the queue to Accept, and how many
	// gifts have got a slot, modulo 1<<32.
	left, took uint32

	// Written by Accept, modulo 1<<32: the connections that it has read from the
	// pipe, and how often it has looked at the queue.
	received, looks uint32
	missed          int32  // how often in a row Accept has not come
	seen, heard     uint32 // what looks and received were

	counts laneCounts
}

// listenInfo is the beginning of struct tcp_info. Of a socket that listens,
// unacked is the length of its queue.
type listenInfo struct {
	_       [8]uint8
	_       [4]uint32
	unacked uint32
}

// laneCounts are written by the lane and read by anyone, one word each.
type laneCounts struct {
	answered uint64
	stale    uint64 // answered 503 for the heartbeat's sake, or the table's
	passed   uint64
	waiting  uint64 // slots taken
	scarce   uint64 // accepts that failed for want of descriptors or memory
	oldest   uint64 // the heartbeat's greatest age, in nanoseconds
}

// run is the lane: from entersyscall to exitsyscall the goroutine has no P.
// It returns what ended the loop, zero if that was the end of the orders.
//
//go:nosplit
//go:norace
func (l *loop) run() syscall.Errno {
	entersyscall()
	errno := l.serve()
	exitsyscall()
	return errno
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) serve() syscall.Errno {
	for {
		n := l.sleep()
		if n < 0 {
			return syscall.EBADF // somebody has closed what is not theirs
		}
		for i := int32(0); i < n; i++ {
			if l.events[i&(batch-1)].Fd == ofOrders && !l.takeOrders() {
				return 0
			}
		}
		if l.gift.fd >= 0 && (l.first[slotFree] >= 0 || l.makeRoom()) {
			l.accepted = l.gift
			l.gift.fd = -1
			l.took++
			l.take()
			l.look()
		}
		for i := int32(0); i < n; i++ {
			e := &l.events[i&(batch-1)]
			switch {
			case e.Fd == ofListener && l.behind():
				l.leave()
			case e.Fd == ofListener:
				for l.queued(); l.queue > 0; l.queue-- {
					if errno := l.accept(); errno != 0 {
						return errno
					}
				}
			case e.Fd == ofHandOver:
				l.handOverAll()
			case e.Fd >= 0:
				// Unless it has left since the event.
				if s := l.slot(e.Fd); s.generation == e.Pad && s.watched {
					l.at = e.Fd
					l.look()
				}
			}
		}
		l.expire()
		if l.first[slotLeaving] >= 0 && !l.clogged {
			l.handOverAll()
		}
	}
}

// sleep waits until something happens or is due, and brings the clock and the
// heartbeat's age up to date. It returns how many events there are, or -1 if it
// cannot wait any more.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) sleep() int32 {
	until := l.now + l.asleep
	if i := l.first[slotSilent]; i >= 0 {
		until = min(until, l.slot(i).until)
	}
	if i := l.first[slotKept]; i >= 0 && l.idle > 0 {
		until = min(until, l.slot(i).until)
	}
	if l.resting && !l.clogged {
		until = min(until, l.awake)
	}
	ms := max((until-l.now+millisecond-1)/millisecond, 0)
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll),
		uintptr(unsafe.Pointer(&l.events[0])), batch, uintptr(ms), 0, 0)
	before := l.now
	l.tick()
	passed := min(l.now-before, 2*l.asleep)
	l.age += passed
	l.since += passed
	l.counts.oldest = max(l.counts.oldest, uint64(l.age))
	switch errno {
	case 0:
		return int32(n)
	case syscall.EINTR:
		return 0
	}
	return -1
}

// behind reports whether Accept has yet to read what the lane has given it, so
// that it may as well take the next connections itself. Where the queue's length
// is unknown, it could not. What the listener tells a lane that rests is not of a
// connection, but that somebody has shut it down; accept says so.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) behind() bool {
	return l.sized && uint32(l.counts.passed) != l.received && !l.overdue && !l.clogged && !l.resting
}

// leave leaves the queue to Accept.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) leave() {
	l.left++
	if l.looks != l.seen || l.received != l.heard {
		l.missed = 0
	}
	l.seen, l.heard = l.looks, l.received
	l.pause(l.now + l.leaveFor)
}

// queued sets how many connections are to be accepted for an event: where Accept
// has not come for them, all that have gathered, and the same again for as long as
// it has not been there at all. It may be that its server has no room, and to wait
// for it each time would be for nothing.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) queued() {
	l.queue = 1
	if l.overdue && l.askQueue() {
		l.queue = int32(min(max(l.info.unacked, 1), batch))
	}
	l.overdue = l.missed >= missedMax && l.looks == l.seen && l.received == l.heard
}

// askQueue asks for the length of the listener's queue.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) askQueue() bool {
	l.length = uint32(unsafe.Sizeof(l.info))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(l.listener), syscall.IPPROTO_TCP, syscall.TCP_INFO,
		uintptr(unsafe.Pointer(&l.info)), uintptr(unsafe.Pointer(&l.length)), 0)
	return errno == 0 && uintptr(l.length) == unsafe.Sizeof(l.info)
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) tick() {
	const monotonic = 1
	syscall.RawSyscall6(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&l.clock)), 0, 0, 0, 0)
	l.now = l.clock.Sec*1e9 + l.clock.Nsec
}

// takeOrders reads the tables and the heartbeats that have come; a table is a
// heartbeat, too, and of no other use if its sender has been overtaken. It
// reports false when there will be no more.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) takeOrders() bool {
	for {
		next := (l.current + 1) & 1
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(l.orders),
			uintptr(unsafe.Pointer(&l.tables[next])), unsafe.Sizeof(table{}), syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return true
		case errno != 0 || n == 0:
			return false
		case n == unsafe.Sizeof(gift{}):
			if g := (*gift)(unsafe.Pointer(&l.tables[next])); g.fd >= 0 {
				l.gift = *g
			}
			l.resume()
		default:
			l.age = 0
			if n > 1 && l.tables[next].made >= l.tables[l.current&1].made {
				l.current = next
				l.since = 0
			}
		}
	}
}

// accept takes one connection from the kernel's queue, where there is one. The
// error is one that will not pass.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) accept() syscall.Errno {
	if l.first[slotFree] < 0 && !l.makeRoom() {
		l.pause(l.now + restMax) // handOverAll ends it sooner
		return 0
	}
	errno := l.accept4()
	switch errno {
	case 0:
		l.rest = restMin
	case syscall.EAGAIN:
		l.queue = 0 // somebody else has taken them
		return 0
	case syscall.EINTR, syscall.ECONNABORTED:
		return 0
	case syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EOPNOTSUPP, syscall.EFAULT:
		return errno
	default:
		// The spare descriptor is given up for the next connection. If that
		// has brought a probe, both are free again a moment later.
		l.counts.scarce++
		if l.spare >= 0 {
			l.close(l.spare)
			l.spare = -1
			errno = l.accept4()
		}
	}
	if errno == 0 {
		l.take()
		l.look()
	}
	l.reserve()
	if l.spare < 0 && errno != 0 {
		l.pause(l.now + l.rest)
		l.rest = min(2*l.rest, restMax)
	}
	return 0
}

// accept4 does not block, whatever others have made of the listener. It leaves
// the connection in blocking mode: os.NewFile would register it with the
// netpoller otherwise, and net.FileConn changes it anyhow.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) accept4() syscall.Errno {
	syscall.RawSyscall6(syscall.SYS_FCNTL, uintptr(l.listener), syscall.F_SETFL, syscall.O_RDWR|syscall.O_NONBLOCK, 0, 0, 0)
	l.length = uint32(unsafe.Sizeof(sockaddr{}))
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(l.listener), uintptr(unsafe.Pointer(&l.accepted.from)),
		uintptr(unsafe.Pointer(&l.length)), syscall.SOCK_CLOEXEC, 0, 0)
	l.accepted.fd, l.accepted.list = int32(fd), slotSilent
	return errno
}

// reserve gets a spare descriptor if there is none.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) reserve() {
	if l.spare >= 0 {
		return
	}
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_FCNTL, uintptr(l.epoll), syscall.F_DUPFD_CLOEXEC, 0, 0, 0, 0)
	if errno == 0 {
		l.spare = int32(fd)
	}
}

// pause stops accepting until a time: what waits in the kernel's queue would
// wake the lane again and again.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) pause(until int64) {
	l.awake = until
	l.queue = 0
	if !l.resting {
		l.resting = true
		l.watch(syscall.EPOLL_CTL_MOD, l.listener, 0, ofListener, 0)
	}
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) resume() {
	if l.resting {
		l.resting = false
		l.left += l.left & 1
		l.reserve()
		l.watch(syscall.EPOLL_CTL_MOD, l.listener, syscall.EPOLLIN, ofListener, 0)
	}
}

// What is to become of a connection.
const (
	fateWait = iota
	fatePass
	fateEnd
)

// look deals with the connection at l.at, which is new or has something to
// read.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) look() {
	fate := fatePass
	switch errno := l.peek(); {
	case errno == syscall.EAGAIN && !l.slot(l.at).watched:
		fate = fateWait
	case errno == syscall.EAGAIN:
		// An event without a byte, such as one out of band on a unix socket,
		// would come again and again.
	case errno == 0 && l.got > 0 && l.parse():
		fate = l.answer()
	case l.slot(l.at).list == slotKept && l.got == 0:
		fate = fateEnd // the client has left, as net/http would see it
	}
	if fate == fateWait && !l.slot(l.at).watched && !l.watchSlot() {
		fate = fatePass // without memory for the watch, what it will say is Go's to read
	}
	switch fate {
	case fatePass:
		l.pass()
	case fateEnd:
		l.end()
	}
}

// peek reads what a connection has sent without taking it.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) peek() syscall.Errno {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(l.slot(l.at).fd), uintptr(unsafe.Pointer(&l.request[0])),
			requestMax, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		if errno != syscall.EINTR {
			l.got = int32(n)
			return errno
		}
	}
}

// answer answers the probe that parse has found, and takes it from the
// connection. It does that first: once the client has its answer, it may send
// what the lane has not seen.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) answer() int {
	l.late = l.age > l.limit || l.since > l.outdated
	l.compose()
	l.of = l.slot(l.at).fd
	if !l.consume() || !l.send() {
		return fateEnd // a client that has long stopped to read its answers
	}
	l.counts.answered++
	if l.late {
		l.counts.stale++
	}
	if l.ask.close {
		return fateEnd
	}
	l.slot(l.at).until = l.now + l.idle
	l.move(l.at, slotKept)
	return fateWait
}

// pass hands the connection at l.at over to Accept.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) pass() {
	if s := l.slot(l.at); s.watched {
		s.watched = false
		l.watch(syscall.EPOLL_CTL_DEL, s.fd, 0, 0, 0)
	}
	l.move(l.at, slotLeaving)
}

// handOverAll hands over what leaves, as far as the pipe has room.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) handOverAll() {
	for l.first[slotLeaving] >= 0 {
		if l.write() {
			continue
		}
		if !l.clogged {
			l.resume() // lest a queue that was left to Accept wait for it
			l.clogged = true
			l.watch(syscall.EPOLL_CTL_ADD, l.handOver, syscall.EPOLLOUT, ofHandOver, 0)
		}
		return
	}
	if l.clogged {
		l.clogged = false
		l.watch(syscall.EPOLL_CTL_DEL, l.handOver, 0, 0, 0)
		l.resume()
	}
}

// write puts connections that leave into the pipe, in one piece: as many as go
// into its last page. What does not go there begins another, and the pipe would
// hold fewer.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) write() bool {
	if uint32(l.counts.passed) == l.received {
		l.page = 0 // the pipe is empty
	}
	n := int32(0)
	for i := l.first[slotLeaving]; i >= 0 && n < parcelMax-l.page; i = l.slot(i).next {
		l.parcel[n&(parcelMax-1)] = l.slot(i).guest
		n++
	}
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_WRITE, uintptr(l.handOver),
			uintptr(unsafe.Pointer(&l.parcel[0])), uintptr(n)*unsafe.Sizeof(guest{}), 0, 0, 0)
		switch errno {
		case 0:
			l.counts.passed += uint64(n)
			l.page = (l.page + n) & (parcelMax - 1)
			for ; n > 0; n-- {
				l.move(l.first[slotLeaving], slotFree)
			}
			return true
		case syscall.EINTR:
		default:
			return false
		}
	}
}

// end closes the connection at l.at, and with it the watch.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) end() {
	s := l.slot(l.at)
	s.watched = false
	l.close(s.fd)
	l.move(l.at, slotFree)
	l.reserve()
}

// makeRoom frees a slot by handing over the connection that has waited
// longest. It reports false if there is no room for that either.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) makeRoom() bool {
	l.at = l.first[slotSilent]
	if l.at < 0 {
		l.at = l.first[slotKept]
	}
	if l.clogged || l.at < 0 {
		return false
	}
	l.pass()
	l.handOverAll()
	return l.first[slotFree] >= 0
}

// expire ends what is due.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) expire() {
	for l.first[slotSilent] >= 0 && l.slot(l.first[slotSilent]).until <= l.now {
		l.at = l.first[slotSilent]
		l.pass()
	}
	for l.idle > 0 && l.first[slotKept] >= 0 && l.slot(l.first[slotKept]).until <= l.now {
		l.at = l.first[slotKept]
		l.end()
	}
	if l.resting && !l.clogged && l.awake <= l.now {
		if l.left&1 != 0 && l.looks != l.seen {
			l.seen = l.looks
			l.awake = l.now + l.leaveFor
			return
		}
		if l.left&1 != 0 {
			l.overdue = true
			l.missed++
		}
		l.resume()
	}
}

// watchSlot watches the connection at l.at.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) watchSlot() bool {
	s := l.slot(l.at)
	s.watched = l.watch(syscall.EPOLL_CTL_ADD, s.fd, syscall.EPOLLIN|syscall.EPOLLRDHUP, l.at, s.generation)
	return s.watched
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) watch(op uintptr, fd int32, events uint32, of, generation int32) bool {
	l.change.Events, l.change.Fd, l.change.Pad = events, of, generation
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(l.epoll), op, uintptr(fd), uintptr(unsafe.Pointer(&l.change)), 0, 0)
	return errno == 0
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) close(fd int32) {
	syscall.RawSyscall6(syscall.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) slot(i int32) *slot { return &l.slots[i&(waitingMax-1)] }

// take puts the connection just accepted into a free slot, of which there is
// one, and l.at there.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) take() {
	l.at = l.first[slotFree]
	s := l.slot(l.at)
	s.guest, s.until = l.accepted.guest, l.now+silence
	if l.accepted.list == slotKept {
		s.until = l.now + l.idle
	}
	l.move(l.at, l.accepted.list)
}

// move puts a slot at the end of another list, or of its own.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) move(i, list int32) {
	s := l.slot(i)
	if s.list == slotFree {
		l.counts.waiting++
	}
	if s.prev >= 0 {
		l.slot(s.prev).next = s.next
	} else {
		l.first[s.list&(slotLists-1)] = s.next
	}
	if s.next >= 0 {
		l.slot(s.next).prev = s.prev
	} else {
		l.last[s.list&(slotLists-1)] = s.prev
	}
	s.list, s.prev, s.next = list, l.last[list&(slotLists-1)], -1
	if s.prev >= 0 {
		l.slot(s.prev).next = i
	} else {
		l.first[list&(slotLists-1)] = i
	}
	l.last[list&(slotLists-1)] = i
	if list == slotFree {
		s.generation++
		l.counts.waiting--
	}
}
