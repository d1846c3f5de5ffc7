package middleware

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
)

// long is worth its half minute under the race detector after a change to who
// may read what, and when: go test -race -cpu=1,4 -long.
var long = flag.Bool("long", false, "make 10,000 mixed requests instead of 2,500")

// guise is a row of which the race detector follows every reader, also where
// code that it cannot see would encode others: the tag is encoding/json's.
type guise struct {
	S string `json:",string"`
}

// take returns a value that is the request's own until it is given back.
func take(pool *sync.Pool) *[]guise {
	v := pool.Get().(*[]guise)
	for i := range *v {
		(*v)[i].S = "a text that only this request may see"
	}
	return v
}

// giveBack changes all of a value as soon as its answer has returned, and has
// other requests use it.
func giveBack(pool *sync.Pool, v *[]guise) {
	for i := range *v {
		(*v)[i].S = "changed"
	}
	pool.Put(v)
}

// TestMixedRequests has many clients ask for values that are small
// and large, whole and broken, over all protocols, and leave, or read slowly.
// What claims to be whole has to be, byte for byte, and nothing may be left.
func TestMixedRequests(t *testing.T) {
	const clients = 32
	requests := 2_500
	switch {
	case *long:
		requests = 10_000
	case testing.Short():
		requests = 500
	}
	sizes := map[string]int{"small": 3, "held": 100, "large": 600}
	pools, wants := map[string]*sync.Pool{}, map[string][]byte{}
	for size, n := range sizes {
		pools[size] = &sync.Pool{New: func() any { return new(make([]guise, n)) }}
		wants[size] = jsonOf(t, take(pools[size]))
	}
	ends := map[string]any{"whole": nil, "error": math.NaN()}
	for name, end := range abrupt {
		ends[name] = end
	}

	r := spoken()
	silent := gin.RecoveryWithWriter(nil) // the sources take long to print
	r.Use(func(c *gin.Context) {
		if c.Query("recovery") == "true" {
			silent(c)
		}
	})
	for _, w := range ways {
		r.Match([]string{"GET", "HEAD"}, "/"+w.name+"/:size", func(c *gin.Context) {
			pool := pools[c.Param("size")]
			own := take(pool)
			defer giveBack(pool, own)
			var value any = own
			if end := ends[c.Query("end")]; end != nil {
				value = []any{own, end}
			}
			w.answer(c, 200, value)
		})
	}
	// Requests whose clients have left wait, too, until that is noticed.
	s := serve(t, r, WithQueue(requests, deadline), small(encoder.WithWorkers(2), encoder.WithQueue(8),
		encoder.WithQuantum(1<<10), encoder.WithWriteSize(4<<10), encoder.WithHold(8<<10)))

	visitors := make([]*visitor, len(protocols))
	for i, p := range protocols {
		visitors[i] = s.over(p)
	}
	var left, whole, broken, refused atomic.Int64
	left.Store(int64(requests))
	names, sizeNames := slices.Collect(maps.Keys(ends)), slices.Collect(maps.Keys(sizes))
	request := func() error {
		v := visitors[rand.IntN(len(visitors))]
		w := ways[rand.IntN(len(ways))]
		size := sizeNames[rand.IntN(len(sizeNames))]
		end := "whole"
		if rand.IntN(6) == 0 {
			end = names[rand.IntN(len(names))]
		}
		path := fmt.Sprintf("/%s/%s?end=%s&recovery=%t", w.name, size, url.QueryEscape(end), rand.IntN(2) == 0)
		what := v.protocol.name + " " + path
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		method := "GET"
		take := int64(math.MaxInt64) // bytes, until the client leaves
		slow := false
		switch rand.IntN(10) {
		case 0:
			method = "HEAD"
		case 1:
			take = rand.Int64N(int64(len(wants[size]) + 1))
		case 2:
			go leave() // before or after anything has come
			take = 0
		case 3:
			slow = true
		}
		resp, err := v.open(ctx, method, path)
		if err != nil {
			if end == "whole" && take == math.MaxInt64 {
				return fmt.Errorf("%s %s: %w", method, what, err)
			}
			broken.Add(1)
			return nil
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		from := io.LimitReader(resp.Body, take)
		if slow {
			from = &dawdling{from}
		}
		_, err = body.ReadFrom(from)
		switch {
		case take < math.MaxInt64:
			broken.Add(1)
			return nil // it has left
		case err != nil && end == "whole":
			return fmt.Errorf("%s %s: %d bytes and %w", method, what, body.Len(), err)
		case err != nil:
			broken.Add(1)
			return nil
		case resp.StatusCode == http.StatusServiceUnavailable && w.streams:
			refused.Add(1)
			if body.Len() > 0 || resp.Header.Get("Retry-After") == "" {
				return fmt.Errorf("%s: 503 with %d bytes and the headers %v", what, body.Len(), resp.Header)
			}
			return nil
		case method == "HEAD":
			if body.Len() > 0 || resp.StatusCode != 200 && end == "whole" {
				return fmt.Errorf("HEAD %s: %d bytes with %s", what, body.Len(), resp.Status)
			}
			return nil
		case end != "whole":
			if resp.StatusCode != 500 || body.Len() > 0 {
				return fmt.Errorf("%s: %d bytes with %s, as if that were all", what, body.Len(), resp.Status)
			}
			return nil
		case resp.StatusCode != 200 || !w.same(body.Bytes(), wants[size]):
			return fmt.Errorf("%s: %d bytes with %s, want %d", what, body.Len(), resp.Status, len(wants[size]))
		}
		whole.Add(1)
		return nil
	}
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for left.Add(-1) >= 0 && !t.Failed() {
				if err := request(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s.idle()
	t.Logf("%d whole, %d broken, %d refused; %+v", whole.Load(), broken.Load(), refused.Load(), s.guard.Stats())
}

// dawdling reads a little at a time, and has others go first.
type dawdling struct{ io.Reader }

func (d *dawdling) Read(p []byte) (int, error) {
	for range 10 {
		runtime.Gosched()
	}
	return d.Reader.Read(p[:min(len(p), 1<<10)])
}

// failing is a writer that the app has put in between, and that fails after
// some writes.
type failing struct {
	gin.ResponseWriter
	left int
	fail func() (int, error)
}

func (w *failing) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return w.fail()
	}
	return w.ResponseWriter.Write(p)
}

// A handler changes its value as soon as its answer has ended. The clients that
// leave and the errors of values are among the mixed requests.
func TestAValueIsItsHandlersAgainWhateverEndsTheAnswer(t *testing.T) {
	fails := map[string]func() (int, error){
		"an error":       func() (int, error) { return 0, errRefused },
		"a short write":  func() (int, error) { return 1, nil },
		"a panic":        func() (int, error) { panic(errRefused) },
		"runtime.Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	}
	pool := &sync.Pool{New: func() any { return new(make([]guise, 3000)) }}
	want := jsonOf(t, take(pool))
	r := spoken()
	r.GET("/whole", func(c *gin.Context) {
		own := take(pool)
		defer giveBack(pool, own)
		JSON(c, 200, own)
	})
	for name, fail := range fails {
		for _, recovery := range []bool{false, true} {
			chain := gin.HandlersChain{func(c *gin.Context) {
				own := take(pool)
				defer giveBack(pool, own)
				c.Writer = &failing{c.Writer, 3, fail}
				JSON(c, 200, own)
			}}
			if recovery {
				chain = append(gin.HandlersChain{gin.RecoveryWithWriter(nil)}, chain...)
			}
			r.GET(fmt.Sprintf("/%s/%t", name, recovery), chain...)
		}
	}
	s := serve(t, r, small())
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			v := s.over(p)
			v.t = t
			for name := range fails {
				for _, recovery := range []bool{false, true} {
					v.wantBroken(fmt.Sprintf("/%s/%t", url.PathEscape(name), recovery))
				}
				v.wantWhole(ways[0], "/whole", want)
			}
		})
	}
	// At last the guard closes among them.
	var group sync.WaitGroup
	for i := range 40 {
		v := s.over(protocols[i%len(protocols)])
		group.Go(func() {
			a := v.ask("GET", "/whole")
			if a.err != nil || a.status != 503 && (a.status != 200 || !bytes.Equal(a.body, want)) {
				t.Errorf("while the guard closes: %v", a)
			}
		})
		if i == 20 {
			group.Go(func() {
				if err := s.guard.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	s.idle()
}
