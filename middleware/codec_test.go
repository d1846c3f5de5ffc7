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
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	ginjson "github.com/gin-gonic/gin/codec/json"
)

// calls are gin's ways to answer JSON.
var calls = map[string]func(*gin.Context, int, any){
	"JSON":                func(c *gin.Context, code int, v any) { c.JSON(code, v) },
	"PureJSON":            pureJSON,
	"IndentedJSON":        func(c *gin.Context, code int, v any) { c.IndentedJSON(code, v) },
	"SecureJSON":          func(c *gin.Context, code int, v any) { c.SecureJSON(code, v) },
	"JSONP":               func(c *gin.Context, code int, v any) { c.JSONP(code, v) },
	"AsciiJSON":           func(c *gin.Context, code int, v any) { c.AsciiJSON(code, v) },
	"AbortWithStatusJSON": func(c *gin.Context, code int, v any) { c.AbortWithStatusJSON(code, v) },
	"Negotiate": func(c *gin.Context, code int, v any) {
		c.Negotiate(code, gin.Negotiate{Offered: []string{binding.MIMEJSON, binding.MIMEXML}, Data: &v}) // nil panics
	},
}

func pureJSON(c *gin.Context, code int, v any) { c.PureJSON(code, v) }

// request is one of the catalogue's, with what differs from plain gin.
type request struct {
	method, path, body string
	differs            func(*answer)
}

// serverError is what a value that cannot be encoded becomes in place of gin's
// empty 200.
func serverError(a *answer) {
	a.status = 500
	a.header.Del("Content-Type")
}

