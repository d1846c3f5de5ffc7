package server

import (
	"io"
	"net/http"
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

func (w *waits) WriteBegin(n int) {
	if w.inside.Swap(true) {
		w.t.Error("WriteBegin twice")
	}
	w.begun.Add(1)
	w.bytes.Store(int64(n))
}

func (w *waits) WriteEnd(n int) {
	if !w.inside.Swap(false) {
		w.t.Error("WriteEnd without WriteBegin")
	}
	if int64(n) != w.bytes.Load() {
		w.t.Errorf("WriteEnd(%d) after WriteBegin(%d)", n, w.bytes.Load())
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
