//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bytes"
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/probelane/probelane/internal/sched"
)

// Where new connections keep Go busy, the lane is a detour: it costs two changes
// of threads, and a connection that is made from a descriptor a dozen system calls
// more than one that the listener has accepted. So once Accept is behind, the lane
// leaves the kernel's queue to it. Accept takes what is there. What has sent a probe
// it answers, since this is its turn and the handler's may be long in coming. To the
// lane, whose thread needs no turn of the scheduler, it gives who may ask again
// after that, and who still says nothing after a moment. The rest is the server's.
//
// The lane takes the queue back when Accept gives it, which is with every connection
// that it gives to the lane and when nothing comes any more, or has not looked at it
// for a while.

const (
	// lookFor is how long Accept waits for a connection before it looks again,
	// how long it believes what it has seen, and how long it waits for the first
	// word of a connection: most have it under way, and one that the lane gets for
	// nothing costs as much as ten that it does not. It is half of leaveFor.
	lookFor = time.Millisecond
	// looksMax is how many looks at an empty queue are enough. After the first a
	// server that answers 14,000 connections a second would have the lane take
	// 5 % of them, after the fourth 2 %.
	looksMax = 4
	// crowdMin is how many goroutines for each processor, in line for it, are a crowd:
	// those of a small response take one and a half milliseconds. Whom the netpoller
	// wakes, the runtime puts at the end of the line; whose time is over it puts in
	// front, unless another's is over in the same moment. So in a crowd Accept sleeps
	// for lookFor where it would wait otherwise.
	crowdMin = 24
	// napsMax is how many times lookFor Accept sleeps at most where there is a crowd,
	// before it joins the line.
	napsMax = 16
	// vainFor is how many connections go to the lane at once after one that was
	// waited for in vain: those who open connections and say nothing are not to
	// keep Accept from the others.
	vainFor = 16
)

// taking is what Accept needs to take connections itself. The lane's mu guards
// it, where nothing else is said.
type taking struct {
	listener *os.File // the loop's
	queue    syscall.RawConn
	lookFor  time.Duration // see the constant
	turn     uint32        // the loop's left, when the queue was given back
	gave     uint32        // connections given to the lane, modulo 1<<32
	length   int           // connections that are in the queue
	vain     int           // silent connections that are not waited for
	crowded  func() bool   // see crowdMin; called with mu held, on which only Close waits

	queued *look // asks for length
	info   listenInfo

	desk    // for the connection just accepted; got is -1 if that is silent
	peeking bool
	heard   *look            // reads into request
	reply   func(fd uintptr) // sends response
	sent    bool             // response has been

	latest   atomic.Pointer[table] // written by who draws it
	known    *table                // what is in tables
	count    atomic.Uint64         // taken for the server; for anyone to read
	answered atomic.Uint64         // probes; for anyone to read
}

// open makes the listener's descriptor one that goroutines can wait for.
func (t *taking) open(fd int32) (err error) {
	t.lookFor = lookFor
	setNonblock(uintptr(fd)) // or it would not be one
	t.listener = os.NewFile(uintptr(fd), "listener")
	t.queue, err = t.listener.SyscallConn()
	runnable := sched.Runnable()
	t.crowded = func() bool {
		n := runnable.Read()
		return n > crowdMin && n > crowdMin*int64(runtime.GOMAXPROCS(0))
	}
	t.queued = newLook(func(fd uintptr) bool {
		length := uint32(unsafe.Sizeof(t.info))
		_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&t.info)), uintptr(unsafe.Pointer(&length)), 0)
		t.length = int(t.info.unacked)
		return errno != 0 || t.length > 0
	})
	t.heard = newLook(func(fd uintptr) bool {
		flags := uintptr(syscall.MSG_DONTWAIT)
		if t.peeking {
			flags |= syscall.MSG_PEEK
		}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&t.request)), requestMax, flags, 0, 0)
		t.got = int32(n)
		if errno == syscall.EAGAIN {
			t.got = -1
		} else if errno != 0 {
			t.got = 0
		}
		return t.got >= 0
	})
	t.reply = func(fd uintptr) {
		t.of = int32(fd)
		t.sent = (!t.peeking || t.consume()) && t.send()
	}
	return err
}

func setNonblock(listener uintptr) {
	syscall.RawSyscall(syscall.SYS_FCNTL, listener, syscall.F_SETFL, syscall.O_RDWR|syscall.O_NONBLOCK)
}

// take takes a connection from the kernel's queue that is the server's, as long
// as the lane leaves the queue to Accept, and what has been read of it, which is
// nothing if it is only to be peeked at. mu is held.
func (l *lane) take(peek bool) (c net.Conn, ahead []byte) {
	t, lp := &l.taking, l.loop
	t.peeking = peek
	for empty := 0; ; {
		turn := atomic.LoadUint32(&lp.left)
		if turn&1 == 0 || turn == t.turn {
			return nil, nil
		}
		atomic.AddUint32(&lp.looks, 1)
		if l.piped() || len(l.ready) > 0 || l.retry != nil || l.over != nil {
			return nil, nil // these first
		}
		if t.length == 0 && !l.await() {
			if empty++; empty < looksMax {
				continue
			}
			l.give(turn, gift{guest: guest{fd: -1}})
			return nil, nil
		}
		t.length--
		c, err := l.inner.Accept()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.length = 0
		case err != nil: // the lane knows what to do
			t.length = 0
			l.give(turn, gift{guest: guest{fd: -1}})
			return nil, nil
		case !l.deal(turn, c):
			t.count.Add(1)
			if !peek && t.got > 0 {
				ahead = bytes.Clone(t.request[:t.got])
			}
			return c, ahead
		}
	}
}

