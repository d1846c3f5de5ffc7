package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// uploads are the ways in which a body comes.
var uploads = []struct {
	name   string
	secure bool
	http2  bool
	length bool // is known
}{
	{"HTTP/1.1", false, false, true},
	{"HTTP/1.1, chunked", false, false, false},
	{"HTTP/1.1 over TLS", true, false, true},
	{"HTTP/2", true, true, true},
	{"HTTP/2, of unknown length", true, true, false},
}

// posted is a request whose body the test writes.
type posted struct {
	*io.PipeWriter
	resp chan *http.Response // closed without one after an error
	err  error
}

// eachUpload runs a test over each of uploads, with a server and a function
// that begins a request to it.
func eachUpload(t *testing.T, cfg Config, h http.HandlerFunc, test func(*testing.T, *running, func(path string, size int) *posted)) {
	for _, tt := range uploads {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			adjusts, scheme, trust := []func(*http.Server){}, "http", new(tls.Config)
			if tt.secure {
				var adjust func(*http.Server)
				adjust, trust = withTLS(t)
				adjusts, scheme = append(adjusts, adjust), "https"
			}
			r := start(t, cfg, h, adjusts...)
			client := newClient(t, trust, tt.http2)
			test(t, r, func(path string, size int) *posted {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				from, to := io.Pipe()
				req, err := http.NewRequestWithContext(ctx, "POST", scheme+"://"+r.addr+path, from)
				if err != nil {
					t.Fatal(err)
				}
				if tt.length {
					req.ContentLength = int64(size)
				}
				u := &posted{PipeWriter: to, resp: make(chan *http.Response, 1)}
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer close(u.resp)
					resp, err := client.Do(req)
					if err != nil {
						u.err = err
						return
					}
					u.resp <- resp
				}()
				t.Cleanup(func() {
					to.CloseWithError(io.ErrClosedPipe)
					<-done
					if resp := <-u.resp; resp != nil {
						resp.Body.Close()
					}
					cancel()
				})
				return u
			})
		})
	}
}

// answer is what the server answers, read to its end.
func (u *posted) answer(t *testing.T) (status int, body string) {
	t.Helper()
	resp := await(t, u.resp, "a response")
	if resp == nil {
		t.Fatalf("no response: %v", u.err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("the response's body: %v", err)
	}
	return resp.StatusCode, string(b)
}

// readStall is Defaults with a stall time for uploads that a test can wait for.
func readStall(d time.Duration) Config {
	cfg := quick()
	cfg.WriteStall = Defaults().WriteStall
	cfg.ReadStall = d
	return cfg
}

func TestBody_ThatStallsFailsAndIsAnswered(t *testing.T) {
	const stall = 200 * time.Millisecond
	ended := make(chan error, len(uploads))
	h := func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		_, err := io.Copy(io.Discard, r.Body)
		if took := time.Since(began); took < stall {
			t.Errorf("failed after %v, limit %v", took, stall)
		}
		if _, again := r.Body.Read(make([]byte, 1)); again == nil {
			t.Error("reads on after the failure")
		}
		ended <- err
		w.WriteHeader(http.StatusRequestTimeout)
		io.WriteString(w, "too slow")
	}
	eachUpload(t, readStall(stall), h, func(t *testing.T, r *running, post func(string, int) *posted) {
		u := post("/", len(large))
		u.Write(page) // or as much as comes in time, on a busy machine
		if err := await(t, ended, "the handler"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the handler's read: %v, want a timeout", err)
		}
		if status, body := u.answer(t); status != http.StatusRequestTimeout || body != "too slow" {
			t.Errorf("%d %q", status, body)
		}
	})
}

func TestBody_ThatIsSlowButSteadyArrives(t *testing.T) {
	const stall = 800 * time.Millisecond
	h := func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}
	eachUpload(t, readStall(stall), h, func(t *testing.T, r *running, post func(string, int) *posted) {
		u := post("/", len(large))
		began, last, longest := time.Now(), time.Now(), time.Duration(0)
		for range 16 {
			time.Sleep(stall / 8)
			if _, err := u.Write(large[:len(large)/16]); err != nil && longest < stall/2 {
				t.Fatal(err)
			}
			longest = max(longest, time.Since(last))
			last = time.Now()
		}
		u.Close()
		if longest >= stall/2 {
			t.Skipf("the machine is busy: a pause took %v", longest)
		}
		if took := time.Since(began); took < 2*stall {
			t.Errorf("took %v: the test did not outlast the limit", took)
		}
		if _, body := u.answer(t); body != fmt.Sprint(len(large), nil) {
			t.Error(body)
		}
	})
}

