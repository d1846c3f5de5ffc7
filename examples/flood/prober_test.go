package flood

import (
	"context"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestProbesLookLikeKubelets(t *testing.T) {
	type seen struct {
		remote string
		r      *http.Request
	}
	requests := make(chan seen, 100)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- seen{r.RemoteAddr, r}
		w.Write([]byte("ok"))
	})
	probes, err := Prober{Addr: addr, Every: 5 * time.Millisecond, Duration: 50 * time.Millisecond}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(probes), 10; got != want {
		t.Errorf("%d probes, want %d", got, want)
	}
	connections := map[string]bool{}
	for range probes {
		s := <-requests
		connections[s.remote] = true
		if s.r.URL.Path != "/livez" || s.r.UserAgent() != "kube-probe/1.36" || !s.r.Close || s.r.Host != addr {
			t.Fatalf("request %+v", s.r)
		}
	}
	if len(connections) != len(probes) {
		t.Errorf("%d probes on %d connections, want one each", len(probes), len(connections))
	}
	for i, p := range probes {
		if !p.OK() || p.Status != 200 || p.Latency <= 0 {
			t.Errorf("probe %+v", p)
		}
		if want := time.Duration(i) * 5 * time.Millisecond; p.Due != want || p.At < want {
			t.Errorf("probe %d was due at %v and started at %v, want it due at %v", i, p.Due, p.At, want)
		}
	}
}

func TestProbesStartWhileOthersWait(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	told := 0
	p := Prober{
		Addr: ln.Addr().String(), Every: 5 * time.Millisecond, Timeout: 200 * time.Millisecond, Duration: 100 * time.Millisecond,
		Each: func(Probe) { told++ },
	}
	probes, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(probes) != 20 || told != 20 {
		t.Errorf("%d probes, %d told, want 20 although none was answered", len(probes), told)
	}
	s := Summarize(probes)
	if s.Failed != 20 || s.Failures["timeout"] != 20 {
		t.Errorf("summary %+v, want 20 timeouts", s)
	}
	for _, p := range probes {
		if p.Latency < 200*time.Millisecond {
			t.Errorf("timed out after %v, want the whole limit", p.Latency)
		}
	}
}

func TestFailuresHaveReasons(t *testing.T) {
	for _, tc := range []struct {
		name string
		addr func(t *testing.T) string
		want string
	}{
		{"nobody listens", freeAddr, "connection refused"},
		{"not alive", func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
		}, "status 503"},
		{"no answer", func(t *testing.T) string {
			return serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}, "closed without an answer"},
		{"a reset", func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					panic(err)
				}
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			})
		}, "connection reset"},
		{"a redirect is success", func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) })
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			probes, err := Prober{Addr: tc.addr(t), Duration: 1}.Run(t.Context())
			if err != nil || len(probes) != 1 {
				t.Fatalf("%v, %v", probes, err)
			}
			if probes[0].Failure != tc.want {
				t.Errorf("failure %q, want %q", probes[0].Failure, tc.want)
			}
		})
	}
}

func TestProbesReachEveryKindOfAddress(t *testing.T) {
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) })}
	defer srv.Close()
	one := func(addr string) Probe {
		t.Helper()
		probes, err := Prober{Addr: addr, Duration: 1}.Run(t.Context())
		if err != nil || len(probes) != 1 {
			t.Fatalf("%s: %+v, %v", addr, probes, err)
		}
		return probes[0]
	}
	for listen, others := range map[string][]string{"127.0.0.1:0": {"", "localhost"}, "[::1]:0": nil} {
		ln, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		go srv.Serve(ln)
		if p := one(ln.Addr().String()); !p.OK() {
			t.Errorf("%s: %+v", ln.Addr(), p)
		}
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		for _, host := range others {
			if p := one(net.JoinHostPort(host, port)); !p.OK() {
				t.Errorf("%q on %s: %+v", host, listen, p)
			}
		}
	}
	if p := one("nowhere"); p.OK() {
		t.Errorf("an address without a port: %+v", p)
	}
}

// A body without an end does not keep a probe beyond its limit.
func TestProbesEndAmidABodyWithoutEnd(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for page := make([]byte, 64<<10); ; {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
	})
	probes, err := Prober{Addr: addr, Duration: 1, Timeout: 100 * time.Millisecond}.Run(t.Context())
	if err != nil || len(probes) != 1 || probes[0].Failure != "timeout" {
		t.Errorf("%+v, %v, want a timeout", probes, err)
	}
}

func TestProberRefusesToHaveTooManyWait(t *testing.T) {
	_, err := Prober{Addr: "127.0.0.1:1", Every: time.Millisecond, Timeout: 10 * time.Second, Duration: 1}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "more than 1000 may wait at once") {
		t.Errorf("error %v", err)
	}
}

func TestProberEndsWithItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	probes, err := Prober{Addr: ln.Addr().String(), Every: time.Second, Duration: limit, Timeout: limit}.Run(ctx)
	if err != nil || len(probes) != 0 {
		t.Errorf("got %v, %v: probes that the end cut off say nothing about the server", probes, err)
	}
}

func TestSummarize(t *testing.T) {
	got := Summarize([]Probe{
		{Latency: 3}, {Latency: 1}, {Latency: 2},
		{Latency: 1000, Failure: "timeout"}, {Failure: "status 503"}, {Latency: 1000, Failure: "timeout"},
	})
	if got.Sent != 6 || got.Answered != 3 || got.Failed != 3 {
		t.Errorf("counts %+v", got)
	}
	if want := (Quantiles{P50: 2, P99: 3, Max: 3}); got.Latency != want {
		t.Errorf("latency %v, want that of the answered, %v", got.Latency, want)
	}
	if want := map[string]int{"timeout": 2, "status 503": 1}; !maps.Equal(got.Failures, want) {
		t.Errorf("reasons %v, want %v", got.Failures, want)
	}
}
