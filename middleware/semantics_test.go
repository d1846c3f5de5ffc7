package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"

	"github.com/probelane/probelane/encoder"
)

// Small enough for a value of some kilobytes to be a large one.
const (
	testQuantum = 4 << 10
	testWrite   = 16 << 10
	testHold    = 32 << 10
)

// small sets up an encoder to which beyond is a large value.
func small(more ...encoder.Option) Option {
	return WithEncoder(append([]encoder.Option{
		encoder.WithWorkers(1), encoder.WithQuantum(testQuantum), encoder.WithWriteSize(testWrite), encoder.WithHold(testHold),
	}, more...)...)
}

// beyond is two and a half times what is held back.
func beyond() []row { return rows(1000) }

// endless is 800 MB of JSON in no memory at all. An encoder lets 20 of them wait.
func endless() []struct{} { return make([]struct{}, 1<<28) }

// flood keeps the guard's encoder busy with n values, again and again, until it
// is told to stop. Their turns are all that a value behind them waits for.
func (s *served) flood(n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	accepted := func() int64 {
		st := s.guard.Stats().Encoder
		return st.Pooled - st.Overloaded
	}
	before := accepted()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			var err error
			for err == nil || errors.Is(err, encoder.ErrOverloaded) { // by the others
				_, err = s.guard.enc.Encode(ctx, io.Discard, endless())
			}
			if !errors.Is(err, context.Canceled) {
				s.t.Errorf("the flood ended with %v", err)
			}
		})
	}
	until(s.t, func() bool { return accepted() >= before+int64(n) })
	return func() {
		cancel()
		group.Wait()
	}
}

// idle waits until nothing is left of all requests.
func (s *served) idle() {
	s.t.Helper()
	until(s.t, func() bool {
		st := s.guard.Stats()
		return st.InFlight == 0 && st.Waiting == 0 && st.Held == 0 && st.Encoder.Waiting == 0 && st.Encoder.Inline == 0
	})
}

func TestAnOverloadedEncoderRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   encoder.Option
		forever bool // even an idle encoder takes longer
	}{
		{"a full queue", encoder.WithQueue(1), false},
		{"a wait longer than allowed", encoder.WithQueueTimeout(1), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			value := beyond()
			r, all := recorded()
			for _, w := range ways {
				r.GET("/"+w.name, func(c *gin.Context) { w.answer(c, 200, value) })
			}
			s := serve(t, r, small(encoder.WithQueueTimeout(0), tt.limit))
			stop := s.flood(3)
			s.everyWay(func(t *testing.T, v *visitor, w way) {
				if w.name == "c.JSON" { // has nobody to tell
					v.wantWhole(w, "/"+w.name, jsonOf(t, value))
					await(t, all)
					return
				}
				// Between two quanta of the flood there may be room.
				until(t, func() bool {
					a := v.ask("GET", "/"+w.name)
					e := await(t, all)
					switch {
					case a.err == nil && a.status == 503:
						if len(e.errs) != 1 || !errors.Is(e.errs[0], encoder.ErrOverloaded) || e.size > 0 {
							t.Errorf("in the handler: %+v, want ErrOverloaded", e)
						}
						if len(a.body) > 0 || a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "" {
							t.Errorf("%v, want Retry-After and nothing else", a)
						}
						return true
					case a.err != nil || a.status != 200 || !w.same(a.body, jsonOf(t, value)):
						t.Fatalf("%v, want 503 or all", a)
					}
					return !w.streams
				})
			})
			stop()
			if st := s.guard.Stats().Encoder; st.Overloaded == 0 || st.Failed != 3 {
				t.Errorf("%+v, want only the flood to have failed", st)
			}
			if !tt.forever {
				s.everyWay(func(t *testing.T, v *visitor, w way) { v.wantWhole(w, "/"+w.name, jsonOf(t, value)) })
			}
		})
	}
}

func TestAClientThatLeavesWhileItsValueIsQueued(t *testing.T) {
	r, all := recorded()
	r.GET("/", func(c *gin.Context) { JSON(c, 200, endless()) })
	s := serve(t, r, small(encoder.WithHold(32<<20)))
	defer s.flood(16)()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			pooled := s.guard.Stats().Encoder.Pooled
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() {
				_, err := s.over(p).open(ctx, "GET", "/")
				left <- err
			}()
			until(t, func() bool { return s.guard.Stats().Encoder.Pooled > pooled })
			leave()
			if err := await(t, left); !errors.Is(err, context.Canceled) {
				t.Errorf("the client got %v", err)
			}
			e := await(t, all)
			if len(e.errs) != 1 || !errors.Is(e.errs[0], context.Canceled) || e.size > 0 {
				t.Errorf("in the handler: %+v, want the context's error and nothing written", e)
			}
		})
	}
}

