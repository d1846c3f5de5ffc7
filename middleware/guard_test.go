package middleware

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/probe"
)

func TestProbesComeBeforeRouterAndMiddleware(t *testing.T) {
	r := gin.New()
	r.Use(func(c *gin.Context) { c.AbortWithStatus(http.StatusTeapot) })
	r.GET("/x", func(c *gin.Context) {})
	s := serve(t, r)
	for _, path := range []string{"/livez", "/readyz", "/startupz", "/healthz"} {
		s.wantStatus(path, 200)
	}
	s.wantStatus("/x", http.StatusTeapot)
	s.wantStatus("/livez/x", http.StatusTeapot)
}

func TestTheAppsOwnRouteAtAProbesPathStaysItsOwn(t *testing.T) {
	var log strings.Builder
	r := gin.New()
	r.GET("/livez", func(c *gin.Context) { c.String(200, "my own") })
	s := serve(t, r, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if _, body := s.get("/livez"); body != "my own" {
		t.Errorf("got %q", body)
	}
	s.wantStatus("/readyz", 200)
	if got := strings.Count(log.String(), "/livez"); got != 1 {
		t.Errorf("said %d times, want once:\n%s", got, log.String())
	}
}

func TestTheAppsOwnRoutesBelowAProbesPathStayItsOwn(t *testing.T) {
	var log strings.Builder
	r := gin.New()
	own := func(c *gin.Context) { c.String(200, "my own") }
	r.GET("/readyz/:check", own)
	r.GET("/healthz/ping", own)
	r.GET("/healthz/other", own)
	r.GET("/startupz/*rest", own)
	s := serve(t, r, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for path, want := range map[string]string{
		"/readyz": "ok", "/readyz/ping": "my own", "/readyz/other": "my own",
		"/healthz": "ok", "/healthz/ping": "my own", "/healthz/shutdown": "ok", "/healthz/other": "my own",
		"/startupz": "ok", "/startupz/ping": "my own",
		"/livez/ping": "ok",
	} {
		if res, body := s.get(path); res.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, res.StatusCode, body, want)
		}
	}
	for line, want := range map[string]int{"/readyz/:check": 1, "/healthz/ping": 1, "/startupz/*rest": 1, "/healthz/other": 0} {
		if got := strings.Count(log.String(), line); got != want {
			t.Errorf("%s was said %d times, want %d:\n%s", line, got, want, log.String())
		}
	}
}

func TestHandlerAnswersProbesInsideAnAppsOwnServer(t *testing.T) {
	g, err := New(WithProbes(probe.WithPaths(probe.Liveness, "/alive")))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	r := gin.New()
	r.Use(g.Handler())
	r.GET("/readyz", func(c *gin.Context) { c.String(200, "my own") })
	r.GET("/nan", func(c *gin.Context) { c.JSON(200, math.NaN()) })
	for path, want := range map[string]string{"/alive": "ok", "/readyz": "my own", "/healthz": "ok", "/healthz/ping": "ok"} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: got %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/nan", nil))
	if w.Code != 500 {
		t.Errorf("NaN without our codec: %d", w.Code)
	}
	w = httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("HEAD", "/alive", nil))
	if w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
}

func TestRoutingIsTheEnginesOwn(t *testing.T) {
	engine := func() *gin.Engine {
		r := gin.New()
		r.HandleMethodNotAllowed = true
		r.GET("/users/:id", func(c *gin.Context) { c.String(200, "user "+c.Param("id")+" of "+c.FullPath()) })
		r.GET("/files/*path", func(c *gin.Context) { c.String(200, c.Param("path")) })
		r.POST("/users", func(c *gin.Context) { c.String(201, "made") })
		r.GET("/empty", func(c *gin.Context) {})
		r.GET("/teapot", func(c *gin.Context) { c.Status(http.StatusTeapot) })
		r.GET("/abort", func(c *gin.Context) { c.AbortWithStatus(403) })
		r.GET("/redirect", func(c *gin.Context) { c.Redirect(302, "/empty") })
		r.GET("/flush", func(c *gin.Context) { c.Writer.Flush(); _, _ = c.Writer.WriteString("after") })
		return r
	}
	noRoute := engine()
	noRoute.NoRoute(func(c *gin.Context) { c.String(404, "my own 404") })
	silent := engine()
	silent.NoRoute(func(c *gin.Context) { c.Status(200) })
	empty := engine()
	empty.NoRoute(func(c *gin.Context) { c.AbortWithStatus(404) })
	for name, r := range map[string]*gin.Engine{"plain": engine(), "own 404": noRoute, "404 turned into 200": silent, "empty 404": empty} {
		s := serve(t, r)
		s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, path := range []string{
			"/users/7", "/users/7/", "/users/a%2Fb", "/files/a/b", "/files/", "/nowhere", "/users", "/empty",
			"/teapot", "/abort", "/redirect", "/flush", "//users/7", "/USERS/7",
		} {
			want := httptest.NewRecorder()
			r.ServeHTTP(want, httptest.NewRequest("GET", path, nil))
			resp, body := s.get(path)
			if resp.StatusCode != want.Code || body != want.Body.String() || resp.Header.Get("Location") != want.Header().Get("Location") || resp.Header.Get("Allow") != want.Header().Get("Allow") {
				t.Errorf("%s, GET %s: got %d %q, want %d %q", name, path, resp.StatusCode, body, want.Code, want.Body)
			}
		}
	}
}

