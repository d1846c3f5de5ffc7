package server

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Body is the body of a request that is still arriving. A Read that gets
// nothing for the stall time fails with os.ErrDeadlineExceeded, and so do those
// after it. The handler can still answer.
//
// On HTTP/1 the connection's read deadline does this (upload.go), on HTTP/2,
// where a connection carries other requests too, a timer for each body: one
// stream fails and the others go on.
type Body struct {
	io.ReadCloser // net/http's
	received      atomic.Int64
	watch         watch
	observed      atomic.Bool

	conn *Conn // on HTTP/1

	mu      sync.Mutex // guards all below
	expire  func()     // fails the Read that waits; nil once the handler has returned
	stall   time.Duration
	stalled *time.Timer // on HTTP/2; kept from Read to Read
	since   time.Time   // on HTTP/2, when the Read that goes on began; zero without one
}

// newBody returns the body of a request for its handler.
func newBody(w http.ResponseWriter, r *http.Request, stall time.Duration) *Body {
	b := &Body{ReadCloser: r.Body}
	if r.ProtoMajor == 1 {
		if conn := FromContext(r.Context()); conn != nil {
			if srv, _ := r.Context().Value(http.ServerContextKey).(*http.Server); srv != nil && srv.ReadTimeout > 0 {
				stall = 0 // net/http has set a deadline for all of the body
			}
			b.conn, b.expire = conn, conn.endUpload
			conn.beginUpload(stall)
		}
		return b
	}
	if d, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok {
		b.expire = func() { d.SetReadDeadline(time.Unix(1, 0)) }
		b.stall = stall
	}
	return b
}

// uploadHandler gives a handler the body of its request as a Body.
type uploadHandler struct {
	next  http.Handler
	stall time.Duration
}

// ServeHTTP hands on a copy of the request: net/http looks at the type of the
// body in its own.
func (h *uploadHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ProtoMajor > 1 && isConversation(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	b := newBody(w, r, h.stall)
	defer b.leave()
	own := *r
	own.Body = b
	defer func() { r.MultipartForm = own.MultipartForm }() // whose files net/http removes
	h.next.ServeHTTP(w, &own)
}

// isConversation reports whether a request's body is not an upload but one half
// of a conversation, in which either side may be silent for long. Over HTTP/1
// these hijack their connection.
func isConversation(r *http.Request) bool {
	return r.Method == http.MethodConnect || strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// Read reads from the body, for as long as the client goes on sending.
func (b *Body) Read(p []byte) (int, error) {
	if b.observed.Load() {
		b.watch.begin(len(p))
		defer b.watch.end()
	}
	if b.conn != nil {
		b.conn.handlerReads(true)
		defer b.conn.handlerReads(false)
	} else if b.stall > 0 {
		b.begin()
		defer b.end()
	}
	n, err := b.ReadCloser.Read(p)
	b.received.Add(int64(n))
	return n, err
}

// Received is how many bytes have been read.
func (b *Body) Received() int64 { return b.received.Load() }

// SetObserver has o observe the Reads, nil none. Call it from the handler's
// goroutine and call it with nil before the handler returns.
func (b *Body) SetObserver(o WaitObserver) {
	b.watch.set(o)
	b.observed.Store(o != nil)
}

// Cut fails the Read that o observes, if there is one, and all later ones. It
// reports whether there was.
func (b *Body) Cut(o WaitObserver) bool {
	return b.watch.during(o, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.expire != nil {
			b.expire()
		}
	})
}

func (b *Body) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Now()
	if b.stalled == nil {
		b.stalled = time.AfterFunc(b.stall, b.look)
	} else {
		b.stalled.Reset(b.stall)
	}
}

func (b *Body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
	b.stalled.Stop()
}

// look may come late, during the next Read, which has its own time.
func (b *Body) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expire != nil && !b.since.IsZero() && time.Since(b.since) >= b.stall {
		b.expire()
	}
}

// leave ends what needs the handler: net/http's writer for HTTP/2 must not be
// used any more. A Read that another goroutine is still in, net/http ends.
func (b *Body) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire = nil
	if b.stalled != nil {
		b.stalled.Stop()
	}
}
