package middleware

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/probe"
)

// run runs the engine until stop is called, which waits for the end.
func run(t *testing.T, engine *gin.Engine, addr string, opts ...Option) (g *Guard, stop func()) {
	t.Helper()
	g, err := New(append([]Option{WithoutMaxProcs(), WithDrain(0, 7*time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, engine, addr) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(deadline):
			t.Error("Run does not end")
		}
	}
	t.Cleanup(stop)
	until(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return g, stop
}

// fetch makes a request as kubelet does, on a connection of its own.
func fetch(t *testing.T, addr, path string) (status int, body string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, deadline)
	if err != nil {
		return 0, err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func wantFetch(t *testing.T, addr, path string, want int) {
	t.Helper()
	if got, body := fetch(t, addr, path); got != want {
		t.Errorf("%s at %s: status %d, want %d; %.200q", path, addr, got, want, body)
	}
}

func hello() *gin.Engine {
	r := gin.New()
	r.GET("/hello", func(c *gin.Context) { c.String(200, "hello") })
	return r
}

// laneOf is the lane at an address, once there is one.
func laneOf(t *testing.T, g *Guard, addr string) (s probe.LaneStats) {
	t.Helper()
	until(t, func() bool {
		for _, s = range g.Stats().Lanes {
			if s.Addr == addr {
				return true
			}
		}
		return false
	})
	return s
}

// wantLane skips the test where there is no lane, and nowhere else.
func wantLane(t *testing.T, lane probe.LaneStats) {
	t.Helper()
	switch {
	case lane.On:
	case runtime.GOOS == "linux" && runtime.GOARCH == "amd64" && strings.HasPrefix(runtime.Version(), "go1.26") && testing.CoverMode() == "":
		t.Fatalf("the lane is off: %s", lane.Why)
	default:
		t.Skip(lane.Why)
	}
}

func TestRunHasALane(t *testing.T) {
	engine, addr := hello(), freeAddr(t)
	engine.GET("/healthz", func(c *gin.Context) { c.String(200, "the app's") })
	g, stop := run(t, engine, addr, WithDrain(3*time.Second, 7*time.Second))
	wantLane(t, laneOf(t, g, addr))
	wantFetch(t, addr, "/livez", 200)
	wantFetch(t, addr, "/readyz", 200)
	wantFetch(t, addr, "/hello", 200)
	if _, body := fetch(t, addr, "/healthz"); body != "the app's" {
		t.Errorf("the app's own path was answered with %q", body)
	}
	until(t, func() bool { return laneOf(t, g, addr).Answered >= 2 })

	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	until(t, func() bool { s, _ := fetch(t, addr, "/readyz"); return s == 503 })
	wantFetch(t, addr, "/livez", 200)
	wantFetch(t, addr, "/hello", 200)
	<-ended
	if n := len(g.Stats().Lanes); n != 0 {
		t.Errorf("%d lanes after the end", n)
	}
}

func TestRunWithoutALane(t *testing.T) {
	addr := freeAddr(t)
	g, _ := run(t, hello(), addr, WithoutLane())
	wantFetch(t, addr, "/livez", 200)
	wantFetch(t, addr, "/hello", 200)
	if lanes := g.Stats().Lanes; len(lanes) != 0 {
		t.Errorf("there are lanes: %+v", lanes)
	}
}

func TestLaneGoesOutOfTheWayOfTLS(t *testing.T) {
	s := serve(t, hello())
	wantLane(t, laneOf(t, s.guard, s.secure))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.trust}, Timeout: deadline}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get("https://" + s.secure + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("/livez = %d", resp.StatusCode)
		}
	}
	if lane := laneOf(t, s.guard, s.secure); lane.On || !strings.Contains(lane.Why, "TLS") {
		t.Errorf("Stats = %+v, want it off and TLS as the reason", lane)
	}
	until(t, func() bool {
		status, _ := fetch(t, s.secure, "/livez")
		return status == 400
	})
}

func TestProbeAddress(t *testing.T) {
	addr, probes := freeAddr(t), freeAddr(t)
	ready := make(chan struct{})
	engine := hello()
	engine.GET("/slow", func(c *gin.Context) { <-ready; c.String(200, "done") })
	g, stop := run(t, engine, addr, WithProbeAddress(probes))
	until(t, func() bool { s, _ := fetch(t, probes, "/readyz"); return s == 200 })
	wantFetch(t, probes, "/livez", 200)
	wantFetch(t, probes, "/hello", 404)
	wantFetch(t, addr, "/livez", 200)
	if s := statusOf(g, "port-alive"); !s.OK || s.Runs == 0 {
		t.Errorf("the port's check: %+v", s)
	}

	// The probes stay until the last request is answered.
	slow := make(chan int, 1)
	go func() { s, _ := fetch(t, addr, "/slow"); slow <- s }()
	until(t, func() bool { return g.Stats().InFlight > 0 })
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	until(t, func() bool { s, _ := fetch(t, addr, "/hello"); return s == 0 })
	// The lane is told of it by a goroutine, which may get its turn after that.
	until(t, func() bool { s, _ := fetch(t, probes, "/readyz"); return s == 503 })
	wantFetch(t, probes, "/livez", 200)
	close(ready)
	if s := <-slow; s != 200 {
		t.Errorf("the last request got %d", s)
	}
	<-ended
	if s, _ := fetch(t, probes, "/livez"); s != 0 {
		t.Errorf("the probes' address still answers %d", s)
	}
}

func statusOf(g *Guard, name string) probe.CheckStatus {
	for _, c := range g.Stats().Probes.Checks {
		if c.Name == name {
			return c
		}
	}
	return probe.CheckStatus{}
}

// The port's own check tells who answers from who does not.
func TestPortIsAsked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := func(limit time.Duration) error {
		p := &mainPort{opened: make(chan struct{})}
		p.open(l.Addr())
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return p.ask(ctx)
	}
	// The kernel accepts for who does not.
	if err := asked(50 * time.Millisecond); err == nil {
		t.Error("a port that nobody accepts at passes")
	}
	served := make(chan struct{})
	srv := &http.Server{Handler: http.NotFoundHandler()}
	go func() { srv.Serve(l); close(served) }()
	if err := asked(deadline); err != nil {
		t.Errorf("a port that is served: %v", err)
	}
	srv.Close()
	<-served
	if err := asked(deadline); err == nil {
		t.Error("a closed port passes")
	}
}

func TestLaneAndProbeAddressAreChecked(t *testing.T) {
	_, err := New(WithProbeAddress("9090"), WithHeartbeatLimit(0))
	for _, want := range []string{"WithProbeAddress(\"9090\")", "WithHeartbeatLimit(0s)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}