// catalogue is an engine that answers in all of gin's ways, and a request for
// each of them. What is on c.Errors in the end goes to errs.
func catalogue(errs chan<- string) (engine func(use ...gin.HandlerFunc) *gin.Engine, requests []request) {
	text := strings.Repeat("<b>text</b> ä ", 80) // a kilobyte
	all, one := []int{-1, 201, 204, 304, 400}, []int{200}
	type route struct {
		call  string
		path  string
		code  int
		value any
		wrong bool // cannot be encoded
	}
	var routes []route
	for _, value := range []struct {
		name  string
		v     any
		wrong bool
		codes []int
	}{
		{"nothing", nil, false, one},
		{"small", gin.H{"html": "<b>&\u2028</b>", "text": "ä\U0001F600\b", "none": []int(nil)}, false, all},
		{"list", []any{1.5, "<", json.Number("12")}, false, one},
		{"more than net/http buffers", rows(100), false, one},
		{"more than a quantum", slices.Repeat([]string{text}, 100), false, one},
		{"more than the hold", slices.Repeat([]string{text}, 1000), false, one},
		{"a marshaler", marshalerFunc(func() ([]byte, error) { return []byte(` {"x" : "<"} `), nil }), false, one},
		{"gin's error", &gin.Error{Err: errRefused, Meta: gin.H{"why": "<>"}}, false, one},
		{"NaN", math.NaN(), true, all},
		{"late NaN", gin.H{"rows": rows(3000), "z": math.NaN()}, true, one},
		{"chan", gin.H{"x": make(chan int)}, true, one},
		{"a refusal", marshalerFunc(func() ([]byte, error) { return nil, errRefused }), true, one},
		{"gin's error with NaN", &gin.Error{Err: errRefused, Meta: gin.H{"why": math.NaN()}}, true, one},
	} {
		for call := range calls {
			if value.name == "more than the hold" && call != "JSON" && call != "PureJSON" {
				continue // they are one slice anyway
			}
			for _, code := range value.codes {
				routes = append(routes, route{call, fmt.Sprintf("/%s/%d/%s", call, code, strings.ReplaceAll(value.name, " ", "-")), code, value.v, value.wrong})
			}
		}
	}
	engine = func(use ...gin.HandlerFunc) *gin.Engine {
		r := gin.New()
		r.Use(use...)
		r.Use(func(c *gin.Context) {
			c.Next()
			errs <- strings.Join(c.Errors.Errors(), "; ")
		})
		for _, route := range routes {
			r.Match([]string{"GET", "HEAD"}, route.path, func(c *gin.Context) { calls[route.call](c, route.code, route.value) })
		}
		r.GET("/errors", func(c *gin.Context) {
			_ = c.Error(errRefused)
			_ = c.Error(errors.New("<another>")).SetMeta(gin.H{"id": 7})
			c.JSON(-1, c.Errors)
		})
		r.GET("/error", func(c *gin.Context) { c.JSON(500, c.Error(errRefused).JSON()) })
		r.GET("/not-offered", func(c *gin.Context) {
			c.Negotiate(200, gin.Negotiate{Offered: []string{binding.MIMEYAML}, Data: 1})
		})
		r.GET("/own-type", func(c *gin.Context) {
			c.Header("Content-Type", "application/vnd.api+json")
			c.PureJSON(200, gin.H{"a": 1})
		})
		r.GET("/flushed", func(c *gin.Context) { c.Writer.Flush(); c.PureJSON(200, gin.H{"a": 1}) })
		r.GET("/twice", func(c *gin.Context) { c.PureJSON(200, gin.H{"a": 1}); c.PureJSON(201, gin.H{"b": 2}) })
		r.GET("/kept-204", func(c *gin.Context) { c.Status(204); c.PureJSON(-1, gin.H{"a": 1}) })
		r.GET("/answered-after-all", func(c *gin.Context) {
			c.PureJSON(200, math.NaN())
			c.PureJSON(422, gin.H{"error": c.Errors.Last().Error()})
		})
		r.GET("/logged-only", func(c *gin.Context) {
			_, _ = json.Marshal(&gin.Error{Err: errRefused, Meta: math.NaN()})
			c.Status(204)
		})
		r.POST("/bind", func(c *gin.Context) {
			var into struct {
				Name string
				Any  any `binding:"required"`
			}
			if err := c.ShouldBindJSON(&into); err != nil {
				c.PureJSON(422, gin.H{"error": err.Error()})
				return
			}
			c.PureJSON(200, gin.H{"bound": into, "type": fmt.Sprintf("%T", into.Any)})
		})
		return r
	}
	for _, route := range routes {
		var differs func(*answer)
		if route.wrong && (route.code < 300 && route.code != 204 || route.code == 400 && route.call == "PureJSON") {
			differs = serverError
		}
		for _, method := range []string{"GET", "HEAD"} {
			requests = append(requests, request{method, route.path + "?callback=f.g", "", differs})
		}
	}
	for _, path := range []string{"/errors", "/error", "/not-offered", "/own-type", "/flushed", "/twice", "/kept-204", "/answered-after-all", "/logged-only"} {
		requests = append(requests, request{"GET", path, "", nil})
	}
	for _, body := range []string{
		`{"name": "<b>", "any": 12345678901234567890}`, `{"any": {"x": [1, null]}, "more": true}`,
		`{"name": "nothing else"}`, `{"any": `, `{"any": 1} x`, `[]`, `{"name": 1, "any": 1}`, "",
	} {
		requests = append(requests, request{"POST", "/bind", body, nil})
	}
	return engine, requests
}

// answer is a response as far as a client can tell, and what the handler had on
// c.Errors.
type answer struct {
	status int
	header http.Header // but the date
	length int64       // -1 for none
	body   string
	errors string
}

