//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unsafe"
)

const (
	routesMax = 16
	textMax   = 32 << 10
	// A longer answer is left to net/http: it is that of a service with more
	// than a hundred failing checks.
	responseMax = 8 << 10
	answerMax   = responseMax - len("HTTP/1.1 Connection: close\r\n\r\n")
)

// table is all that the lane knows, as one message without pointers. Its
// sender is a goroutine of this process, so it is not checked again.
type table struct {
	made    int64 // when, in nanoseconds from the lane's beginning
	count   int32
	closing int32 // not zero: end every connection that is answered
	routes  [routesMax]tableRoute
	late    tableAnswer // in place of every other, once the heartbeat is late
	text    [textMax]byte
}

// tableRoute is a path and its answer.
type tableRoute struct {
	path, pathEnd int32
	tableAnswer
}

// tableAnswer is an answer without its protocol version and Connection header.
type tableAnswer struct {
	head, headEnd int32 // from the status on, to the last header's end
	body, bodyEnd int32
}

// find returns the route whose path stands between two places of the request,
// or -1.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) find(start, end int32) int32 {
	t := &d.tables[d.current&1]
	for k := range min(t.count, routesMax) {
		r := &t.routes[k&(routesMax-1)]
		if r.pathEnd-r.path == end-start && d.same(t, r.path, start, end) {
			return k
		}
	}
	return -1
}

//go:nosplit
//go:noinline
//go:norace
func (d *desk) same(t *table, path, start, end int32) bool {
	for i := start; i < end; i++ {
		if d.request[i&(requestMax-1)] != t.text[(path+i-start)&(textMax-1)] {
			return false
		}
	}
	return true
}

// compose writes the answer to what is asked into response.
//
//go:nosplit
//go:noinline
//go:norace
func (d *desk) compose() {
	t := &d.tables[d.current&1]
	a := &t.routes[d.ask.route&(routesMax-1)].tableAnswer
	if d.late {
		a = &t.late
	}
	if d.late || t.closing != 0 {
		d.ask.close = true
	}
	d.size = 0
	if d.ask.old {
		d.addString("HTTP/1.0 ")
	} else {
		d.addString("HTTP/1.1 ")
	}
	d.addText(t, a.head, a.headEnd)
	if d.ask.close && !d.ask.old {
		d.addString("Connection: close\r\n")
	}
	d.addString("\r\n")
	if !d.ask.head {
		d.addText(t, a.body, a.bodyEnd)
	}
}

//go:nosplit
//go:noinline
//go:norace
func (d *desk) addString(s string) {
	for i := range len(s) {
		d.response[d.size&(responseMax-1)] = s[i]
		d.size++
	}
}

//go:nosplit
//go:noinline
//go:norace
func (d *desk) addText(t *table, i, end int32) {
	for ; i < end; i++ {
		d.response[d.size&(responseMax-1)] = t.text[i&(textMax-1)]
		d.size++
	}
}

// bytes is the table as it is sent, without what is unused of its text.
func (t *table) bytes(used int32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(t)), unsafe.Offsetof(t.text)+uintptr(used))
}

// draft fills a table.
type draft struct {
	*table
	used int32
}

func (d *draft) add(text []byte) (start, end int32) {
	start = d.used
	d.used += int32(copy(d.text[d.used:], text))
	return start, d.used
}

// route adds a path with its answer. One that has no place is left to
// net/http, and so is a path that can be spelled in more ways than one.
func (d *draft) route(path string, a recorded, now time.Time) {
	head := a.head(now)
	switch {
	case d.count == routesMax, len(head)+len(a.body) > answerMax,
		len(path)+len(head)+len(a.body) > textMax-int(d.used), !plainPath(path):
		return
	}
	r := &d.routes[d.count]
	d.count++
	r.path, r.pathEnd = d.add([]byte(path))
	r.head, r.headEnd = d.add(head)
	r.body, r.bodyEnd = d.add(a.body)
}

func plainPath(path string) bool {
	for i := range len(path) {
		if !pathByte(path[i]) {
			return false
		}
	}
	return true
}

// lateAnswer is every endpoint's once the heartbeat is late, with the status of a
// failure. It has no Date, as there is nobody who knows it.
var lateAnswer = recorded{
	header: http.Header{"Content-Type": textPlain, "Cache-Control": noStore, "X-Content-Type-Options": noSniff},
	body:   []byte("[-]heartbeat failed: reason withheld\ncheck failed\n"),
}

// drafted makes the table for a moment. What it has for a path is what the
// handler answers there, because the handler is asked.
func (r *Registry) drafted(now time.Time) *draft {
	d := &draft{table: new(table)}
	late := lateAnswer
	late.status = r.style.fail
	d.late.head, d.late.headEnd = d.add(late.head(time.Time{}))
	d.late.body, d.late.bodyEnd = d.add(late.body)
	r.current() // a result may have turned stale without anybody asking
	if r.drains() {
		d.closing = 1
	}
	for _, path := range r.Paths() {
		var a recorded
		r.ServeHTTP(&a, &http.Request{
			Method: http.MethodGet, URL: &url.URL{Path: path}, RequestURI: path, Host: "localhost",
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
		})
		d.route(path, a, now)
	}
	return d
}

// recorded is a ResponseWriter that keeps the response.
type recorded struct {
	status int
	header http.Header
	body   []byte
}

var _ http.ResponseWriter = (*recorded)(nil)

func (a *recorded) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *recorded) WriteHeader(status int) { a.status = status }

func (a *recorded) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

// head is what net/http makes of a response to HTTP/1: its status, its headers
// in order, and the date.
func (a *recorded) head(now time.Time) []byte {
	var b bytes.Buffer
	b.WriteString(strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\n")
	h := a.Header().Clone()
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	if !now.IsZero() {
		b.WriteString("Date: " + now.UTC().Format(http.TimeFormat) + "\r\n")
	}
	return b.Bytes()
}