func TestAClientThatLeavesWhileItsValueIsStreamed(t *testing.T) {
	r, all := recorded()
	r.GET("/", func(c *gin.Context) { JSON(c, 200, endless()) })
	s := serve(t, r, small())
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			v := s.over(p)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			resp, err := v.open(ctx, "GET", "/")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, resp.Body, 4*testHold); err != nil {
				t.Fatal(err)
			}
			leave()
			resp.Body.Close()
			if e := await(t, all); len(e.errs) != 1 || e.size <= 0 {
				t.Errorf("in the handler: %+v, want an error after some bytes", e)
			}
			s.idle()
		})
	}
}

func TestAClientThatLeavesEndsTheEncoding(t *testing.T) {
	const all, leaving = 4000, 500 // a quantum is some hundreds of them
	item := []byte(`"a text of some length"`)
	r, ends := recorded()
	var called int
	var leave context.CancelFunc
	for _, w := range ways {
		r.GET("/"+w.name, func(c *gin.Context) {
			value := make([]marshalerFunc, all)
			for i := range value {
				value[i] = func() ([]byte, error) { called++; return item, nil }
			}
			value[leaving] = func() ([]byte, error) {
				leave()
				<-c.Request.Context().Done()
				return item, nil
			}
			w.answer(c, 200, value)
		})
	}
	s := serve(t, r, small(encoder.WithHold(1<<20)))
	s.everyWay(func(t *testing.T, v *visitor, w way) {
		called = 0
		var ctx context.Context
		ctx, leave = context.WithCancel(t.Context())
		if resp, err := v.open(ctx, "GET", "/"+w.name); err == nil {
			resp.Body.Close()
			t.Errorf("the client got %v", resp.Status)
		}
		e := await(t, ends)
		if w.name == "c.JSON" { // knows no client
			if called != all-1 {
				t.Errorf("%d values were encoded, want all", called)
			}
			return
		}
		if w.streams && (len(e.errs) != 1 || !errors.Is(e.errs[0], context.Canceled) || called > leaving+all/2) {
			t.Errorf("in the handler: %+v after %d more values", e, called-leaving)
		}
	})
	s.idle()
}

func TestAnErrorBeforeTheFirstByteIsA500(t *testing.T) {
	values := map[string]any{
		"NaN":         math.NaN(),
		"late NaN":    append(make([]float64, 10_000), math.NaN()),
		"a channel":   make(chan int),
		"a marshaler": marshalerFunc(func() ([]byte, error) { return nil, errRefused }),
	}
	r, all := recorded()
	for name, value := range values {
		for _, w := range ways {
			r.GET("/"+w.name+"/"+name+"/:code", func(c *gin.Context) {
				code, _ := strconv.Atoi(c.Param("code"))
				w.answer(c, code, value)
			})
		}
	}
	r.GET("/empty", func(c *gin.Context) { c.Status(202) })
	s := serve(t, r, small())
	for name, value := range values {
		_, want := json.Marshal(value)
		s.everyWay(func(t *testing.T, v *visitor, w way) {
			for _, code := range []int{200, 201} {
				a := v.wantStatus(fmt.Sprintf("/%s/%s/%d", w.name, name, code), 500)
				if a.header.Get("Content-Type") != "" {
					t.Errorf("%s: %v", name, a)
				}
				if e := await(t, all); len(e.errs) != 1 || e.errs[0].Error() != want.Error() {
					t.Errorf("%s: in the handler %+v, want %v", name, e, want)
				}
				// The connection, and with it the goroutine, is the same.
				v.wantStatus("/empty", 202)
				await(t, all)
			}
		})
	}
}

// abrupt are the ends of a value whose marshaler does not return.
var abrupt = map[string]marshalerFunc{
	"a panic":             func() ([]byte, error) { panic("a marshaler's") },
	"runtime.Goexit":      func() ([]byte, error) { runtime.Goexit(); return nil, nil },
	"a panic of an error": func() ([]byte, error) { panic(errRefused) },
}