func TestGinsCallsAnswerAsTheyDoWithoutUs(t *testing.T) {
	errs := make(chan string, 1)
	engine, requests := catalogue(errs)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: deadline}
	defer client.CloseIdleConnections()
	ask := func(t *testing.T, url string, r request) answer {
		t.Helper()
		for len(errs) > 0 {
			<-errs // of a request that has failed
		}
		req, err := http.NewRequest(r.method, url+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", r.method, r.path, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s %s: %v", r.method, r.path, err)
		}
		resp.Header.Del("Date")
		return answer{resp.StatusCode, resp.Header, resp.ContentLength, string(body), <-errs}
	}
	for _, decoder := range []struct {
		name      string
		useNumber bool
		strict    bool
	}{
		{"gin's decoder as it is", false, false},
		{"EnableDecoderUseNumber", true, false},
		{"EnableDecoderDisallowUnknownFields", false, true},
	} {
		t.Run(decoder.name, func(t *testing.T) {
			defer func() { binding.EnableDecoderUseNumber, binding.EnableDecoderDisallowUnknownFields = false, false }()
			binding.EnableDecoderUseNumber, binding.EnableDecoderDisallowUnknownFields = decoder.useNumber, decoder.strict
			var asked []request
			for _, r := range requests {
				if r.method == "POST" || !decoder.useNumber && !decoder.strict {
					asked = append(asked, r)
				}
			}
			plain := httptest.NewServer(engine())
			defer plain.Close()
			var want []answer
			for _, r := range asked {
				a := ask(t, plain.URL, r)
				if r.differs != nil {
					r.differs(&a)
				}
				want = append(want, a)
			}
			compare := func(t *testing.T, url string) {
				t.Helper()
				for i, r := range asked {
					if got := ask(t, url, r); !reflect.DeepEqual(got, want[i]) {
						t.Errorf("%s %s %s\ngot  %.300s\nwant %.300s", r.method, r.path, r.body, fmt.Sprint(got), fmt.Sprint(want[i]))
					}
				}
			}
			t.Run("a server around the engine", func(t *testing.T) { compare(t, serve(t, engine()).url) })
			t.Run("a handler inside of it", func(t *testing.T) {
				g := guarded(t)
				defer g.InstallCodec()()
				own := httptest.NewServer(engine(g.Handler()))
				defer own.Close()
				compare(t, own.URL)
			})
		})
	}
}

// guarded is a guard that ends with the test.
func guarded(t *testing.T, opts ...Option) *Guard {
	t.Helper()
	g, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

// jsonEncoded is what json.Encoder makes of the values.
func jsonEncoded(t *testing.T, escapeHTML bool, values ...any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestPureJSONIsSentWhileItIsEncoded(t *testing.T) {
	received := make(chan struct{})
	value := []any{beyond(), marshalerFunc(func() ([]byte, error) {
		select {
		case <-received:
			return []byte(`"the end"`), nil
		case <-time.After(deadline):
			return nil, errors.New("nothing was sent before the end was encoded")
		}
	})}
	pooled := make(chan int64, 1)
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		c.PureJSON(200, value)
		pooled <- watched(c.Writer).pooled
	})
	s := serve(t, r, small())
	resp, err := s.client.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := io.CopyN(&b, resp.Body, 1000); err != nil {
		t.Fatal(err)
	}
	close(received)
	if _, err := io.Copy(&b, resp.Body); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), jsonEncoded(t, false, value); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if got := <-pooled; got != s.guard.held {
		t.Errorf("the gate is told of %d bytes that the encoder holds, want %d", got, s.guard.held)
	}
}

func TestAnErrorAfterTheAppBeganIsABrokenBody(t *testing.T) {
	r := gin.New()
	for how, answer := range map[string]func(*gin.Context, int, any){"JSON": JSON, "PureJSON": pureJSON} {
		r.GET("/prefix/"+how, func(c *gin.Context) { _, _ = c.Writer.WriteString(")]}',\n"); answer(c, 200, math.NaN()) })
		r.GET("/flush/"+how, func(c *gin.Context) { c.Writer.Flush(); answer(c, 200, math.NaN()) })
	}
	s := serve(t, r)
	for _, route := range r.Routes() {
		if resp, body, err := s.do("GET", route.Path); err == nil {
			t.Errorf("%s: status %d and %q as if it were all", route.Path, resp.StatusCode, body)
		}
	}
}

func TestPureJSONBehindAWriterThatHidesTheRequest(t *testing.T) {
	r := gin.New()
	r.Use(func(c *gin.Context) { c.Writer = &zipped{c.Writer, c.Writer}; c.Next() })
	r.GET("/fine", func(c *gin.Context) { c.PureJSON(200, rows(30_000)) })
	value := endsBadly(math.NaN())
	r.GET("/broken", func(c *gin.Context) { c.PureJSON(200, value) })
	s := serve(t, r)
	if _, body := s.get("/fine"); body != jsonEncoded(t, false, rows(30_000)) {
		t.Errorf("got %d bytes: %.80q", len(body), body)
	}
	if resp, body := s.get("/broken"); resp.StatusCode != 500 || body != "" {
		t.Errorf("got %d and %d bytes, want an empty 500", resp.StatusCode, len(body))
	}
}