// What waits for the client without a body that arrives, nobody ends.
func TestBody_LimitEndsWithTheBody(t *testing.T) {
	const (
		stall = time.Second
		pause = stall + stall/4
	)
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			time.Sleep(pause) // the client has sent all, and is not to blame
		}
		n, err := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/events" {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				t.Error("the request was ended")
			}
		}
		fmt.Fprint(w, n, err)
	}
	eachUpload(t, readStall(stall), h, func(t *testing.T, r *running, post func(string, int) *posted) {
		for _, path := range []string{"/events", "/late", "/"} {
			u := post(path, len(page))
			u.Write(page)
			u.Close()
			if _, body := u.answer(t); body != fmt.Sprint(len(page), nil) {
				t.Errorf("%s: %q", path, body)
			}
			time.Sleep(pause) // the connection is kept, and idle
		}
		if n := r.open(); n != 1 {
			t.Errorf("%d connections, want the first still", n)
		}
	})
}

// A handler that answers without reading makes net/http read what is left. A
// client that sends it byte by byte must not keep the handler in its Write.
func TestBody_LeftUnreadHoldsNobodyUp(t *testing.T) {
	const stall = 300 * time.Millisecond
	for _, header := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			written := make(chan error, 1)
			r := start(t, readStall(stall), func(w http.ResponseWriter, r *http.Request) {
				_, err := w.Write(page)
				written <- err
			})
			c := r.dial(t)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+header+"\r\n\r\n3e8\r\n")
			stop := make(chan struct{})
			trickled := make(chan struct{})
			go func() {
				defer close(trickled)
				for tick := time.NewTicker(stall / 10); ; {
					select {
					case <-stop:
						tick.Stop()
						return
					case <-tick.C:
						c.Write([]byte("x"))
					}
				}
			}()
			err := await(t, written, "the handler's write") // 1000 bytes would take 30 s
			close(stop)
			<-trickled
			if err != nil {
				t.Error(err)
			}
			if b, err := io.ReadAll(c); !bytes.Contains(b, page) || !bytes.Contains(b, []byte("Connection: close")) {
				t.Errorf("got %d bytes, %v, beginning with %.200q", len(b), err, b)
			}
		})
	}
}

func TestBody_WhatComesLateIsNoRequest(t *testing.T) {
	requests := make(chan string, 2)
	r := start(t, readStall(100*time.Millisecond), func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		requests <- r.URL.Path
		io.Copy(io.Discard, r.Body)
	})
	c := r.dial(t)
	resp := send(t, c, "POST /first HTTP/1.1\nHost: a\nContent-Length: 100")
	io.WriteString(c, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
	io.Copy(io.Discard, resp.Body)
	until(t, "the connection is gone", func() bool { return r.open() == 0 })
	if got := <-requests; got != "/first" || len(requests) > 0 {
		t.Errorf("first %s, and %d more", got, len(requests))
	}
}

func TestBody_DeadlineOfAHandlerWins(t *testing.T) {
	const stall = 100 * time.Millisecond
	tests := []struct {
		name   string
		set    time.Duration // from now; 0 the zero time
		server time.Duration // http.Server.ReadTimeout
		cut    bool
	}{
		{"a later one lets the client rest", time.Minute, 0, false},
		{"none lets it rest for ever", 0, 0, false},
		{"an earlier one comes first", time.Millisecond, 0, true},
		{"the server's own is for all of the body", -1, patience, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, readStall(stall), func(w http.ResponseWriter, r *http.Request) {
				at := time.Time{}
				if tt.set > 0 {
					at = time.Now().Add(tt.set)
				}
				if tt.set >= 0 {
					if err := http.NewResponseController(w).SetReadDeadline(at); err != nil {
						t.Error(err)
					}
				}
				_, err := io.ReadAll(r.Body)
				fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
			}, func(srv *http.Server) { srv.ReadTimeout = tt.server })
			c := r.dial(t)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
			if !tt.cut {
				time.Sleep(3 * stall)
				io.WriteString(c, "x")
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprint(tt.cut) {
				t.Errorf("timed out: %s, want %v", b, tt.cut)
			}
		})
	}
}

