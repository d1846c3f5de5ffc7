package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/probelane/probelane/internal/server"
)

var long = flag.Bool("long", false, "put the lane under stress for minutes, and 10,000 connections on it")

// patience bounds everything that a test waits for.
const patience = 30 * time.Second

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// laned is a server behind a lane.
type laned struct {
	registry *Registry
	lane     *Lane
	server   *http.Server
	addr     net.Addr
}

// echo answers with what it has got of a request.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %q %v\n", r.Method, r.URL, r.Proto, body, err)
})

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// on skips the test where there is no lane.
func on(t testing.TB, l *Lane) {
	t.Helper()
	s := l.Stats()
	if s.On {
		return
	}
	l.Close()
	if hasLane() {
		t.Fatalf("the lane is off: %s", s.Why)
	}
	t.Skip(s.Why)
}

// serveLane serves r and echo behind a lane until the test ends.
func serveLane(t testing.TB, r *Registry, ln net.Listener, opts ...LaneOption) *laned {
	t.Helper()
	lane, err := r.Lane(ln, opts...)
	if err != nil {
		t.Fatal(err)
	}
	on(t, lane)
	s := &laned{registry: r, lane: lane, addr: ln.Addr(), server: &http.Server{Handler: r.Wrap(echo), ErrorLog: discard}}
	serve(t, s.server, lane)
	return s
}

// serve serves until the test ends.
func serve(t testing.TB, srv *http.Server, ln net.Listener) {
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
}

