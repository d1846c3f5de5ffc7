//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Where new connections keep Go busy, the lane is a detour: it costs two changes
// of threads, and a connection that is made from a descriptor a dozen system calls
// more than one that the listener has accepted. So once Accept is behind, the lane
// leaves the kernel's queue to it. Accept takes what is there, and sees of most
// that they are for the server. What may be a probe it gives to the lane, whose
// thread needs no turn of the scheduler to answer, and who still says nothing
// after a moment.
//
// The lane takes the queue back when Accept gives it, which is with every such
// connection and when nothing comes any more, or has not looked at it for a while.

const (
	// lookFor is how long Accept waits for a connection before it looks again,
	// how long it believes what it has seen, and how long it waits for the first
	// word of a connection: most have it under way, and one that the lane gets for
	// nothing costs as much as ten that it does not. The runtime puts in front of all
	// others whose time is over, so it looks as often however many handlers there
	// are, as long as none of them runs long. It is half of leaveFor.
	lookFor = time.Millisecond
	// looksMax is how many looks at an empty queue are enough. After the first a
	// server that answers 14,000 connections a second would have the lane take
	// 5 % of them, after the fourth 2 %.
	looksMax = 4
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
	lookFor  time.Duration         // see the constant
	turn     uint32                // the loop's left, when the queue was given back
	gave     uint32                // connections given to the lane, modulo 1<<32
	length   int                   // connections that are in the queue
	count    atomic.Uint64         // taken; for anyone to read
	paths    atomic.Pointer[table] // the latest; written by who draws it

	look    func(fd uintptr) bool // asks for the length
	info    listenInfo
	peek    func(fd uintptr)      // reads into request
	hear    func(fd uintptr) bool // the same, and reports whether there is something
	request [requestMax]byte
	got     int // bytes in request; -1 for none yet
	vain    int // silent connections that are not waited for
}

// open makes the listener's descriptor one that goroutines can wait for.
func (t *taking) open(fd int32) (err error) {
	t.lookFor = lookFor
	setNonblock(uintptr(fd)) // or it would not be one
	t.listener = os.NewFile(uintptr(fd), "listener")
	t.queue, err = t.listener.SyscallConn()
	t.look = func(fd uintptr) bool {
		length := uint32(unsafe.Sizeof(t.info))
		_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&t.info)), uintptr(unsafe.Pointer(&length)), 0)
		t.length = int(t.info.unacked)
		return errno != 0 || t.length > 0
	}
	t.peek = func(fd uintptr) {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&t.request)), requestMax,
			syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		t.got = int(n)
		if errno == syscall.EAGAIN {
			t.got = -1
		} else if errno != 0 {
			t.got = 0
		}
	}
	t.hear = func(fd uintptr) bool {
		t.peek(fd)
		return t.got >= 0
	}
	return err
}

func setNonblock(listener uintptr) {
	syscall.RawSyscall(syscall.SYS_FCNTL, listener, syscall.F_SETFL, syscall.O_RDWR|syscall.O_NONBLOCK)
}

// take takes a connection from the kernel's queue that is the server's, as long
// as the lane leaves the queue to Accept. mu is held.
func (l *lane) take() net.Conn {
	t, lp := &l.taking, l.loop
	for empty := 0; ; {
		turn := atomic.LoadUint32(&lp.left)
		if turn&1 == 0 || turn == t.turn {
			return nil
		}
		atomic.AddUint32(&lp.looks, 1)
		// The lane counts what it has written a moment later.
		piped := int32(uint32(atomic.LoadUint64(&lp.counts.passed))-lp.received) > 0
		if piped || len(l.ready) > 0 || l.retry != nil || l.over != nil {
			return nil // these first
		}
		if t.length == 0 && !l.await() {
			if empty++; empty < looksMax {
				continue
			}
			l.give(turn, guest{fd: -1})
			return nil
		}
		t.length--
		c, err := l.inner.Accept()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.length = 0
		case err != nil: // the lane knows what to do
			t.length = 0
			l.give(turn, guest{fd: -1})
			return nil
		case !l.mayBeProbe(c) || !l.giveAway(turn, c):
			t.count.Add(1)
			return c
		}
	}
}

// await waits until there is something in the queue. The length is believed for a
// while only: others may take from it as well, and Accept is not to wait for the
// next then. Nor is it to block: others may have had the listener do so.
func (l *lane) await() bool {
	t := &l.taking
	t.listener.SetReadDeadline(time.Now().Add(t.lookFor))
	if t.queue.Read(t.look) != nil {
		// Where there is always somebody who runs, nobody has told it.
		t.length = 0
		t.queue.Control(func(fd uintptr) { t.look(fd) })
	}
	if t.length == 0 {
		return false
	}
	l.raw.Control(setNonblock) // see the loop, on descriptors
	return l.inner.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(t.lookFor)) == nil
}

// mayBeProbe reports whether the lane has to see a connection: it asks for a path
// that the lane knows, or for nothing yet.
func (l *lane) mayBeProbe(c net.Conn) bool {
	t := &l.taking
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil || raw.Control(t.peek) != nil {
		return false
	}
	if t.got < 0 {
		if t.vain > 0 {
			t.vain--
			return true
		}
		c.SetReadDeadline(time.Now().Add(t.lookFor))
		if raw.Read(t.hear) != nil {
			raw.Control(t.peek) // see await
		}
		c.SetReadDeadline(time.Time{})
		if t.got < 0 {
			t.vain = vainFor
			return true
		}
	}
	request := t.request[:t.got]
	path, ok := bytes.CutPrefix(request, []byte("GET "))
	if !ok {
		if path, ok = bytes.CutPrefix(request, []byte("HEAD ")); !ok {
			return false
		}
	}
	path, _, ok = bytes.Cut(path, []byte(" "))
	return ok && t.paths.Load().has(path)
}

// has reports whether the table has an answer for a path.
func (t *table) has(path []byte) bool {
	for _, r := range t.routes[:t.count] {
		if bytes.Equal(t.text[r.path:r.pathEnd], path) {
			return true
		}
	}
	return false
}

// giveAway gives a connection to the lane, if that has taken the one before.
func (l *lane) giveAway(turn uint32, c net.Conn) bool {
	t := &l.taking
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil || t.gave != atomic.LoadUint32(&l.loop.took) {
		return false
	}
	g := guest{fd: -1}
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
func (l *lane) give(turn uint32, g guest) bool {
	l.taking.turn, l.taking.length = turn, 0
	l.stopping.Lock()
	defer l.stopping.Unlock()
	return l.orders >= 0 && l.send(unsafe.Slice((*byte)(unsafe.Pointer(&g)), unsafe.Sizeof(g))) == nil
}
