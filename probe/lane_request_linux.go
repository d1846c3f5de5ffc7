//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

// What the lane answers by itself: a GET or HEAD of a served path, spelled out
// as it was given, HTTP/1.1 or 1.0, whole, with nothing behind it, and with no
// header that could make net/http or the handler answer differently. All else
// is left to them, however right it may be. So the lane needs to know what is
// harmless, and not what HTTP is.

// parsed is what a request asks for.
type parsed struct {
	head  bool // HEAD
	old   bool // HTTP/1.0
	close bool // the connection ends with the answer
	route int32
}

// parse tells whether the lane may answer what is in l.request, and what in
// l.ask.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) parse() bool {
	if l.got >= requestMax {
		return false // there may be more
	}
	i := l.parseLine()
	return i > 0 && l.parseHeaders(i)
}

// parseLine returns where the headers begin, or zero.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) parseLine() int32 {
	l.ask = parsed{}
	var i int32
	switch {
	case l.has(0, "GET "):
		i = 4
	case l.has(0, "HEAD "):
		i = 5
		l.ask.head = true
	default:
		return 0
	}
	start := i
	for i < l.got && l.request[i&(requestMax-1)] != ' ' {
		i++
	}
	l.ask.route = l.find(start, i)
	if l.ask.route < 0 {
		return 0
	}
	switch {
	case l.has(i, " HTTP/1.1\r\n"):
	case l.has(i, " HTTP/1.0\r\n"):
		l.ask.old = true
		l.ask.close = true
	default:
		return 0
	}
	return i + int32(len(" HTTP/1.1\r\n"))
}

//go:nosplit
//go:noinline
//go:norace
func (l *loop) parseHeaders(i int32) bool {
	n := l.got
	var hosts, accepts, connections int32
	for !l.has(i, "\r\n") {
		name := i
		for i < n && nameByte(l.request[i&(requestMax-1)]) {
			i++
		}
		nameEnd := i
		if i == name || i >= n || l.request[i&(requestMax-1)] != ':' {
			return false
		}
		i++
		for i < n && l.request[i&(requestMax-1)] == ' ' {
			i++
		}
		value := i
		for i < n && valueByte(l.request[i&(requestMax-1)]) {
			i++
		}
		valueEnd := i
		if !l.has(i, "\r\n") {
			return false
		}
		i += 2
		for valueEnd > value && l.request[(valueEnd-1)&(requestMax-1)] == ' ' {
			valueEnd--
		}
		switch {
		case l.is(name, nameEnd, "host"):
			hosts++
			for j := value; j < valueEnd; j++ {
				if !hostByte(l.request[j&(requestMax-1)]) {
					return false
				}
			}
		case l.is(name, nameEnd, "connection"):
			connections++
			switch {
			case l.is(value, valueEnd, "close"):
				l.ask.close = true
			case l.is(value, valueEnd, "keep-alive") && !l.ask.old:
			default:
				return false
			}
		case l.is(name, nameEnd, "accept"):
			accepts++
			if !l.is(value, valueEnd, "*/*") && !l.is(value, valueEnd, "text/plain") {
				return false
			}
		case l.is(name, nameEnd, "content-length"), l.is(name, nameEnd, "transfer-encoding"),
			l.is(name, nameEnd, "expect"), l.is(name, nameEnd, "upgrade"), l.is(name, nameEnd, "trailer"),
			l.is(name, nameEnd, "te"), l.is(name, nameEnd, "http2-settings"):
			return false
		}
	}
	return i+2 == n && hosts <= 1 && (hosts == 1 || l.ask.old) && accepts <= 1 && connections <= 1
}

// has tells whether s stands at i.
//
//go:nosplit
//go:noinline
//go:norace
func (l *loop) has(i int32, s string) bool {
	if l.got-i < int32(len(s)) {
		return false
	}
	for j := range len(s) {
		if l.request[(int(i)+j)&(requestMax-1)] != s[j] {
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
func (l *loop) is(i, end int32, s string) bool {
	if end-i != int32(len(s)) {
		return false
	}
	for j := range len(s) {
		c := l.request[(int(i)+j)&(requestMax-1)]
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
