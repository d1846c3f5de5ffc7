package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// waits counts an observer's calls and checks that they come in pairs.
type waits struct {
	t      *testing.T
	inside atomic.Bool
	begun  atomic.Int64
	bytes  atomic.Int64
}

func (w *waits) WaitBegin(n int) {
	if w.inside.Swap(true) {
		w.t.Error("WaitBegin twice")
	}
	w.begun.Add(1)
	w.bytes.Store(int64(n))
}

func (w *waits) WaitEnd(n int) {
	if !w.inside.Swap(false) {
		w.t.Error("WaitEnd without WaitBegin")
	}
	if int64(n) != w.bytes.Load() {
		w.t.Errorf("WaitEnd(%d) after WaitBegin(%d)", n, w.bytes.Load())
	}
}

func TestConn_Observer(t *testing.T) {
	file := tempFile(t)
	tests := []struct {
		name  string
		write func(http.ResponseWriter, *http.Request)
	}{
		{"hears of a large write that waits", func(w http.ResponseWriter, r *http.Request) { w.Write(large) }},
		{"hears of small writes that wait", func(w http.ResponseWriter, r *http.Request) {
			for rest := large; len(rest) > 0; rest = rest[4<<10:] {
				w.Write(rest[:4<<10])
			}
		}},
		{"hears of a file that waits", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := &waits{t: t}
			done := make(chan struct{})
			cfg := quick()
			cfg.WriteStall = Defaults().WriteStall
			r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				c := FromContext(r.Context())
				c.SetObserver(o)
				defer c.SetObserver(nil)
				tt.write(w, r)
			})
			body := send(t, r.dial(t), "GET / HTTP/1.0").Body
			until(t, "the write is seen to wait", o.inside.Load)
			io.Copy(io.Discard, body)
			await(t, done, "the handler")
			if o.inside.Load() {
				t.Error("the write is over and still waits")
			}
		})
	}

	t.Run("hears nothing when unset or when writes are small", func(t *testing.T) {
		o := &waits{t: t}
		cfg := quick()
		r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			c := FromContext(r.Context())
			c.SetObserver(o)
			io.WriteString(w, "small")
			http.NewResponseController(w).Flush()
			c.SetObserver(nil)
			w.Write(large)
		})
		io.Copy(io.Discard, send(t, r.dial(t), "GET / HTTP/1.0").Body)
		if n := o.begun.Load(); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// pausing is a client's connection that reads so many bytes, and then no more
// until it may go on.
type pausing struct {
	net.Conn
	left int
	goOn <-chan struct{}
}

func (c *pausing) Read(p []byte) (int, error) {
	if c.left <= 0 {
		<-c.goOn
		return c.Conn.Read(p)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// On HTTP/2 a request's end does not end the writes of its connection. One that
// has observed them, against SetObserver's advice, is told of the end of a
// write that it knows of, and nobody is told of those that follow.
func TestConn_ObserverThatHasGoneBeforeItsWaitEnds(t *testing.T) {
	const streams = 4 // more than the kernel holds of what HTTP/2 lets come unread
	o := &waits{t: t}
	observing, gone, goOn := make(chan struct{}, 1), make(chan int64, 1), make(chan struct{})
	adjust, trust := withTLS(t)
	cfg := quick()
	cfg.WriteStall = Defaults().WriteStall
	r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/observer" {
			w.Write(large)
			return
		}
		c := FromContext(r.Context())
		c.SetObserver(o)
		observing <- struct{}{}
		until(t, "a write is seen to wait", o.inside.Load)
		c.SetObserver(nil)
		gone <- o.begun.Load()
	}, adjust)
	client := newClient(t, trust, true)
	client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return &pausing{Conn: r.dial(t), left: 64 << 10, goOn: goOn}, nil
	}
	client.Transport.(*http.Transport).MaxConnsPerHost = 1
	get := func(path string, want int) {
		resp, err := client.Get("https://" + r.addr + path)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || int(n) != want || resp.ProtoMajor != 2 {
			t.Errorf("%s over %s: %d bytes of %d, %v", path, resp.Proto, n, want, err)
		}
	}
	var group sync.WaitGroup
	group.Go(func() { get("/observer", 0) })
	await(t, observing, "the observer") // a write that had begun before would not be seen
	for range streams {
		group.Go(func() { get("/", len(large)) })
	}
	told := await(t, gone, "the observer to go")
	close(goOn)
	group.Wait()
	if o.inside.Load() {
		t.Error("the write is over and still waits")
	}
	if n := o.begun.Load(); n != told {
		t.Errorf("told of %d writes after it had gone", n-told)
	}
}
