package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// large is more than the kernel buffers for a client with a small window.
var large = bytes.Repeat(page, 128) // 8 MiB

// writes returns a handler that writes p in pieces of the given size and
// reports how it ended.
func writes(p []byte, piece int, ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var err error
		for rest := p; len(rest) > 0 && err == nil; {
			n := min(piece, len(rest))
			_, err = w.Write(rest[:n])
			rest = rest[n:]
		}
		ended <- err
	}
}

// connect starts a server and opens a connection to it for HTTP/1.
func connect(t *testing.T, cfg Config, h http.HandlerFunc, secure bool) (net.Conn, *running) {
	t.Helper()
	if !secure {
		r := start(t, cfg, h)
		return r.dial(t), r
	}
	adjust, client := withTLS(t)
	r := start(t, cfg, h, adjust)
	return tls.Client(r.dial(t), client), r
}

// A slowReader takes so many pieces of a size with a pause after each, and
// then what is left at once.
type slowReader struct {
	pieces, size int
	pause        time.Duration
}

// read also tells how long the longest time without a piece was in the end.
func (s slowReader) read(r io.Reader) (all []byte, longest time.Duration, err error) {
	piece := make([]byte, s.size)
	last := time.Now()
	for range s.pieces {
		n, err := io.ReadFull(r, piece)
		all = append(all, piece[:n]...)
		longest = max(longest, time.Since(last))
		last = time.Now()
		if err != nil {
			return all, longest, err
		}
		time.Sleep(s.pause)
	}
	rest, err := io.ReadAll(r)
	return append(all, rest...), longest, err
}

// lengths is a connection that keeps the lengths of what is written to it.
type lengths struct {
	net.Conn
	writes []int
}

func (l *lengths) Write(p []byte) (int, error) {
	l.writes = append(l.writes, len(p))
	return len(p), nil
}

func TestConn_LongWritesGoInPieces(t *testing.T) {
	for _, tc := range []struct {
		length int
		want   []int
	}{
		{0, []int{0}},
		{1, []int{1}},
		{wholeWrite, []int{wholeWrite}},
		{wholeWrite + 1, []int{writePiece, writePiece, 1}},
		{3 * writePiece, []int{writePiece, writePiece, writePiece}},
	} {
		l := &lengths{}
		if n, err := newConn(l, 0).Write(make([]byte, tc.length)); n != tc.length || err != nil {
			t.Errorf("%d bytes: Write = %d, %v", tc.length, n, err)
		}
		if !slices.Equal(l.writes, tc.want) {
			t.Errorf("%d bytes are written as %v, want %v", tc.length, l.writes, tc.want)
		}
	}
}

func TestConn_SlowButSteadyReaderGetsAll(t *testing.T) {
	const stall = 800 * time.Millisecond
	file := tempFile(t)
	steadily := slowReader{pieces: 16, size: len(large) / 16, pause: stall / 4}
	inOne := writes(large, len(large), make(chan error, 8))
	servesFile := func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }
	tests := []struct {
		name   string
		h      http.HandlerFunc
		secure bool
	}{
		{"8 MiB in one Write", inOne, false},
		{"8 MiB in Writes of 4 KiB", writes(large, 4<<10, make(chan error, 1)), false},
		{"8 MiB from a file", servesFile, false},
		{"8 MiB over TLS", inOne, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick()
			cfg.WriteStall = stall
			c, _ := connect(t, cfg, tt.h, tt.secure)
			began := time.Now()
			got, longest, err := steadily.read(send(t, c, "GET / HTTP/1.0").Body)
			if longest >= stall {
				t.Skipf("the machine is busy: a pause took %v", longest)
			}
			if err != nil || !bytes.Equal(got, large) {
				t.Errorf("%d of %d bytes, %v", len(got), len(large), err)
			}
			if took := time.Since(began); took < 4*stall {
				t.Fatalf("took %v: the test did not outlast the limit", took)
			}
		})
	}
}

func TestConn_ReaderTooSlowToWakeTheWriterGetsAll(t *testing.T) {
	t.Parallel()
	cfg := quick()
	cfg.WriteStall = time.Second
	r := start(t, cfg, writes(large, len(large), make(chan error, 1)))
	// Within the limit four pieces: less than the third of the send buffer that
	// has to be free before the kernel wakes the writer, and enough for the
	// client's kernel to tell of the room (a sixteenth of its buffer, and one
	// segment, which on loopback is 64 KiB).
	little := slowReader{pieces: 12, size: 96 << 10, pause: cfg.WriteStall / 4}
	body := send(t, r.dialWith(t, 512<<10), "GET / HTTP/1.0").Body
	got, longest, err := little.read(body)
	if longest >= cfg.WriteStall {
		t.Skipf("the machine is busy: a pause took %v", longest)
	}
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d of %d bytes, %v", len(got), len(large), err)
	}
}

