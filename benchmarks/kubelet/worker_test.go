package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/kubernetes/pkg/probe"
)

func workerFor(t *testing.T, addr string, timeout time.Duration, restart bool) *worker {
	t.Helper()
	w, err := newWorker(addr, "/livez", time.Millisecond, timeout, restart)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhatFollowsFromResults(t *testing.T) {
	tests := []struct {
		name     string
		results  string // one per second: + success, ! warning, - failure, ? the prober's own
		restarts int
		failed   int
		out      time.Duration
	}{
		{"all well", "++++++", 0, 0, 0},
		{"two failures", "+--+--+", 0, 4, 0},
		{"three failures, until the next success", "+---+", 1, 3, time.Second},
		{"three failures at the beginning", "---++", 1, 3, time.Second},
		{"five failures", "-----+", 1, 5, 3 * time.Second},
		{"six failures", "------+", 2, 6, 4 * time.Second},
		{"a redirect elsewhere is a success", "--!--", 0, 4, 0},
		{"the prober's own failure neither counts nor resets", "--?-+", 1, 4, time.Second},
		{"out of rotation twice", "---+---+", 2, 6, 2 * time.Second},
	}
	for _, tt := range tests {
		live, ready := workerFor(t, "127.0.0.1:1", 1, true), workerFor(t, "127.0.0.1:1", 1, false)
		now := time.Now()
		for _, r := range tt.results {
			result := map[rune]probe.Result{'+': probe.Success, '!': probe.Warning, '-': probe.Failure, '?': probe.Unknown}[r]
			live.take(result, "", now)
			ready.take(result, "", now)
			now = now.Add(time.Second)
		}
		if live.seen.restarts != tt.restarts || live.seen.failed != tt.failed || live.seen.probes != len(tt.results) {
			t.Errorf("%s: %d restarts, %d of %d failed, want %d, %d of %d", tt.name,
				live.seen.restarts, live.seen.failed, live.seen.probes, tt.restarts, tt.failed, len(tt.results))
		}
		if ready.seen.restarts != 0 || ready.seen.unhealthy != tt.out {
			t.Errorf("%s: as readiness %d restarts and %v out of rotation, want 0 and %v", tt.name, ready.seen.restarts, ready.seen.unhealthy, tt.out)
		}
	}
}

func TestProbesAreKubelets(t *testing.T) {
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
	}))
	defer server.Close()
	w := workerFor(t, server.Listener.Addr().String(), 10*time.Second, true)
	var from string
	for range 2 {
		if result, output, err := w.probe(); result != probe.Success || err != nil {
			t.Fatalf("%v %q %v", result, output, err)
		}
		r := <-requests
		if r.Method != "GET" || r.URL.Path != "/livez" || r.Header.Get("Accept") != "*/*" || !strings.HasPrefix(r.UserAgent(), "kube-probe/") || !r.Close {
			t.Errorf("%s %s %v, close %v", r.Method, r.URL, r.Header, r.Close)
		}
		if r.RemoteAddr == from {
			t.Error("two probes on one connection")
		}
		from = r.RemoteAddr
	}
}

func TestResultsOfTheProber(t *testing.T) {
	hang := make(chan struct{})
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		timeout time.Duration
		want    probe.Result
		reason  string
	}{
		{"200", func(w http.ResponseWriter, r *http.Request) {}, 10 * time.Second, probe.Success, ""},
		{"a redirect elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		}, 10 * time.Second, probe.Warning, ""},
		{"503", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, 10 * time.Second, probe.Failure, "statuscode: 503"},
		{"no answer in time", func(w http.ResponseWriter, r *http.Request) { <-hang }, 10 * time.Millisecond, probe.Failure, "timeout"},
		{"no answer", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, 10 * time.Second, probe.Failure, "closed without an answer"},
		{"half an answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("half"))
		}, 10 * time.Second, probe.Unknown, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			if tt.reason == "timeout" {
				defer close(hang)
			}
			result, output, err := workerFor(t, server.Listener.Addr().String(), tt.timeout, true).probe()
			if result != tt.want || err != nil {
				t.Errorf("%v %q %v, want %v", result, output, err, tt.want)
			}
			if got := reason(output); tt.want == probe.Failure && got != tt.reason {
				t.Errorf("reason %q of %q, want %q", got, output, tt.reason)
			}
		})
	}
}

func TestAWorkerProbesUntilItIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 7 { // its worker asks one after another
			cancel()
		}
		w.WriteHeader(503)
	}))
	defer server.Close()
	seen, err := workerFor(t, server.Listener.Addr().String(), 10*time.Second, true).run(ctx, time.Millisecond)
	if err != nil || seen.probes != 7 || seen.failed != 7 || seen.restarts != 2 {
		t.Errorf("%+v, %v; want 7 probes, all failed, and 2 restarts", seen, err)
	}
}