// nap waits for something in the pipe, in a crowd, for a while.
func (l *lane) nap() {
	for range napsMax {
		if l.piped() || !l.taking.crowded() {
			return
		}
		time.Sleep(l.taking.lookFor)
	}
}

// piped reports whether there is something in the pipe. The lane counts what it has
// written a moment later.
func (l *lane) piped() bool {
	return int32(uint32(atomic.LoadUint64(&l.loop.counts.passed))-l.loop.received) > 0
}

// await waits until there is something in the queue. The length is believed for a
// while only: others may take from it as well, and Accept is not to wait for the
// next then. Nor is it to block: others may have had the listener do so.
func (l *lane) await() bool {
	t := &l.taking
	t.length = 0
	switch {
	case !t.crowded():
		t.queued.wait(t.listener, t.queue, t.lookFor)
	case !t.queued.now(t.queue):
		time.Sleep(t.lookFor)
		t.queued.now(t.queue)
	}
	if t.length == 0 {
		return false
	}
	l.raw.Control(setNonblock) // see the loop, on descriptors
	return l.inner.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(t.lookFor)) == nil
}

// deal answers a connection that has sent a probe, or gives it to the lane if it
// has sent nothing, or may send another. It reports false for one that is the
// server's.
func (l *lane) deal(turn uint32, c net.Conn) bool {
	t := &l.taking
	t.got = 0
	if !l.mayAnswer() {
		return false
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	if !t.heard.now(raw) && t.got < 0 && !t.hears(c, raw) {
		return l.giveAway(turn, raw, c, slotSilent)
	}
	if t.got <= 0 || !t.parse() {
		return false
	}
	t.compose()
	raw.Control(t.reply)
	if t.sent {
		t.answered.Add(1)
	}
	if !t.sent || t.ask.close { // see the loop's answer
		c.Close()
		return true
	}
	if !l.giveAway(turn, raw, c, slotKept) {
		c.Close() // idle; to the server it would be new, and Shutdown wait for it
	}
	return true
}

// publish has Accept know a table, unless it knows a later one.
func (t *taking) publish(next *table) {
	for {
		last := t.latest.Load()
		if last != nil && last.made > next.made || t.latest.CompareAndSwap(last, next) {
			return
		}
	}
}

// mayAnswer brings the table up to date, and reports whether there is anything to
// answer in it: not under TLS, and not if it is so old that the lane would answer
// 503. The handlers know better. The heartbeat does not matter: that Accept runs is
// more than it could tell.
func (l *lane) mayAnswer() bool {
	t := &l.taking
	if latest := t.latest.Load(); latest != t.known {
		t.tables[0], t.known = *latest, latest
	}
	known := &t.tables[0]
	return known.count > 0 && int64(time.Since(l.begun))-known.made <= l.loop.outdated
}

// hears waits a moment for the first word of a connection. In a crowd the moment
// might become long, with a probe in it that nobody else can see.
func (t *taking) hears(c net.Conn, raw syscall.RawConn) bool {
	if t.crowded() {
		return false
	}
	if t.vain > 0 {
		t.vain--
		return false
	}
	t.heard.wait(c, raw, t.lookFor)
	c.SetReadDeadline(time.Time{})
	if t.got < 0 {
		t.vain = vainFor
	}
	return t.got >= 0
}

// giveAway gives a connection to the lane, if that has taken the one before.
func (l *lane) giveAway(turn uint32, raw syscall.RawConn, c net.Conn, list int32) bool {
	t := &l.taking
	if t.gave != atomic.LoadUint32(&l.loop.took) {
		return false
	}
	g := gift{guest{fd: -1}, list}
	raw.Control(func(fd uintptr) {
		length := uint32(unsafe.Sizeof(g.from))
		_, _, errno := syscall.RawSyscall(syscall.SYS_GETPEERNAME, fd, uintptr(unsafe.Pointer(&g.from)), uintptr(unsafe.Pointer(&length)))
		if errno == 0 {
			g.fd, _ = duplicate(int32(fd))
		}
	})
	if g.fd < 0 {
		return false
	}
	if !l.give(turn, g) {
		syscall.Close(int(g.fd))
		return false
	}
	t.gave++
	c.Close()
	return true
}

// give gives the queue back to the lane, and a connection, if it has a
// descriptor. Accept takes no more itself before the lane leaves it the queue once
// more, and looks again then.
func (l *lane) give(turn uint32, g gift) bool {
	l.taking.turn, l.taking.length = turn, 0
	l.stopping.Lock()
	defer l.stopping.Unlock()
	return l.orders >= 0 && l.send(unsafe.Slice((*byte)(unsafe.Pointer(&g)), unsafe.Sizeof(g))) == nil
}

// look is a question to the kernel about a descriptor.
type look struct {
	again func(fd uintptr) bool // asks
	once  func(fd uintptr)      // the same
	found bool                  // what once was told
}

func newLook(ask func(fd uintptr) bool) *look {
	k := &look{again: ask}
	k.once = func(fd uintptr) { k.found = ask(fd) }
	return k
}

func (k *look) now(raw syscall.RawConn) bool {
	k.found = false
	raw.Control(k.once)
	return k.found
}

// wait waits for a while, or until there is a yes.
func (k *look) wait(c interface{ SetReadDeadline(time.Time) error }, raw syscall.RawConn, d time.Duration) {
	c.SetReadDeadline(time.Now().Add(d))
	if raw.Read(k.again) != nil {
		k.now(raw) // where there is always somebody who runs, nobody has told it
	}
}