func TestConn_ReaderThatStopsIsCut(t *testing.T) {
	const stall = 200 * time.Millisecond
	file := tempFile(t)
	tests := []struct {
		name   string
		piece  int // 0: from a file
		secure bool
	}{
		{"in one Write", len(large), false},
		{"in many Writes", 4 << 10, false},
		{"in a file", 0, false},
		{"in TLS", len(large), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			h := writes(large, tt.piece, ended)
			if tt.piece == 0 {
				h = func(w http.ResponseWriter, r *http.Request) {
					f, err := os.Open(file)
					if err != nil {
						ended <- nil
						return
					}
					defer f.Close()
					w.Header().Set("Content-Length", "8388608")
					_, err = io.Copy(w, f)
					ended <- err
				}
			}
			cfg := quick()
			cfg.WriteStall = stall
			c, r := connect(t, cfg, h, tt.secure)
			body := send(t, c, "GET / HTTP/1.0").Body
			began := time.Now()
			if err := await(t, ended, "the handler"); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the handler's write: %v, want a timeout", err)
			}
			// At the earliest after the limit: the first deadline is only a look.
			if took := time.Since(began); took < stall {
				t.Errorf("cut after %v, limit %v", took, stall)
			}
			if _, err := io.ReadAll(body); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client's read: %v, want ECONNRESET", err)
			}
			until(t, "the connection is gone", func() bool { return r.open() == 0 })
		})
	}
}

// stopping is a client's connection that reads no further than some bytes.
type stopping struct {
	net.Conn
	left   int
	closed chan struct{}
	once   sync.Once
}

func (c *stopping) Read(p []byte) (int, error) {
	if c.left <= 0 {
		<-c.closed
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (c *stopping) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestConn_ReaderOfHTTP2ThatStopsIsCut(t *testing.T) {
	// Go's client lets 4 MiB of a response come before it is read, which the
	// kernel may hold: so there are several responses.
	const streams = 4
	ended := make(chan error, streams)
	adjust, cfg := withTLS(t)
	r := start(t, quick(), writes(large, len(large), ended), adjust)
	client := newClient(t, cfg, true)
	var dials atomic.Int64
	client.Transport.(*http.Transport).MaxConnsPerHost = 1
	client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return &stopping{Conn: r.dial(t), left: 64 << 10, closed: make(chan struct{})}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range streams {
		group.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "GET", "https://"+r.addr+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			if resp, err := client.Do(req); err == nil {
				defer resp.Body.Close()
				io.Copy(io.Discard, resp.Body)
			}
		})
	}
	for range streams {
		if err := await(t, ended, "a handler"); err == nil {
			t.Error("a handler's write succeeded")
		}
	}
	until(t, "the connection is gone", func() bool { return r.open() == 0 })
	cancel()
	group.Wait()
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections, want one for all", n)
	}
}

func TestConn_StaysUsableAfterAnIdleSpell(t *testing.T) {
	cfg := quick()
	cfg.WriteStall = 2 * time.Second // the client is never held up so long
	r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, r.URL.Query().Get("file"))
	})
	file := tempFile(t)
	c := r.dial(t)
	for range 3 {
		resp := send(t, c, "GET /?file="+file+" HTTP/1.1\nHost: a")
		got, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(got, large) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		time.Sleep(cfg.WriteStall / 3) // idle past the deadline of the last write
	}
}

func TestConn_DeadlineOfAHandlerWins(t *testing.T) {
	const stall = 200 * time.Millisecond
	tests := []struct {
		name    string
		stall   time.Duration
		set     []time.Duration // deadlines from now; 0 the zero time
		pause   time.Duration   // before the client reads
		cut     bool
		atLeast time.Duration
		atMost  time.Duration
	}{
		{"an earlier one cuts earlier", time.Minute, []time.Duration{50 * time.Millisecond}, time.Minute, true, 0, time.Minute - 1},
		{"a later one lets the client rest", stall, []time.Duration{time.Minute}, 3 * stall, false, 0, time.Minute},
		{"zero brings the rolling one back", stall, []time.Duration{50 * time.Millisecond, 0}, time.Minute, true, stall, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick()
			cfg.WriteStall = tt.stall
			ended := make(chan error, 1)
			took := make(chan time.Duration, 1)
			r := start(t, cfg, func(w http.ResponseWriter, r *http.Request) {
				for _, d := range tt.set {
					at := time.Time{}
					if d > 0 {
						at = time.Now().Add(d)
					}
					if err := http.NewResponseController(w).SetWriteDeadline(at); err != nil {
						t.Error(err)
					}
				}
				began := time.Now()
				_, err := w.Write(large)
				took <- time.Since(began)
				ended <- err
			})
			c := r.dial(t)
			body := send(t, c, "GET / HTTP/1.0").Body
			if !tt.cut {
				time.Sleep(tt.pause)
				got, err := io.ReadAll(body)
				if err != nil || len(got) != len(large) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
			d := await(t, took, "the write")
			if err := <-ended; tt.cut != errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write: %v", err)
			}
			if d < tt.atLeast || d > tt.atMost {
				t.Errorf("write took %v, want %v to %v", d, tt.atLeast, tt.atMost)
			}
		})
	}
}