func TestAnAbruptEndBeforeTheFirstByte(t *testing.T) {
	for _, recovery := range []bool{false, true} {
		t.Run("gin.Recovery: "+strconv.FormatBool(recovery), func(t *testing.T) {
			r := spoken()
			if recovery {
				r.Use(gin.Recovery())
			}
			for name, end := range abrupt {
				value := append([]any{rows(300)}, end)
				for _, w := range ways {
					r.GET("/"+w.name+"/"+name, func(c *gin.Context) { w.answer(c, 200, value) })
				}
			}
			s := serve(t, r, small())
			s.everyWay(func(t *testing.T, v *visitor, w way) {
				for name := range abrupt {
					path := "/" + w.name + "/" + name
					if name == "runtime.Goexit" {
						v.wantBroken(path) // there is nobody left to answer
					} else {
						v.wantStatus(path, 500)
					}
				}
				if a := v.ask("GET", "/livez"); a.status != 200 {
					t.Errorf("/livez: %v", a)
				}
			})
			s.idle()
		})
	}
}

// endsBadly cannot be encoded to its end, and is streaming by then.
func endsBadly(end any) any { return []any{beyond(), end} }

func TestAnEndAfterStreamingBeganIsABrokenBody(t *testing.T) {
	ends := map[string]any{
		"an error":             math.NaN(),
		"a marshaler's error":  marshalerFunc(func() ([]byte, error) { return nil, errRefused }),
		"http.ErrAbortHandler": marshalerFunc(func() ([]byte, error) { panic(http.ErrAbortHandler) }),
	}
	for name, end := range abrupt {
		ends[name] = end
	}
	for _, recovery := range []bool{false, true} {
		t.Run("gin.Recovery: "+strconv.FormatBool(recovery), func(t *testing.T) {
			r := spoken()
			if recovery {
				r.Use(gin.Recovery())
			}
			for name, end := range ends {
				value := endsBadly(end)
				for _, w := range ways {
					r.GET("/"+w.name+"/"+name, func(c *gin.Context) { w.answer(c, 200, value) })
				}
			}
			whole := beyond()
			r.GET("/whole", func(c *gin.Context) { JSON(c, 200, whole) })
			s := serve(t, r, small())
			want := jsonOf(t, whole)
			s.everyWay(func(t *testing.T, v *visitor, w way) {
				for name := range ends {
					if name == "http.ErrAbortHandler" && !w.streams {
						continue // which gin.Recovery takes for a connection that has gone
					}
					a := v.ask("GET", "/"+w.name+"/"+name)
					refused := a.err == nil && a.status == 500 && len(a.body) == 0
					if streamed := a.err != nil; !streamed && (w.streams || !refused) {
						t.Errorf("%s: %v, as if that were all", name, a)
					}
					if a.err != nil && v.protocol.major == 2 && !strings.Contains(a.err.Error(), "stream error") {
						t.Errorf("%s: %v, want an error of the stream alone", name, a)
					}
					v.wantWhole(ways[0], "/whole", want)
				}
			})
			s.idle()
		})
	}
}

func TestGoexitAfterTheFirstByteIsABrokenBody(t *testing.T) {
	r := spoken()
	r.Use(gin.Recovery())
	r.GET("/", func(c *gin.Context) {
		c.String(200, "%s", bytes.Repeat([]byte("a"), 64<<10))
		runtime.Goexit()
	})
	s := serve(t, r)
	for _, p := range protocols {
		s.over(p).wantBroken("/")
	}
}

// caller identifies the goroutine that calls it, as its stack trace begins.
func caller() string {
	var b [64]byte
	id, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return id
}

// ownLock is a lock that its holder may take again, as long as it is the same
// goroutine.
type ownLock struct {
	sync.Mutex
	owner string
	mu    sync.Mutex // guards owner
}

func (l *ownLock) take() (release func()) {
	l.mu.Lock()
	again := l.owner == caller()
	l.mu.Unlock()
	if again {
		return func() {}
	}
	l.Lock()
	l.own(caller())
	return func() {
		l.own("")
		l.Unlock()
	}
}

func (l *ownLock) own(by string) {
	l.mu.Lock()
	l.owner = by
	l.mu.Unlock()
}

