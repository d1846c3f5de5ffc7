package middleware

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
)

// produced yields n rows.
func produced(n int) iter.Seq[row] {
	return func(yield func(row) bool) {
		for i := range n {
			if !yield(row{i, "a name like <many> others & more", 1.5}) {
				return
			}
		}
	}
}

// endingIn yields n rows and then whatever end makes of it.
func endingIn(n int, end func() error) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for r := range produced(n) {
			if !yield(r, nil) {
				return
			}
		}
		if err := end(); err != nil {
			yield(row{}, err)
		}
	}
}

// linesOf is v, a list, as NDJSON.
func linesOf(t *testing.T, v []row) []byte {
	var b bytes.Buffer
	for i := range v {
		b.Write(jsonOf(t, v[i]))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// wanting sends a request with an Accept.
func (v *visitor) wanting(ctx context.Context, accept, method, path string) (*http.Response, error) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return v.client.Do(req)
}

func TestWhoGetsLines(t *testing.T) {
	const nd, array = "application/x-ndjson", "application/json; charset=utf-8"
	r := spoken()
	r.GET("/", func(c *gin.Context) { Stream(c, 200, produced(2)) })
	s := serve(t, r)
	for accept, want := range map[string]string{
		"":                                      array,
		"*/*":                                   array,
		"application/*":                         array,
		"text/html, application/json, */*;q=.1": array,
		"application/x-ndjson":                  nd,
		"Application/X-NDJSON; charset=utf-8":   nd,
		"application/ndjson":                    "application/ndjson",
		"application/jsonl":                     "application/jsonl",
		"application/jsonl;q=0.5, application/x-ndjson":       nd,
		"application/x-ndjson, */*":                           nd,
		"application/json, application/x-ndjson":              nd,
		"application/json;q=0.9, application/x-ndjson":        nd,
		"application/json, application/x-ndjson;q=0.9":        array,
		"application/*;q=0.2, */*, application/x-ndjson;q=.3": nd,
		"application/x-ndjson;q=0.9, */*":                     array,
		"application/x-ndjson;q=0":                            array,
		"application/x-ndjson;q=0, */*":                       array,
		"application/json;q=0, application/x-ndjson;q=0.001":  nd,
		"application/x-ndjson;q=much":                         array,
		"text/html":                                           array,
	} {
		v := s.over(protocols[1])
		resp, err := v.wanting(t.Context(), accept, "GET", "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		lines := bytes.Equal(body, linesOf(t, rows(2)))
		if got := resp.Header.Get("Content-Type"); err != nil || got != want || lines != (want != array) || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("%q: %v and %q, %v; want %s", accept, resp.Header, body, err, want)
		}
	}
}

// envelope is a page with a sequence in it.
type envelope struct {
	Items any    `json:"items"`
	Next  string `json:"next"`
}

func TestWhatIsProducedIsSentAsTheWholeWouldBe(t *testing.T) {
	for _, n := range []int{0, 1, 3, 5_000} {
		all := rows(n)
		shapes := map[string]struct {
			v, whole any
			list     bool
		}{
			"a Seq":          {produced(n), all, true},
			"a Seq2":         {endingIn(n, func() error { return nil }), all, true},
			"Rows":           {encoder.Rows(produced(n)), all, true},
			"RowsErr":        {encoder.RowsErr(endingIn(n, func() error { return nil })), all, true},
			"a slice":        {all, all, true},
			"in an envelope": {envelope{produced(n), "b"}, envelope{all, "b"}, false},
			"one value":      {gin.H{"a": "<"}, gin.H{"a": "<"}, false},
		}
		r := spoken()
		for name, shape := range shapes {
			r.GET("/stream/"+name, func(c *gin.Context) { Stream(c, 200, shape.v) })
			r.GET("/lines/"+name, func(c *gin.Context) { NDJSON(c, 200, shape.v) })
		}
		s := serve(t, r, small())
		for _, p := range protocols {
			t.Run(fmt.Sprintf("%s, %d rows", p.name, n), func(t *testing.T) {
				v := s.over(p)
				v.t = t
				for name, shape := range shapes {
					path := strings.ReplaceAll(name, " ", "%20")
					want := jsonOf(t, shape.whole)
					a := v.ask("GET", "/stream/"+path)
					if a.err != nil || !bytes.Equal(a.body, want) || (a.length == int64(len(want))) != (len(want) <= testHold) {
						t.Errorf("%s: %v, want %d bytes", name, a, len(want))
					}
					want = append(want, '\n')
					if shape.list {
						want = linesOf(t, all)
					}
					if a := v.ask("GET", "/lines/"+path); a.err != nil || !bytes.Equal(a.body, want) || a.header.Get("Content-Type") != "application/x-ndjson" {
						t.Errorf("lines of %s: %v, want %d bytes", name, a, len(want))
					}
				}
			})
		}
		s.idle()
	}
}

// fed are rows that come when a test sends them.
func fed(from <-chan row, left chan<- struct{}) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		defer func() { left <- struct{}{} }()
		for r := range from {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// flowing asks for lines that are fed, and feeds them until the first has come.
func (v *visitor) flowing(ctx context.Context, path string, feed chan<- row) (*http.Response, *bufio.Reader) {
	v.t.Helper()
	begun := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ; i++ {
			select {
			case feed <- row{ID: i}:
			case <-begun:
				return
			}
			select {
			case <-time.After(10 * time.Millisecond): // nothing depends on how long
			case <-begun:
			}
		}
	})
	resp, err := v.open(ctx, "GET", path)
	close(begun)
	group.Wait()
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, bufio.NewReader(resp.Body)
}

