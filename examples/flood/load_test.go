package flood

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// limit ends a load whose test ends it earlier; none of the tests runs into it.
const limit = 30 * time.Second

// serve starts a server for a handler and returns its address.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// after returns a handler that ends ctx at its nth call and answers by h.
func after(n int64, end context.CancelFunc, h http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		if calls.Add(1) == n {
			end()
		}
	}
}

func clientsHandler(entities int) http.HandlerFunc {
	body, err := json.Marshal(Build(entities))
	if err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }
}

func TestLoadCountsWholeResponses(t *testing.T) {
	for _, tc := range []struct {
		name     string
		entities int // 1000 are chunked, as they exceed what net/http holds
	}{{"with a length", 1}, {"chunked", 1000}} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			addr := serve(t, after(101, end, clientsHandler(tc.entities)))
			body, err := Verify(ctx, addr, "/clients", tc.entities)
			if err != nil {
				t.Fatal(err)
			}
			res, err := Load{Addr: addr, Path: "/clients", Body: body, Duration: limit, Clients: 4}.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if res.FirstError != nil || res.Fast.Errors+res.Fast.Broken+res.Fast.Shed != 0 {
				t.Errorf("errors where there are none: %+v, %v", res.Fast, res.FirstError)
			}
			// Four clients may each have one more under way when the 100th is answered.
			if res.Fast.OK < 96 || res.Fast.OK+res.Fast.Unfinished < 96 || res.Fast.Unfinished > 4 {
				t.Errorf("%d whole and %d unfinished, want about 100 and at most 4", res.Fast.OK, res.Fast.Unfinished)
			}
			if res.Fast.Bytes < res.Fast.OK*body.Size {
				t.Errorf("%d bytes are too few for %d bodies of %d", res.Fast.Bytes, res.Fast.OK, body.Size)
			}
			var slots Slot
			for _, s := range res.Series {
				slots.OK += s.OK
				slots.Bytes += s.Bytes
			}
			if slots.OK != res.Fast.OK || slots.Bytes != res.Fast.Bytes {
				t.Errorf("the series adds up to %+v, the tally is %+v", slots, res.Fast)
			}
			if q := res.Fast.Latency; q.P50 <= 0 || q.P50 > q.P99 || q.P99 > q.Max {
				t.Errorf("latencies out of order: %+v", q)
			}
		})
	}
}

func TestLoadTellsAnswersApart(t *testing.T) {
	good := `{"items":[{"id":1}]}`
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   func(Tally) int64
		err    string
	}{
		{
			"503 is shed",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
			func(t Tally) int64 { return t.Shed }, "",
		},
		{
			"500 is an error",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
			func(t Tally) int64 { return t.Errors }, "answered 500",
		},
		{
			"an empty 200 is broken",
			func(http.ResponseWriter, *http.Request) {},
			func(t Tally) int64 { return t.Broken }, "wrong body of 0 bytes",
		},
		{
			"another body of the same length is broken",
			func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Replace(good, "1", "2", 1))) },
			func(t Tally) int64 { return t.Broken }, "wrong body",
		},
		{
			"a body that is cut is broken",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "20")
				w.Write([]byte(good[:10]))
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			},
			func(t Tally) int64 { return t.Broken }, "body cut after 10 bytes",
		},
		{
			"a connection closed without an answer is an error",
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			func(t Tally) int64 { return t.Errors }, "EOF",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			verified := false
			var calls atomic.Int64
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !verified {
					verified = true
					w.Write([]byte(good))
					return
				}
				if calls.Add(1) == 4 {
					end() // the fourth may or may not arrive
				}
				tc.answer(w, r)
			})
			body, err := Verify(ctx, addr, "/", 1)
			if err != nil {
				t.Fatal(err)
			}
			res, err := Load{Addr: addr, Path: "/", Body: body, Duration: limit, Clients: 1}.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			tally := res.Fast
			if got := tc.want(tally); got < 3 {
				t.Errorf("counted %d, want 3 or 4: %+v", got, tally)
			}
			if got := tally.OK + tally.Shed + tally.Errors + tally.Broken; got != tc.want(tally) {
				t.Errorf("counted as something else as well: %+v", tally)
			}
			if tc.err == "" && res.FirstError != nil || tc.err != "" && (res.FirstError == nil || !strings.Contains(res.FirstError.Error(), tc.err)) {
				t.Errorf("first error %v, want %q", res.FirstError, tc.err)
			}
		})
	}
}

func TestLoadObeysRetryAfterUpToItsLimit(t *testing.T) {
	const most = 30 * time.Millisecond
	ctx, end := context.WithCancel(t.Context())
	defer end()
	addr := serve(t, after(4, end, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(503)
	}))
	res, err := Load{Addr: addr, Path: "/", Duration: limit, Clients: 1, RetryAfter: most}.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if res.Elapsed < 3*most || res.Elapsed >= limit {
		t.Errorf("four requests with three waits of %v took %v", most, res.Elapsed)
	}
}