func TestAMarshalerMayTakeALockThatItsCallerHolds(t *testing.T) {
	var lock ownLock
	value := []any{rows(300), marshalerFunc(func() ([]byte, error) {
		defer lock.take()()
		return []byte(`"locked"`), nil
	}), beyond()}
	plain := []any{rows(300), "locked", beyond()}
	r := spoken()
	for _, w := range ways {
		r.GET("/"+w.name, func(c *gin.Context) {
			defer lock.take()()
			w.answer(c, 200, value)
		})
	}
	s := serve(t, r, small())
	s.everyWay(func(t *testing.T, v *visitor, w way) {
		want := jsonOf(t, plain)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { v.wantWhole(w, "/"+w.name, want) })
		}
		group.Wait()
	})
}

func TestMarshalersThatWaitForALockKeepItsHolderFromNothing(t *testing.T) {
	const waiters = 4 // more than there are workers
	var lock sync.Mutex
	var waiting, held chan struct{}
	value := []any{rows(300), marshalerFunc(func() ([]byte, error) {
		waiting <- struct{}{}
		lock.Lock()
		defer lock.Unlock()
		return []byte(`"locked"`), nil
	}), beyond()}
	plain := []any{rows(300), "locked", beyond()}
	large := beyond()
	r := spoken()
	for _, w := range ways {
		r.GET("/waiter/"+w.name, func(c *gin.Context) { w.answer(c, 200, value) })
		r.GET("/holder/"+w.name, func(c *gin.Context) {
			lock.Lock()
			defer lock.Unlock()
			close(held)
			for range waiters {
				<-waiting
			}
			w.answer(c, 200, large)
		})
	}
	s := serve(t, r, small(), WithExempt("/waiter/middleware.JSON", "/waiter/c.JSON", "/waiter/c.PureJSON"))
	s.everyWay(func(t *testing.T, v *visitor, w way) {
		waiting, held = make(chan struct{}, waiters), make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { v.wantWhole(w, "/holder/"+w.name, jsonOf(t, large)) })
		<-held
		for range waiters {
			group.Go(func() { v.wantWhole(w, "/waiter/"+w.name, jsonOf(t, plain)) })
		}
		group.Wait()
	})
}

func TestAMarshalerMayCallTheEncoder(t *testing.T) {
	inner := rows(200)
	text, _ := json.Marshal(inner)
	plain := []any{rows(300), json.RawMessage(text), beyond()}
	calls := map[string]func(g *Guard) ([]byte, error){
		"Marshal": func(g *Guard) ([]byte, error) { return g.enc.Marshal(context.Background(), inner) },
		"Encode": func(g *Guard) ([]byte, error) {
			var b bytes.Buffer
			_, err := g.enc.Encode(context.Background(), &b, inner)
			return b.Bytes(), err
		},
		"gin's codec": func(*Guard) ([]byte, error) { return ginjson.API.Marshal(inner) },
	}
	r := spoken()
	var s *served
	for name, call := range calls {
		value := []any{rows(300), marshalerFunc(func() ([]byte, error) { return call(s.guard) }), beyond()}
		for _, w := range ways {
			r.GET("/"+w.name+"/"+name, func(c *gin.Context) { w.answer(c, 200, value) })
		}
	}
	s = serve(t, r, small())
	s.everyWay(func(t *testing.T, v *visitor, w way) {
		want := jsonOf(t, plain)
		var group sync.WaitGroup
		for name := range calls {
			for range 3 {
				group.Go(func() { v.wantWhole(w, "/"+w.name+"/"+name, want) })
			}
		}
		group.Wait()
	})
}