func TestConn_DeadlineOfAHandlerEndsWithItsRequest(t *testing.T) {
	r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(30 * time.Millisecond))
		}
		io.WriteString(w, "ok")
	})
	c := r.dial(t)
	io.Copy(io.Discard, send(t, c, "GET /short HTTP/1.1\nHost: a").Body)
	time.Sleep(60 * time.Millisecond)
	if body, err := io.ReadAll(send(t, c, "GET / HTTP/1.1\nHost: a").Body); string(body) != "ok" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestConn_WithoutStallTimeHasNoDeadline(t *testing.T) {
	cfg := quick()
	cfg.WriteStall = 0
	r := start(t, cfg, writes(large, len(large), make(chan error, 1)))
	c := r.dial(t)
	body := send(t, c, "GET / HTTP/1.0").Body
	time.Sleep(100 * time.Millisecond)
	if got, err := io.ReadAll(body); err != nil || len(got) != len(large) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestConn_HijackedIsTheHandlersOwn(t *testing.T) {
	const stall = 50 * time.Millisecond
	cfg := quick()
	cfg.WriteStall = stall
	for _, secure := range []bool{false, true} {
		name := "plain"
		if secure {
			name = "TLS"
		}
		t.Run(name, func(t *testing.T) {
			wrote := make(chan error, 1)
			h := func(w http.ResponseWriter, r *http.Request) {
				nc, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					wrote <- err
					return
				}
				defer nc.Close()
				if _, isTCP := nc.(*net.TCPConn); isTCP == secure {
					t.Errorf("hijacked a %T", nc)
				}
				_, err = nc.Write(large)
				wrote <- err
			}
			c, r := connect(t, cfg, h, secure)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			io.ReadFull(c, make([]byte, 1))
			time.Sleep(3 * stall) // nobody reads, and nobody minds
			n, err := io.Copy(io.Discard, c)
			if int(n) != len(large)-1 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			if err := await(t, wrote, "the handler"); err != nil {
				t.Error(err)
			}
			if n := r.open(); n != 0 {
				t.Errorf("%d connections still tracked", n)
			}
		})
	}
}

func tempFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(name, large, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// sendfileCounter counts what reaches the socket's ReadFrom in a form that
// package net turns into sendfile: a limit around a file.
type sendfileCounter struct {
	*net.TCPConn
	bytes *atomic.Int64
}

func (c sendfileCounter) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(syscall.Conn); ok {
			c.bytes.Add(n)
		}
	}
	return n, err
}

type sendfileListener struct {
	net.Listener
	bytes *atomic.Int64
}

func (l sendfileListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return sendfileCounter{c.(*net.TCPConn), l.bytes}, nil
}

func TestConn_KeepsSendfile(t *testing.T) {
	file := tempFile(t)
	tests := []struct {
		name string
		h    http.HandlerFunc
		min  int // bytes that must go by sendfile
	}{
		{"http.ServeFile", func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, file)
		}, len(large) - 512},
		{"io.Copy of a file", func(w http.ResponseWriter, r *http.Request) {
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			w.Header().Set("Content-Length", "8388608")
			io.Copy(w, f)
		}, len(large) - 512},
		{"a pipe goes through Write", func(w http.ResponseWriter, r *http.Request) {
			from, to, err := os.Pipe()
			if err != nil {
				t.Error(err)
				return
			}
			defer from.Close()
			go func() {
				to.Write(large)
				to.Close()
			}()
			w.Header().Set("Content-Length", "8388608")
			io.Copy(w, from)
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.min == 0 {
				t.Skip("pipes differ")
			}
			s, err := New(quick())
			if err != nil {
				t.Fatal(err)
			}
			var sent atomic.Int64
			r := serveOn(t, s, s.HTTP(tt.h), sendfileListener{listen(t), &sent})
			got, err := io.ReadAll(send(t, r.dial(t), "GET / HTTP/1.0").Body)
			if err != nil || !bytes.Equal(got, large) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if n := int(sent.Load()); n < tt.min || tt.min == 0 && n != 0 {
				t.Errorf("%d bytes by sendfile, want %d", n, tt.min)
			}
		})
	}
}

// broken has a ReadFrom that reads but cannot write, as package net's does
// where there is no sendfile and the deadline passes.
type broken struct{ net.Conn }

func (broken) ReadFrom(r io.Reader) (int64, error) {
	io.CopyN(io.Discard, r, 1000)
	return 0, os.ErrDeadlineExceeded
}

func TestConn_GivesUpAFileThatLostBytes(t *testing.T) {
	f, err := os.Open(tempFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, b := net.Pipe()
	defer b.Close()
	c := newConn(broken{a}, time.Minute)
	defer c.Close()
	if n, err := c.ReadFrom(f); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ReadFrom = %d, %v: went on after bytes were lost", n, err)
	}
}

func TestFromContext_IsNilElsewhere(t *testing.T) {
	if c := FromContext(context.Background()); c != nil {
		t.Errorf("got %v", c)
	}
}
