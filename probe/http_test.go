package probe

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// counted is a server that knows its connections.
type counted struct {
	*httptest.Server
	mu          sync.Mutex
	made, ended int
}

func countedServer(t *testing.T, h http.HandlerFunc) *counted {
	t.Helper()
	s := &counted{Server: httptest.NewUnstartedServer(h)}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.made++
		case http.StateClosed:
			s.ended++
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// wantConnections waits until as many have been made, and all are closed.
func (s *counted) wantConnections(t *testing.T, want int) {
	t.Helper()
	var made, ended int
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		made, ended = s.made, s.ended
		s.mu.Unlock()
		if made == want && ended == want {
			return
		}
	}
	t.Errorf("%d connections made and %d closed, want %d", made, ended, want)
}

func TestHTTP(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string // part of the error; empty for a pass
	}{
		{"200", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }, ""},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, ""},
		{"404", http.NotFound, ": 404 Not Found"},
		{"503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, ": 503 Service Unavailable"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, `302 Found to "/login": check that URL`},
		{"a body that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		}, "reading the body"},
		{"a header without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, "header"},
		{"a connection that is cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := countedServer(t, tt.handler)
			check := HTTP(strings.Replace(s.URL, "http://", "http://user:secret@", 1))
			for range 3 {
				if tt.want == "" {
					wantPass(t, check)
				} else if err := wantFailure(t, check, tt.want, s.URL[len("http://"):]); err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("%v has the password", err)
				}
			}
			s.wantConnections(t, 3)
		})
	}
}

func TestHTTPSaysWhoAsks(t *testing.T) {
	s := countedServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() != "probelane" || r.Method != "GET" || r.URL.String() != "/health?deep=1" {
			w.WriteHeader(400)
		}
	})
	wantPass(t, HTTP(s.URL+"/health?deep=1"))
}

func TestHTTPReadsNoMoreThanItMust(t *testing.T) {
	left := make(chan int64, 1)
	s := countedServer(t, func(w http.ResponseWriter, r *http.Request) {
		var sent int64
		for r.Context().Err() == nil {
			n, err := w.Write(make([]byte, 1<<20))
			sent += int64(n)
			if err != nil {
				break
			}
		}
		left <- sent
	})
	wantPass(t, HTTP(s.URL))
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Error("the server still writes to a check that has passed")
	}
	s.wantConnections(t, 1)
}

func TestHTTPEndsWithItsContext(t *testing.T) {
	begun := make(chan struct{}, 1)
	for name, first := range map[string]string{"before the header": "", "in the body": "x"} {
		t.Run(name, func(t *testing.T) {
			s := countedServer(t, func(w http.ResponseWriter, r *http.Request) {
				if first != "" {
					fmt.Fprint(w, first)
					w.(http.Flusher).Flush()
				}
				begun <- struct{}{}
				<-r.Context().Done()
			})
			wantEnd(t, HTTP(s.URL), begun)
			s.wantConnections(t, 1)
		})
	}
}

func TestHTTPDoesNotTrustJustAnyCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of us
	s.StartTLS()
	defer s.Close()
	wantFailure(t, HTTP(s.URL), "certificate")
}

// A check through the whole registry, as services use it.
func TestReadinessFollowsAServer(t *testing.T) {
	s := countedServer(t, func(http.ResponseWriter, *http.Request) {})
	told := make(chan Change, 10)
	r := started(t, WithChangeHook(func(c Change) { told <- c }),
		WithReadiness("upstream", HTTP(s.URL), Interval(time.Millisecond), Timeout(20*time.Second)))
	next := func() Change {
		select {
		case c := <-told:
			return c
		case <-time.After(20 * time.Second):
			t.Fatal("no change is told")
			return Change{}
		}
	}
	if c := next(); c.To != Pass {
		t.Errorf("%+v", c)
	}
	wantStatus(t, r, "/readyz", 200)
	s.Close()
	if c := next(); c.To != Fail || c.Err == nil || !strings.Contains(c.Err.Error(), s.URL) {
		t.Errorf("%+v", c)
	}
	wantStatus(t, r, "/readyz", 503)
}
