//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"syscall"
	"unsafe"
)

// What the lane answers by itself: a GET or HEAD of a served path, spelled out
// as it was given, HTTP/1.1 or 1.0, whole, with nothing behind it, and with no
// header that could make net/http or the handler answer differently. All else
// is left to them, however right it may be. So the lane needs to know what is
// harmless, and not what HTTP is.

// desk is where a request is read and answered. Nothing in it points anywhere, and
// what is done there needs no P.
type desk struct {
	of       int32 // the connection's descriptor, for consume and send
	got      int32 // bytes in request
	size     int32 // of response
	ask      parsed
	late     bool  // for any other answer than 503
	current  int32 // the table in force
	request  [requestMax]byte
	response [responseMax]byte
	tables   [2]table
}

// parsed is what a request asks for.
type parsed struct {
	head  bool // HEAD
	old   bool // HTTP/1.0
	close bool // the connection ends with the answer
	route int32
}

// parse tells whether the lane may answer what is in d.request, and what in
// d.ask.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) parse() bool {
	if d.got >= requestMax {
		return false // there may be more
	}
	i := d.parseLine()
	return i > 0 && d.parseHeaders(i)
}

// parseLine returns where the headers begin, or zero.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) parseLine() int32 {
	d.ask = parsed{}
	var i int32
	switch {
	case d.has(0, "GET "):
		i = 4
	case d.has(0, "HEAD "):
		i = 5
		d.ask.head = true
	default:
		return 0
	}
	start := i
	for i < d.got && d.request[i&(requestMax-1)] != ' ' {
		i++
	}
	d.ask.route = d.find(start, i)
	if d.ask.route < 0 {
		return 0
	}
	switch {
	case d.has(i, " HTTP/1.1\r\n"):
	case d.has(i, " HTTP/1.0\r\n"):
		d.ask.old = true
		d.ask.close = true
	default:
		return 0
	}
	return i + int32(len(" HTTP/1.1\r\n"))
}

//go:nosplit
//go:noinline
//go:norace
func (d *desk) parseHeaders(i int32) bool {
	n := d.got
	var hosts, accepts, connections int32
	for !d.has(i, "\r\n") {
		name := i
		for i < n && nameByte(d.request[i&(requestMax-1)]) {
			i++
		}
		nameEnd := i
		if i == name || i >= n || d.request[i&(requestMax-1)] != ':' {
			return false
		}
		i++
		for i < n && d.request[i&(requestMax-1)] == ' ' {
			i++
		}
		value := i
		for i < n && valueByte(d.request[i&(requestMax-1)]) {
			i++
		}
		valueEnd := i
		if !d.has(i, "\r\n") {
			return false
		}
		i += 2
		for valueEnd > value && d.request[(valueEnd-1)&(requestMax-1)] == ' ' {
			valueEnd--
		}
		switch {
		case d.is(name, nameEnd, "host"):
			hosts++
			for j := value; j < valueEnd; j++ {
				if !hostByte(d.request[j&(requestMax-1)]) {
					return false
				}
			}
		case d.is(name, nameEnd, "connection"):
			connections++
			switch {
			case d.is(value, valueEnd, "close"):
				d.ask.close = true
			case d.is(value, valueEnd, "keep-alive") && !d.ask.old:
			default:
				return false
			}
		case d.is(name, nameEnd, "accept"):
			accepts++
			if !d.is(value, valueEnd, "*/*") && !d.is(value, valueEnd, "text/plain") {
				return false
			}
		case d.is(name, nameEnd, "content-length"), d.is(name, nameEnd, "transfer-encoding"),
			d.is(name, nameEnd, "expect"), d.is(name, nameEnd, "upgrade"), d.is(name, nameEnd, "trailer"),
			d.is(name, nameEnd, "te"), d.is(name, nameEnd, "http2-settings"):
			return false
		}
	}
	return i+2 == n && hosts <= 1 && (hosts == 1 || d.ask.old) && accepts <= 1 && connections <= 1
}

// consume takes the request from a connection on which it has been peeked at.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) consume() bool {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(d.of), uintptr(unsafe.Pointer(&d.request[0])),
		uintptr(d.got), syscall.MSG_DONTWAIT, 0, 0)
	return errno == 0 && int32(n) == d.got
}

//go:nosplit
//go:noinline
//go:norace
func (d *desk) send() bool {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(d.of), uintptr(unsafe.Pointer(&d.response[0])),
		uintptr(d.size), syscall.MSG_DONTWAIT|msgNoSignal, 0, 0)
	return errno == 0 && int32(n) == d.size
}

// has tells whether s stands at i.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) has(i int32, s string) bool {
	if d.got-i < int32(len(s)) {
		return false
	}
	for j := range len(s) {
		if d.request[(int(i)+j)&(requestMax-1)] != s[j] {
			return false
		}
	}
	return true
}

// is tells whether s, in lower case, is what stands between two places, in any
// case.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) is(i, end int32, s string) bool {
	if end-i != int32(len(s)) {
		return false
	}
	for j := range len(s) {
		c := d.request[(int(i)+j)&(requestMax-1)]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[j] {
			return false
		}
	}
	return true
}

//go:nosplit
//go:noinline
//go:norace
func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

//go:nosplit
//go:noinline
//go:norace
func valueByte(c byte) bool { return ' ' <= c && c <= '~' }

//go:nosplit
//go:noinline
//go:norace
func hostByte(c byte) bool { return nameByte(c) || c == '.' || c == ':' || c == '[' || c == ']' }

//go:nosplit
//go:noinline
//go:norace
func pathByte(c byte) bool { return nameByte(c) || c == '.' || c == '/' || c == '~' }