func TestLoadGoesOnWhenTheServerClosesConnections(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	addr := serve(t, after(20, end, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Write([]byte("ok"))
	}))
	res, err := Load{Addr: addr, Path: "/", Duration: limit, Clients: 1}.Run(ctx)
	if err != nil || res.FirstError != nil || res.Fast.OK < 19 {
		t.Errorf("got %+v, %v, %v", res.Fast, res.FirstError, err)
	}
}

func TestLoadEndsByItself(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := Load{Addr: ln.Addr().String(), Path: "/", Duration: 50 * time.Millisecond, Clients: 3, Slow: 2, Stalled: 2}
	res, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if res.Elapsed != l.Duration || res.Fast.Unfinished != 3 || res.Slow.Unfinished != 2 || res.FirstError != nil {
		t.Errorf("got %+v", res)
	}
}

func TestLoadWithoutClientsLastsItsDuration(t *testing.T) {
	res, err := Load{Addr: "127.0.0.1:1", Path: "/", Duration: 30 * time.Millisecond}.Run(t.Context())
	if err != nil || res.Elapsed != 30*time.Millisecond {
		t.Errorf("lasted %v, %v", res.Elapsed, err)
	}
}

func TestStalledClientsNeverRead(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	stuck := make(chan error, 1)
	piece := make([]byte, 1<<20)
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		// A reading client would take gigabytes within this time.
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for range 1 << 20 {
			if _, err := w.Write(piece); err != nil {
				stuck <- err
				end()
				return
			}
		}
	})
	res, err := Load{Addr: addr, Path: "/", Duration: limit, Stalled: 1}.Run(ctx)
	if err != nil || res.Fast.Bytes != 0 {
		t.Errorf("a stalled client read %d bytes, %v", res.Fast.Bytes, err)
	}
	if err := <-stuck; !strings.Contains(err.Error(), "timeout") {
		t.Errorf("the server's write ended with %v, want a timeout", err)
	}
}

func TestSlowClientsAreCountedApart(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var mu sync.Mutex
	answered := map[string]int{}
	handler := clientsHandler(100)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		handler(w, r)
		mu.Lock()
		defer mu.Unlock()
		answered[r.RemoteAddr]++
		if len(answered) == 2 && slices.Min(slices.Collect(maps.Values(answered))) > 2 {
			end() // each of the two has asked a third time, so has read twice
		}
	})
	res, err := Load{Addr: addr, Path: "/", Duration: limit, Clients: 1, Slow: 1, SlowRate: 10 << 20}.Run(ctx)
	if err != nil || res.FirstError != nil {
		t.Fatal(err, res.FirstError)
	}
	if res.Fast.OK == 0 || res.Slow.OK == 0 || res.Fast.OK <= res.Slow.OK {
		t.Errorf("fast %d, slow %d: want some of both, and more of the fast", res.Fast.OK, res.Slow.OK)
	}
}

func TestLoadRefusesWhatMakesNoSense(t *testing.T) {
	for name, l := range map[string]Load{
		"no duration":      {Addr: "127.0.0.1:1", Path: "/"},
		"no address":       {Path: "/", Duration: 1},
		"no path":          {Addr: "127.0.0.1:1", Duration: 1},
		"negative clients": {Addr: "127.0.0.1:1", Path: "/", Duration: 1, Clients: -1},
	} {
		if _, err := l.Run(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestVerifyLooksAtTheWholeBody(t *testing.T) {
	for _, tc := range []struct {
		name     string
		status   int
		body     string
		entities int
		want     string // "" is success
	}{
		{"the right number of clients", 200, `{"items":[{"id":1},{"id":2}]}`, 2, ""},
		{"any JSON where no number is asked for", 200, `["ok"]`, -1, ""},
		{"too few clients", 200, `{"items":[{"id":1}]}`, 2, "1 clients, want 2"},
		{"the wrong clients", 200, `{"items":[{"id":1},{"id":1}]}`, 2, "id 1, want 2"},
		{"half a body", 200, `{"items":[{"id":1},`, 2, "unexpected end"},
		{"no JSON", 200, `<html>`, -1, "not one JSON value"},
		{"another status", 404, `nothing here`, 2, "404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				w.Write([]byte(tc.body))
			})
			body, err := Verify(t.Context(), addr, "/", tc.entities)
			switch {
			case tc.want == "" && (err != nil || body.Size != int64(len(tc.body))):
				t.Errorf("got %+v, %v", body, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := Verify(ctx, ln.Addr().String(), "/", 1); err == nil || ctx.Err() == nil {
		t.Errorf("error %v, context %v", err, ctx.Err())
	}
}