func TestRowsThatComeSlowlyAreSentAsTheyCome(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		feed, left := make(chan row), make(chan struct{}, 1)
		r := spoken()
		r.GET("/", func(c *gin.Context) { NDJSON(c, 200, encoder.RowsErr(fed(feed, left))) })
		opts := []Option{}
		if compressed {
			opts = append(opts, WithCompression(1))
		}
		s := serve(t, r, opts...)
		for _, p := range protocols {
			t.Run(fmt.Sprintf("%s, compressed: %v", p.name, compressed), func(t *testing.T) {
				v := s.over(p)
				v.t = t
				resp, body := v.flowing(t.Context(), "/", feed)
				defer resp.Body.Close()
				if compressed && p.name != "HTTP/1.0" && !resp.Uncompressed {
					t.Errorf("header %v, want it compressed", resp.Header)
				}
				// Each of a few rows is there before the next is made.
				for i := range 3 {
					feed <- row{ID: 1000 + i}
					for line := ""; !strings.Contains(line, fmt.Sprintf(`"id":%d,`, 1000+i)); {
						var err error
						if line, err = body.ReadString('\n'); err != nil {
							t.Fatalf("row %d: %v", i, err)
						}
					}
				}
				// It takes no room from others meanwhile.
				until(t, func() bool {
					st := s.guard.Stats()
					return st.InFlight == 1 && st.Held <= 256<<10 && st.Encoder.Inline == 0 && st.Encoder.Waiting == 0
				})
				feed <- row{ID: 2000}
				resp.Body.Close()
				// The row that is produced next is the last.
				for gone := false; !gone; {
					select {
					case feed <- row{ID: 3000}:
					case <-left:
						gone = true
					case <-time.After(deadline):
						t.Fatal("the sequence goes on without its client")
					}
				}
				s.idle()
			})
		}
	}
}

func TestASequenceMayUseTheContext(t *testing.T) {
	r := spoken()
	r.GET("/:n", func(c *gin.Context) {
		Stream(c, 200, encoder.RowsErr(func(yield func(row, error) bool) {
			for i := range 5_000 {
				c.Set("at", i)
				name := c.Param("n") + c.GetHeader("Host") + fmt.Sprint(c.Writer.Size() > 1<<30)
				if err := c.Request.Context().Err(); err != nil || !yield(row{ID: i, Name: name}, err) {
					return
				}
			}
		}))
	})
	s := serve(t, r, small())
	for _, p := range protocols {
		v := s.over(p)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if a := v.ask("GET", "/a"); a.err != nil || !json.Valid(a.body) || bytes.Count(a.body, []byte(`"afalse"`)) != 5_000 {
					t.Errorf("%s: %v", p.name, a)
				}
			})
		}
		group.Wait()
	}
}