func TestUseH2CKeepsProbesAndAdmission(t *testing.T) {
	r := gin.New()
	r.UseH2C = true
	r.GET("/x", func(c *gin.Context) { c.String(200, c.Request.Proto) })
	s := serve(t, r)
	s.client.Transport = &http.Transport{Protocols: new(http.Protocols)}
	s.client.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	s.wantStatus("/livez", 200)
	if _, body := s.get("/x"); body != "HTTP/2.0" {
		t.Errorf("served by %s", body)
	}
	if got := s.guard.Stats().Admitted; got != 1 {
		t.Errorf("admitted %d requests, want 1", got)
	}
}

func TestWhoFindsNoRoomIsShed(t *testing.T) {
	inside, leave := make(chan struct{}, 100), make(chan struct{})
	r := gin.New()
	r.GET("/big", func(c *gin.Context) {
		inside <- struct{}{}
		<-leave
		c.String(200, "done")
	})
	r.GET("/free", func(c *gin.Context) { c.String(200, "free") })
	// A budget of one byte leaves room for nobody but the floor.
	s := serve(t, r, WithMemoryBudget(1), WithQueue(1, time.Minute), WithExempt("/free"))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(leave)
	for range floor {
		wg.Go(func() { s.wantStatus("/big", 200) })
		<-inside
	}
	wg.Go(func() { s.wantStatus("/big", 200) }) // the one that may wait
	until(t, func() bool { return s.guard.Stats().Waiting == 1 })
	resp, body := s.get("/big")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || body != "" {
		t.Errorf("got %d %v %q", resp.StatusCode, resp.Header, body)
	}
	s.wantStatus("/free", 200)
	s.wantStatus("/livez", 200)
	if st := s.guard.Stats(); st.Shed != 1 || st.InFlight != floor || st.Waiting != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestRunDrainsAndReturnsNil(t *testing.T) {
	g, err := New(WithoutMaxProcs(), WithDrain(2*time.Second, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	r := gin.New()
	r.GET("/slow", func(c *gin.Context) { close(entered); <-leave; c.JSON(200, gin.H{"done": true}) })
	r.GET("/", func(c *gin.Context) { c.Status(200) })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, r, addr) }()
	tr := &http.Transport{}
	client := &http.Client{Transport: tr, Timeout: deadline}
	defer tr.CloseIdleConnections()
	until(t, func() bool {
		resp, err := client.Get("http://" + addr + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	})
	slow := make(chan error, 1)
	go func() {
		resp, err := client.Get("http://" + addr + "/slow")
		if err == nil {
			var b []byte
			b, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(b) != `{"done":true}` || !resp.Close {
				err = errors.Join(err, errors.New("the last response is "+string(b)))
			}
		}
		slow <- err
	}()
	<-entered
	stop()
	until(t, func() bool { return g.Stats().Probes.Draining })
	// The lane is told of it by a goroutine, which may get its turn after that.
	until(t, func() bool { s, _ := fetch(t, addr, "/readyz"); return s == 503 })
	for path, want := range map[string]int{"/readyz": 503, "/livez": 200, "/": 200} {
		resp, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatalf("%s while draining: %v", path, err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || !resp.Close {
			t.Errorf("%s while draining: %d, close %v; want %d and close", path, resp.StatusCode, resp.Close, want)
		}
	}
	close(leave)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

func TestRunSaysWhatIsWrongWithTheAddress(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := Run(gin.New(), busy.Addr().String()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a busy port: %v", err)
	}
	if err := Run(gin.New(), ":1", ":2"); err == nil || !strings.Contains(err.Error(), "one address") {
		t.Errorf("two addresses: %v", err)
	}
}

func TestResolve(t *testing.T) {
	t.Setenv("PORT", "")
	for _, tt := range []struct {
		name string
		port string
		addr []string
		want string
	}{
		{"nothing", "", nil, ":8080"},
		{"PORT", "9090", nil, ":9090"},
		{"an address wins over PORT", "9090", []string{"127.0.0.1:1"}, "127.0.0.1:1"},
	} {
		t.Setenv("PORT", tt.port)
		if got, err := resolve(tt.addr); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  Option
		want string
	}{
		{"no budget", WithMemoryBudget(0), "WithMemoryBudget(0)"},
		{"nobody may wait", WithQueue(0, time.Second), "WithQueue(0"},
		{"no time to wait", WithQueue(1, 0), "longest wait"},
		{"a route without a slash", WithExempt("users"), `WithExempt("users")`},
		{"a negative stall", WithWriteStall(-1), "WriteStall"},
		{"no time to finish", WithDrain(0, 0), "ShutdownTimeout"},
	} {
		if _, err := New(tt.opt); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want it to mention %s", tt.name, err, tt.want)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until polls a state that nothing announces.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited too long")
		}
	}
}