func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(addr.Network(), addr.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// probeRequest is what kubelet sends.
func probeRequest(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n"
}

// ask sends a request on a new connection and returns all that comes.
func ask(t testing.TB, addr net.Addr, request string) string {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

func (s *laned) wantProbe(t testing.TB, path string, status int) {
	t.Helper()
	before := s.lane.Stats().Answered
	if got := ask(t, s.addr, probeRequest(path)); !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", status)) {
		t.Errorf("%s: want %d, got %q", path, status, got)
	}
	eventually(t, "the lane counts its answer", func() bool { return s.lane.Stats().Answered == before+1 })
}

// exchange is what a client sends. It waits a little after each piece, which
// decides nothing: however the pieces arrive, the responses are to be the same.
type exchange struct {
	name   string
	pieces []string
	lane   uint64 // requests that the lane is to answer
}

// either: in pieces that may arrive as one, and be a probe then.
const either = 1 << 63

func one(name, request string) exchange { return exchange{name: name, pieces: []string{request}} }

func exchanges() []exchange {
	const get, end = "GET /livez HTTP/1.1\r\nHost: x\r\n", "Connection: close\r\n\r\n"
	probes := []exchange{
		one("kubelet", probeRequest("/livez")),
		one("kubelet, not ready", probeRequest("/readyz")),
		one("startup", probeRequest("/startupz")),
		one("health", probeRequest("/healthz")),
		one("kept", get+"\r\n"),
		one("kept, said so", get+"Connection: Keep-Alive\r\n\r\n"),
		one("HEAD", "HEAD /livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("HEAD of a failure", "HEAD /readyz HTTP/1.1\r\nHost: x\r\n"+end),
		one("HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n"),
		one("HTTP/1.0 with a host", "GET /livez HTTP/1.0\r\nHost: x\r\n"+end),
		one("headers in any case", "GET /livez HTTP/1.1\r\nHOST: x\r\naccept: */*\r\nCONNECTION: CLOSE\r\n\r\n"),
		one("text", get+"Accept: text/plain\r\n"+end),
		one("text in any case", get+"Accept: Text/PLAIN\r\n"+end),
		one("compressed", get+"Accept-Encoding: gzip\r\n"+end),
		one("headers of anyone's", get+"X-Probe: a, b; c=\"d\"\r\nCookie: e\r\n"+end),
		one("IPv6 host", "GET /livez HTTP/1.1\r\nHost: [::1]:8080\r\n"+end),
		one("empty values, no spaces", "GET /livez HTTP/1.1\r\nHost:x\r\nX:\r\nY:   \r\n"+end),
		one("nearly long", get+"X: "+strings.Repeat("x", 900)+"\r\n"+end),
	}
	for i := range probes {
		probes[i].lane = 1
	}
	return append(probes,
		exchange{"two on one connection", []string{get + "\r\n", get + "\r\n"}, 2},
		exchange{"a probe, then another request", []string{get + "\r\n", "GET /other HTTP/1.1\r\nHost: x\r\n" + end}, 1},
		exchange{"a probe, then garbage", []string{get + "\r\n", "\x00\x01\x02\r\n\r\n"}, 1},
		exchange{"a probe, then half of one", []string{get + "\r\n", get}, 1},
		exchange{"a probe, then a body", []string{get + "\r\n", "POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"}, 1},
		one("another path", "GET /other HTTP/1.1\r\nHost: x\r\n"+end),
		one("a longer path", "GET /livez/ HTTP/1.1\r\nHost: x\r\n"+end),
		one("a shorter path", "GET /live HTTP/1.1\r\nHost: x\r\n"+end),
		one("verbose", "GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n"+end),
		one("without a check", "GET /readyz?exclude=never HTTP/1.1\r\nHost: x\r\n"+end),
		one("a format", "GET /readyz?format=health HTTP/1.1\r\nHost: x\r\n"+end),
		one("a check", "GET /readyz/never HTTP/1.1\r\nHost: x\r\n"+end),
		one("HEAD of a check", "HEAD /readyz/ping HTTP/1.1\r\nHost: x\r\n"+end),
		one("a check that is none", "GET /readyz/nothing HTTP/1.1\r\nHost: x\r\n"+end),
		one("a query that is too long", "GET /livez?"+strings.Repeat("a", maxQuery+1)+" HTTP/1.1\r\nHost: x\r\n"+end),
		one("an empty query", "GET /livez? HTTP/1.1\r\nHost: x\r\n"+end),
		one("a fragment", "GET /livez#x HTTP/1.1\r\nHost: x\r\n"+end),
		one("an escaped path", "GET /%6civez HTTP/1.1\r\nHost: x\r\n"+end),
		one("two slashes", "GET //livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("absolute form", "GET http://x/livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("asterisk form", "OPTIONS * HTTP/1.1\r\nHost: x\r\n"+end),
		one("CONNECT", "CONNECT /livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("POST", "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"+end),
		one("lower case", "get /livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("HTTP/1.2", "GET /livez HTTP/1.2\r\nHost: x\r\n"+end),
		one("HTTP/0.9", "GET /livez\r\n"),
		one("HTTP/2.0", "GET /livez HTTP/2.0\r\nHost: x\r\n"+end),
		one("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		one("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		one("two spaces", "GET  /livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("a space at the end", "GET /livez HTTP/1.1 \r\nHost: x\r\n"+end),
		one("a tab", "GET\t/livez HTTP/1.1\r\nHost: x\r\n"+end),
		one("line feeds only", "GET /livez HTTP/1.1\nHost: x\nConnection: close\n\n"),
		one("an empty line first", "\r\n"+get+end),
		one("carriage returns only", "GET /livez HTTP/1.1\rHost: x\r\r"),
		one("no host", "GET /livez HTTP/1.1\r\n"+end),
		one("an empty host", "GET /livez HTTP/1.1\r\nHost:\r\n"+end).by(1),
		one("two hosts", get+"Host: y\r\n"+end),
		one("a bad host", "GET /livez HTTP/1.1\r\nHost: a b\r\n"+end),
		one("a worse host", "GET /livez HTTP/1.1\r\nHost: \x80\r\n"+end),
		one("a folded header", get+"X: a\r\n b\r\n"+end),
		one("a space before the colon", get+"X : a\r\n"+end),
		one("a header without a colon", get+"X\r\n"+end),
		one("a header without a name", get+": a\r\n"+end),
		one("a header with a control character", get+"X: \x01\r\n"+end),
		one("a header that is not ASCII", get+"X: \xe4\r\n"+end),
		one("JSON", get+"Accept: application/health+json\r\n"+end),
		one("two Accepts", get+"Accept: */*\r\nAccept: text/plain\r\n"+end),
		one("upgrade", get+"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
		one("h2c upgrade", get+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
		one("close among others", get+"Connection: close, te\r\nTE: trailers\r\n\r\n"),
		one("two Connections", get+"Connection: keep-alive\r\n"+end),
		one("HTTP/1.0 kept", "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
		one("an empty body", get+"Content-Length: 0\r\n"+end),
		one("a body", get+"Content-Length: 5\r\n"+end+"hello"),
		one("a chunked body", get+"Transfer-Encoding: chunked\r\n"+end+"5\r\nhello\r\n0\r\n\r\n"),
		one("both lengths", get+"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"+end+"0\r\n\r\n"),
		one("a bad length", get+"Content-Length: x\r\n"+end),
		one("expectation", get+"Expect: 100-continue\r\nContent-Length: 5\r\n"+end+"hello"),
		one("pipelined probes", get+"\r\n"+get+end),
		one("pipelined with another", get+"\r\nGET /other HTTP/1.1\r\nHost: x\r\n"+end),
		one("pipelined garbage", get+"\r\nx"),
		one("an empty line behind", get+end+"\r\n"),
		one("long", get+"X: "+strings.Repeat("x", 2000)+"\r\n"+end),
		one("exactly as long as is looked at", get+"X: "+strings.Repeat("x", 1024-len(get+"X: \r\n"+end))+"\r\n"+end),
		one("one byte less", get+"X: "+strings.Repeat("x", 1023-len(get+"X: \r\n"+end))+"\r\n"+end).by(1),
		one("much too long", get+"X: "+strings.Repeat("x", 2<<20)+"\r\n"+end),
		one("many headers", get+strings.Repeat("X: y\r\n", 5000)+end),
		one("half a request", "GET /livez HTTP/1.1\r\nHo"),
		one("half a line", "GET /li"),
		one("one byte", "G"),
		one("nothing", ""),
		one("zeros", strings.Repeat("\x00", 100)),
		one("text", "hello\r\n\r\n"),
		exchange{"in two pieces", []string{"GET /livez HT", "TP/1.1\r\nHost: x\r\n" + end}, either},
		exchange{"the last byte alone", []string{strings.TrimSuffix(get+end, "\n"), "\n"}, either},
		exchange{"the first byte alone", []string{"G", strings.TrimPrefix(get+end, "G")}, either},
		exchange{"byte by byte", strings.Split(get+end, ""), either},
	)
}

func (e exchange) by(n uint64) exchange { e.lane = n; return e }

// date is what may differ between two responses.
var date = regexp.MustCompile(`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n`)

// run plays an exchange: the pieces, the end of the sending side, and all that
// comes back until the other side has ended too. It calls begun when the first
// bytes are sent.
func (e exchange) run(t *testing.T, addr net.Addr, served func() uint64, begun func()) string {
	c := dial(t, addr)
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i, piece := range e.pieces {
			if i > 0 {
				time.Sleep(2 * time.Millisecond)
				// Probes in a row are one after the other, not pipelined.
				for end := time.Now().Add(patience); served != nil && e.lane > 0 && e.lane < either && served() < min(uint64(i), e.lane) && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
			}
			if i == 0 {
				n, _ := io.WriteString(c, piece[:min(len(piece), 4096)])
				piece = piece[n:]
				begun()
			}
			if _, err := io.WriteString(c, piece); err != nil {
				return // answered and closed before all was sent
			}
		}
		c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, _ := io.ReadAll(c) // a reset ends it too
	<-sent
	return string(date.ReplaceAll(got, []byte("Date: then\r\n")))
}

func TestLaneAnswersAsTheHandlerDoes(t *testing.T) {
	for _, test := range []struct {
		network string
		behind  bool // Accept is, and takes connections itself
		ahead   bool // and reads from them
	}{{"tcp4", false, false}, {"tcp6", false, false}, {"unix", false, false}, {"tcp4", true, false}, {"tcp6", true, true}} {
		network := test.network
		t.Run(fmt.Sprintf("%s, Accept is behind: %v, and reads ahead: %v", network, test.behind, test.ahead), func(t *testing.T) {
			r := started(t, WithReadiness("never", func(context.Context) error { return errors.New("no") }))
			eventually(t, "the check fails", func() bool { return statusOf(t, r, "never").Runs > 0 })
			address := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": ""}
			at := func(name string) string {
				if network == "unix" {
					return t.TempDir() + "/" + name
				}
				return address[network]
			}
			plain := listen(t, network, at("plain"))
			serve(t, &http.Server{Handler: r.Wrap(echo), ErrorLog: discard}, plain)
			lane, err := r.Lane(listen(t, network, at("lane")))
			if err != nil {
				t.Fatal(err)
			}
			on(t, lane)
			var ln net.Listener = lane
			busy := func(*testing.T) func() { return func() {} }
			if test.behind {
				ln, busy = behindGate(lane)
			}
			if test.ahead {
				s, err := server.New(server.Defaults())
				if err != nil {
					t.Fatal(err)
				}
				ln = s.Listener(ln)
			}
			serve(t, &http.Server{Handler: r.Wrap(echo), ErrorLog: discard}, ln)
			for _, e := range exchanges() {
				t.Run(e.name, func(t *testing.T) {
					before := lane.Stats().Answered
					want := e.run(t, plain.Addr(), nil, func() {})
					got := e.run(t, lane.Addr(), func() uint64 { return lane.Stats().Answered - before }, busy(t))
					if got != want {
						t.Errorf("with the lane %.300q\nwithout it   %.300q", got, want)
					}
					if n := lane.Stats().Answered - before; n != e.lane && e.lane < either {
						t.Errorf("the lane has answered %d requests, want %d", n, e.lane)
					}
				})
			}
		})
	}
}

func TestLanePassesOnWhatIsNotWhole(t *testing.T) {
	s := serveLane(t, started(t), listen(t, "tcp", "127.0.0.1:0"))
	request := probeRequest("/livez")
	for i, n := range []int{0, 1, 4, 20, len(request) - 1} {
		c := dial(t, s.addr)
		defer c.Close()
		io.WriteString(c, request[:n]) // a silent one leaves after a second
		eventually(t, "it is handed over", func() bool { return s.lane.Stats().Passed == uint64(i+1) })
		io.WriteString(c, request[n:])
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
			t.Errorf("after %d bytes: got %q, %v", n, got, err)
		}
	}
	if n := s.lane.Stats().Answered; n != 0 {
		t.Errorf("the lane has answered %d", n)
	}
}

func TestLaneFollowsTheRegistry(t *testing.T) {
	r := started(t)
	s := serveLane(t, r, listen(t, "tcp", "127.0.0.1:0"))
	s.wantProbe(t, "/readyz", 200)

	answered := func(status string) func() bool {
		return func() bool { return strings.HasPrefix(ask(t, s.addr, probeRequest("/readyz")), "HTTP/1.1 "+status) }
	}
	r.SetDraining(true)
	eventually(t, "readiness fails", answered("503"))
	s.wantProbe(t, "/livez", 200)
	kept := strings.Replace(probeRequest("/livez"), "Connection: close\r\n", "", 1)
	if got := ask(t, s.addr, kept); !strings.Contains(got, "\r\nConnection: close\r\n") {
		t.Errorf("a draining lane keeps the connection: %q", got)
	}
	r.SetDraining(false)
	eventually(t, "readiness passes", answered("200"))

	r.Release("/readyz")
	eventually(t, "a released path is the app's", func() bool {
		before := s.lane.Stats().Answered
		got := ask(t, s.addr, probeRequest("/readyz"))
		return s.lane.Stats().Answered == before && strings.HasSuffix(got, "GET /readyz HTTP/1.1 \"\" <nil>\n")
	})
}

func TestLaneKnowsWhenAResultTurnsStale(t *testing.T) {
	release := make(chan struct{})
	var runs atomic.Int32
	hangs := func(context.Context) error {
		if runs.Add(1) > 1 {
			<-release
		}
		return nil
	}
	r := started(t, WithReadiness("hangs", hangs, Interval(10*time.Millisecond), Timeout(300*time.Millisecond),
		Staleness(400*time.Millisecond), FailureThreshold(1000)))
	t.Cleanup(func() { close(release) })
	s := serveLane(t, r, listen(t, "tcp", "127.0.0.1:0"))
	eventually(t, "readiness fails", func() bool { return strings.Contains(ask(t, s.addr, probeRequest("/readyz")), " 503 ") })
	if n := s.lane.Stats().Answered; n == 0 {
		t.Error("the lane has not answered")
	}
}

func TestLaneIsOffForOtherListeners(t *testing.T) {
	r := made(t)
	ln := listen(t, "tcp", "127.0.0.1:0")
	lane, err := r.Lane(tls.NewListener(ln, &tls.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	if s := lane.Stats(); s.On || s.Why == "" {
		t.Errorf("Stats = %+v, want it to be off and to say why", s)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := lane.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	dial(t, ln.Addr()).Close()
	c := <-accepted
	if _, ok := c.(*tls.Conn); !ok {
		t.Errorf("Accept gave a %T, want what the listener gives", c)
	}
	c.Close()
	if err := lane.Close(); err != nil {
		t.Error(err)
	}
	if _, err := lane.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close = %v", err)
	}
}

func TestLaneOptionsAreChecked(t *testing.T) {
	r := made(t)
	ln := listen(t, "tcp", "127.0.0.1:0")
	defer ln.Close()
	for name, opt := range map[string]LaneOption{
		"HeartbeatLimit(1ms)": HeartbeatLimit(time.Millisecond),
		"HeartbeatLimit(0s)":  HeartbeatLimit(0),
		"IdleTimeout(-1s)":    IdleTimeout(-time.Second),
	} {
		if _, err := r.Lane(ln, opt); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