func TestASequenceThatEndsBadly(t *testing.T) {
	ends := map[string]func() error{
		"an error":       func() error { return errRefused },
		"a panic":        func() error { panic(errRefused) },
		"runtime.Goexit": func() error { runtime.Goexit(); return nil },
	}
	for _, recovery := range []bool{false, true} {
		t.Run(fmt.Sprintf("gin.Recovery: %v", recovery), func(t *testing.T) {
			r := spoken()
			if recovery {
				r.Use(gin.Recovery())
			}
			left := make(chan struct{}, 10)
			errs := make(chan []*gin.Error, 10)
			for name, end := range ends {
				for _, n := range []int{0, 100, 5_000} {
					for how, answer := range map[string]func(*gin.Context, int, any){"array": Stream, "lines": NDJSON} {
						r.GET(fmt.Sprintf("/%s/%s/%d", how, name, n), func(c *gin.Context) {
							defer func() { errs <- c.Errors }()
							answer(c, 200, encoder.RowsErr(func(yield func(row, error) bool) {
								defer func() { left <- struct{}{} }()
								endingIn(n, end)(yield)
							}))
						})
					}
				}
			}
			s := serve(t, r, small())
			for _, p := range protocols {
				v := s.over(p)
				v.t = t
				for name := range ends {
					for _, how := range []string{"array", "lines"} {
						for _, n := range []int{0, 100, 5_000} {
							path := fmt.Sprintf("/%s/%s/%d", how, strings.ReplaceAll(name, " ", "%20"), n)
							if n == 5_000 || name == "runtime.Goexit" {
								v.wantBroken(path)
							} else {
								v.wantStatus(path, 500)
							}
							await(t, left)
							if es := await(t, errs); name == "an error" && (len(es) != 1 || !errors.Is(es[0], errRefused)) {
								t.Errorf("%s over %s: c.Errors %v", path, p.name, es)
							}
						}
					}
				}
			}
			s.idle()
		})
	}
}

func TestASequenceIsNotRunForNothing(t *testing.T) {
	begun, made := 0, 0
	r := spoken()
	r.Match([]string{"GET", "HEAD"}, "/:code", func(c *gin.Context) {
		code := map[string]int{"200": 200, "204": 204, "304": 304}[c.Param("code")]
		Stream(c, code, encoder.Rows(func(yield func(row) bool) {
			begun++
			for r := range produced(100_000) {
				if made++; !yield(r) {
					return
				}
			}
		}))
	})
	s := serve(t, r, small())
	for _, p := range protocols {
		v := s.over(p)
		for _, path := range []string{"/204", "/304"} {
			begun = 0
			if a := v.ask("GET", path); a.err != nil || len(a.body) > 0 || a.header.Get("Vary") != "Accept" || begun > 0 {
				t.Errorf("%s over %s: %v, begun %d times", path, p.name, a, begun)
			}
		}
		made = 0
		if a := v.ask("HEAD", "/200"); a.err != nil || a.status != 200 || a.length != -1 || made == 0 || made > 5_000 {
			t.Errorf("HEAD over %s: %v and %d rows", p.name, a, made)
		}
	}
	s.idle()
}

func TestAClientThatLeavesEndsAQuickSequence(t *testing.T) {
	left := make(chan struct{}, 1)
	r := spoken()
	r.GET("/", func(c *gin.Context) {
		Stream(c, 200, encoder.Rows(func(yield func(row) bool) {
			defer func() { left <- struct{}{} }()
			for yield(row{}) {
			}
		}))
	})
	s := serve(t, r, small())
	for _, p := range protocols {
		resp, err := s.over(p).open(t.Context(), "GET", "/")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, resp.Body, 4*testHold); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		await(t, left)
		s.idle()
	}
}

func TestStreamOutsideOfAnyGuard(t *testing.T) {
	for want, answer := range map[string]func(*gin.Context, int, any){"[1,2]": Stream, "1\n2\n": NDJSON} {
		w := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(w) // has no request
		answer(c, 202, slices.Values([]int{1, 2}))
		if w.Code != 202 || w.Body.String() != want {
			t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
		}
	}
}

// TestMillionsOfRowsTakeNoMemory looks at the heap while much more than it goes
// over a connection. The flag -long has ten million rows.
func TestMillionsOfRowsTakeNoMemory(t *testing.T) {
	most := uint64(64 << 20)
	n := 300_000
	if *long {
		n = 10_000_000
	}
	r := spoken()
	r.GET("/", func(c *gin.Context) { Stream(c, 200, encoder.Rows(produced(n))) })
	s := serve(t, r)
	// Of what other tests have left, pools first: the collector lets the heap
	// grow to twice what is alive.
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	most += 2 * m.HeapAlloc
	resp, err := s.client.Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var peak uint64
	size, buf := int64(0), make([]byte, 1<<20)
	for err == nil {
		var k int
		k, err = io.ReadFull(resp.Body, buf)
		size += int64(k)
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || size < int64(n)*60 || peak > most {
		t.Errorf("%d bytes, %v, with a heap of %d at the most", size, err, peak)
	}
}