func TestTheCodecsEncoderIsAJSONEncoder(t *testing.T) {
	values := []any{gin.H{"a": "<&>"}, slices.Repeat([]string{strings.Repeat("<b>text</b> ä ", 80)}, 1000), nil, "end"}
	for _, tt := range []struct {
		name  string
		setUp func(ginjson.Encoder)
		std   func(*json.Encoder)
	}{
		{"as it is", func(ginjson.Encoder) {}, func(*json.Encoder) {}},
		{
			"plain HTML",
			func(e ginjson.Encoder) { e.SetEscapeHTML(false) },
			func(e *json.Encoder) { e.SetEscapeHTML(false) },
		},
		{
			"HTML after all",
			func(e ginjson.Encoder) { e.SetEscapeHTML(false); e.SetEscapeHTML(true) },
			func(*json.Encoder) {},
		},
		{
			"indented",
			func(e ginjson.Encoder) {
				e.SetEscapeHTML(false)
				e.(interface{ SetIndent(_, _ string) }).SetIndent(">", "\t")
			},
			func(e *json.Encoder) { e.SetEscapeHTML(false); e.SetIndent(">", "\t") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want bytes.Buffer
			std := json.NewEncoder(&want)
			tt.std(std)
			for _, v := range values {
				_ = std.Encode(v)
			}
			encode := func(w io.Writer) {
				e := ginjson.API.NewEncoder(w)
				tt.setUp(e)
				for i, v := range values {
					if i == 1 {
						if err := e.Encode(math.NaN()); err == nil {
							t.Error("no error for NaN")
						}
					}
					if err := e.Encode(v); err != nil {
						t.Errorf("after an error that wrote nothing: %v", err)
					}
				}
			}
			r := gin.New()
			r.GET("/", func(c *gin.Context) { encode(c.Writer) })
			if _, got := serve(t, r).get("/"); got != want.String() {
				t.Errorf("a guarded response: %d bytes, want %d", len(got), want.Len())
			}
			defer guarded(t).InstallCodec()()
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Body.String() != want.String() {
				t.Errorf("outside of any guard: %d bytes, want %d", w.Body.Len(), want.Len())
			}
			var b bytes.Buffer
			encode(&b)
			if b.String() != want.String() {
				t.Errorf("into a buffer: %d bytes, want %d", b.Len(), want.Len())
			}
		})
	}
}

// failsOnce is a response whose first Write fails.
type failsOnce struct {
	gin.ResponseWriter
	failed bool
}

func (w *failsOnce) Write(p []byte) (int, error) {
	if !w.failed {
		w.failed = true
		return 0, errRefused
	}
	return w.ResponseWriter.Write(p)
}

func TestTheCodecsEncoderKeepsAnErrorOfTheWriter(t *testing.T) {
	errs := make(chan []error, 1)
	r := gin.New()
	r.GET("/hidden", func(c *gin.Context) {
		e := ginjson.API.NewEncoder(&zipped{c.Writer, &failsOnce{ResponseWriter: c.Writer}})
		errs <- []error{e.Encode(1), e.Encode(2)}
	})
	r.GET("/seen", func(c *gin.Context) {
		e := ginjson.API.NewEncoder(&unwrapped{&failsOnce{ResponseWriter: c.Writer}, c.Writer})
		errs <- []error{e.Encode(1), e.Encode(2)}
	})
	s := serve(t, r)
	for _, route := range r.Routes() {
		_, _, _ = s.do("GET", route.Path)
		if got := <-errs; !errors.Is(got[0], errRefused) || got[1] != got[0] {
			t.Errorf("%s: got %v, want the writer's error twice", route.Path, got)
		}
	}
}

// unwrapped is a writer that tells what is beneath it.
type unwrapped struct {
	gin.ResponseWriter
	beneath http.ResponseWriter
}

func (w *unwrapped) Unwrap() http.ResponseWriter { return w.beneath }