func TestBody_WithoutStallTimeTheClientMayRest(t *testing.T) {
	eachUpload(t, readStall(0), func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}, func(t *testing.T, r *running, post func(string, int) *posted) {
		u := post("/", len(large))
		u.Write(large[:1])
		time.Sleep(100 * time.Millisecond)
		u.Write(large[1:])
		u.Close()
		if _, body := u.answer(t); body != fmt.Sprint(len(large), nil) {
			t.Error(body)
		}
	})
}

func TestBody_HijackedIsTheHandlersOwn(t *testing.T) {
	const stall = 50 * time.Millisecond
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			c, _ := connect(t, readStall(stall), func(w http.ResponseWriter, r *http.Request) {
				r.Body.Read(make([]byte, 1))
				nc, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				io.CopyN(nc, rw, 1)
			}, secure)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1")
			time.Sleep(3 * stall)
			io.WriteString(c, "2")
			if b, err := io.ReadAll(c); string(b) != "2" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// net/http looks at its own body's type, and takes its leftovers away itself.
func TestBody_LeavesNetHTTPItsRequest(t *testing.T) {
	t.Run("a body that was never asked for is not", func(t *testing.T) {
		r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "no") })
		resp := send(t, r.dial(t), "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue")
		if b, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(b) != "no" || err != nil {
			t.Errorf("%s, %q, %v", resp.Status, b, err)
		}
	})
	t.Run("files of a form are removed", func(t *testing.T) {
		names := make(chan string, 1)
		r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1); err != nil {
				t.Error(err)
				names <- ""
				return
			}
			f, err := r.MultipartForm.File["f"][0].Open()
			if err != nil {
				t.Error(err)
				names <- ""
				return
			}
			defer f.Close()
			names <- f.(*os.File).Name()
		})
		var form bytes.Buffer
		mw := multipart.NewWriter(&form)
		part, _ := mw.CreateFormFile("f", "f")
		part.Write(large)
		mw.Close()
		resp, err := newClient(t, new(tls.Config), false).Post("http://"+r.addr, mw.FormDataContentType(), &form)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		name := await(t, names, "the file's name")
		until(t, "the file is gone", func() bool { _, err := os.Stat(name); return errors.Is(err, os.ErrNotExist) })
	})
}

func TestBody_Cut(t *testing.T) {
	type request struct {
		body *Body
		o    *waits
	}
	var one sync.Mutex
	requests := make(chan request)
	h := func(w http.ResponseWriter, r *http.Request) {
		b, o := r.Body.(*Body), &waits{t: t}
		b.SetObserver(o)
		defer b.SetObserver(nil)
		requests <- request{b, o}
		_, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
	}
	eachUpload(t, readStall(time.Minute), h, func(t *testing.T, r *running, post func(string, int) *posted) {
		one.Lock() // the handlers share a channel
		defer one.Unlock()
		u := post("/", len(large))
		u.Write(page)
		req := await(t, requests, "the handler")
		until(t, "a read is seen to wait", func() bool { return req.o.inside.Load() && req.body.Received() == int64(len(page)) })
		if req.body.Cut(&waits{t: t}) {
			t.Error("cut for the read of another request")
		}
		if !req.body.Cut(req.o) {
			t.Error("not cut")
		}
		if _, body := u.answer(t); body != "true" {
			t.Errorf("the handler's read timed out: %s", body)
		}
		if req.body.Cut(req.o) {
			t.Error("cut a request that is over")
		}
	})
}

func TestIsConversation(t *testing.T) {
	for _, tt := range []struct {
		method, contentType string
		want                bool
	}{
		{"POST", "application/json", false},
		{"POST", "application/grpc+proto", true},
		{"CONNECT", "", true},
	} {
		r := &http.Request{Method: tt.method, Header: http.Header{"Content-Type": {tt.contentType}}}
		if got := isConversation(r); got != tt.want {
			t.Errorf("%s %s: %v", tt.method, strings.TrimSpace(tt.contentType), got)
		}
	}
}