func TestCloseLetsFinishWhatRunsAndRefusesWhatComes(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			goOn := make(chan struct{})
			large := beyond()
			running := []any{large, marshalerFunc(func() ([]byte, error) { <-goOn; return []byte("1"), nil }), large}
			r := spoken()
			r.GET("/running", func(c *gin.Context) { JSON(c, 200, running) })
			for _, w := range ways {
				r.GET("/late/"+w.name, func(c *gin.Context) { w.answer(c, 200, large) })
				r.GET("/admitted/"+w.name, func(c *gin.Context) { w.answer(c, 200, large) })
			}
			r.GET("/small", func(c *gin.Context) { JSON(c, 200, large[:1]) })
			s := serve(t, r, small(), WithExempt("/small", "/late/middleware.JSON", "/late/c.JSON", "/late/c.PureJSON"))
			v := s.over(p)
			resp, err := v.open(t.Context(), "GET", "/running")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			first := make([]byte, 100)
			if _, err := io.ReadFull(resp.Body, first); err != nil {
				t.Fatal(err)
			}
			const closers = 3
			closed := make(chan error, closers)
			for range closers {
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), deadline)
					defer cancel()
					closed <- s.guard.Close(ctx)
				}()
			}
			until(t, func() bool { return v.ask("GET", "/admitted/middleware.JSON").status == 503 })
			until(t, func() bool { return v.ask("GET", "/late/middleware.JSON").status == 503 })
			for _, w := range ways {
				v.wantRefused("/admitted/" + w.name)
				if w.name == "c.JSON" {
					v.wantWhole(w, "/late/c.JSON", jsonOf(t, large))
				} else if w.streams {
					v.wantRefused("/late/" + w.name)
				}
			}
			v.wantWhole(ways[0], "/small", jsonOf(t, large[:1]))
			if len(closed) > 0 {
				t.Errorf("Close returned %v, though a response is not complete", <-closed)
			}
			close(goOn)
			rest, err := io.ReadAll(resp.Body)
			if want := jsonOf(t, []any{large, 1, large}); err != nil || !bytes.Equal(append(first, rest...), want) {
				t.Errorf("what was running: %d bytes, %v; want %d", len(first)+len(rest), err, len(want))
			}
			for range closers {
				if err := await(t, closed); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestHEADOfAnyLength(t *testing.T) {
	short, large := rows(1), rows(250_000) // 18 MB
	r := spoken()
	for _, w := range ways {
		r.HEAD("/"+w.name+"/small", func(c *gin.Context) { w.answer(c, 200, short) })
		r.HEAD("/"+w.name+"/large", func(c *gin.Context) { w.answer(c, 200, large) })
		r.GET("/"+w.name+"/small", func(c *gin.Context) { w.answer(c, 200, short) })
	}
	s := serve(t, r)
	s.everyWay(func(t *testing.T, v *visitor, w way) {
		want := jsonOf(t, short)
		head := func(path string) reply {
			a := v.ask("HEAD", path)
			if a.err != nil || a.status != 200 || len(a.body) > 0 || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("HEAD %s: %v", path, a)
			}
			return a
		}
		a := head("/" + w.name + "/small")
		if w.name != "c.PureJSON" && a.length != int64(len(want)) {
			t.Errorf("HEAD of a small value: %v, want the length %d", a, len(want))
		}
		if !w.streams {
			return // it encodes all of it
		}
		before := s.guard.Stats().Encoder.Bytes
		a = head("/" + w.name + "/large")
		if n := s.guard.Stats().Encoder.Bytes - before; a.length != -1 || n > 2*encoder.DefaultHold {
			t.Errorf("HEAD of a large value: %d bytes were encoded for %v; want no length", n, a)
		}
		v.wantWhole(w, "/"+w.name+"/small", want) // on the same connection
	})
	s.idle()
}

func TestStatusesWithoutABodyAreWhatPlainGinSends(t *testing.T) {
	codes := []int{100, 102, 103, 204, 304}
	r := spoken()
	for _, w := range ways {
		r.GET("/"+w.name+"/:code", func(c *gin.Context) {
			code, _ := strconv.Atoi(c.Param("code"))
			w.answer(c, code, gin.H{"a": 1})
		})
	}
	want := map[string]reply{}
	t.Run("plain gin", func(t *testing.T) {
		s := bare(t, r)
		for _, p := range protocols {
			for _, code := range codes {
				want[fmt.Sprint(p.name, code)] = s.over(p).ask("GET", fmt.Sprintf("/c.JSON/%d", code))
			}
		}
	})
	serve(t, r).everyWay(func(t *testing.T, v *visitor, w way) {
		for _, code := range codes {
			want, got := want[fmt.Sprint(v.protocol.name, code)], v.ask("GET", fmt.Sprintf("/%s/%d", w.name, code))
			if want.err != nil || got.err != nil || got.status != want.status || len(got.body) > 0 || got.length != want.length ||
				got.header.Get("Content-Type") != want.header.Get("Content-Type") {
				t.Errorf("%d: %v, want %v", code, got, want)
			}
		}
	})
}
