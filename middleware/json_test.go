package middleware

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"

	"github.com/probelane/probelane/encoder"
)

// answers are the ways in which a handler answers JSON.
var answers = map[string]func(*gin.Context, int, any){
	"c.JSON":          func(c *gin.Context, code int, v any) { c.JSON(code, v) },
	"middleware.JSON": JSON,
}

func TestJSONIsWhatPlainGinWouldSend(t *testing.T) {
	values := map[string]any{
		"nothing":     nil,
		"small":       gin.H{"b": 1, "a": "<&>\u2028", "c": []int(nil)},
		"a megabyte":  rows(15_000),
		"ten of them": gin.H{"items": rows(150_000), "next": nil},
		"a marshaler": marshalerFunc(func() ([]byte, error) { return []byte(` {"x" : "<"} `), nil }),
	}
	for name, value := range values {
		plain := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(plain)
		c.JSON(200, value)
		for how, answer := range answers {
			t.Run(how+" of "+name, func(t *testing.T) {
				r := gin.New()
				r.GET("/", func(c *gin.Context) { answer(c, 200, value) })
				resp, body := serve(t, r).get("/")
				if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != plain.Header().Get("Content-Type") {
					t.Errorf("status %d, headers %v", resp.StatusCode, resp.Header)
				}
				if body != plain.Body.String() {
					t.Errorf("%d bytes, want %d: %.80q", len(body), plain.Body.Len(), body)
				}
			})
		}
	}
}

func TestJSONHasALengthIfItIsCompleteWithinTheHold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rows   int
		length bool
	}{
		{"small", 10, true},
		{"several segments", 10_000, true},
		{"beyond the hold", 100_000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := gin.New()
			r.GET("/", func(c *gin.Context) { JSON(c, 200, rows(tt.rows)) })
			resp, body := serve(t, r).get("/")
			if got := resp.ContentLength == int64(len(body)); got != tt.length {
				t.Errorf("Content-Length %d for %d bytes", resp.ContentLength, len(body))
			}
		})
	}
}

func TestJSONHasNoLengthBehindAWriterThatChangesIt(t *testing.T) {
	r := gin.New()
	r.Use(func(c *gin.Context) {
		z := gzip.NewWriter(c.Writer)
		defer z.Close()
		c.Header("Content-Encoding", "gzip")
		c.Writer = &zipped{c.Writer, z}
		c.Next()
	})
	for how, answer := range answers {
		r.GET("/"+how, func(c *gin.Context) { answer(c, 200, rows(100)) })
	}
	s := serve(t, r)
	want, _ := json.Marshal(rows(100))
	for how := range answers {
		if resp, body := s.get("/" + how); body != string(want) || !resp.Uncompressed {
			t.Errorf("%s: got %d bytes, want %d", how, len(body), len(want))
		}
	}
}

// zipped is a gzip middleware's writer without Unwrap, as some are.
type zipped struct {
	gin.ResponseWriter
	z io.Writer
}

func (w *zipped) Write(p []byte) (int, error) { return w.z.Write(p) }
func (w *zipped) Unwrap()                     {} // hides the promoted one

func TestHEADAndBodilessStatuses(t *testing.T) {
	r := gin.New()
	for how, answer := range answers {
		r.HEAD("/"+how+"/small", func(c *gin.Context) { answer(c, 200, gin.H{"a": 1}) })
		r.HEAD("/"+how+"/large", func(c *gin.Context) { answer(c, 200, rows(100_000)) })
		r.GET("/"+how+"/204", func(c *gin.Context) { answer(c, 204, gin.H{"a": 1}) })
		r.GET("/"+how+"/304", func(c *gin.Context) { answer(c, 304, gin.H{"a": 1}) })
	}
	s := serve(t, r)
	for how := range answers {
		for _, tt := range []struct {
			method, path string
			status       int
			length       string
		}{
			{"HEAD", "/small", 200, "7"},
			{"GET", "/204", 204, ""},
			{"GET", "/304", 304, ""},
		} {
			resp, body, err := s.do(tt.method, "/"+how+tt.path)
			if err != nil || resp.StatusCode != tt.status || resp.Header.Get("Content-Length") != tt.length || len(body) > 0 {
				t.Errorf("%s %s %s: %v %v %q", how, tt.method, tt.path, err, resp, body)
			}
		}
	}
	before := s.guard.Stats().Encoder.Bytes
	resp, _, err := s.do("HEAD", "/middleware.JSON/large")
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Length") != "" {
		t.Errorf("HEAD of a large value: %v %v", err, resp)
	}
	if n := s.guard.Stats().Encoder.Bytes - before; n > 2*encoder.DefaultHold {
		t.Errorf("HEAD of a large value encoded %d bytes", n)
	}
}

func TestAValueThatCannotBeEncodedIsA500AndOnErrors(t *testing.T) {
	values := map[string]any{
		"NaN":         math.NaN(),
		"late NaN":    append(make([]float64, 100_000), math.NaN()),
		"a channel":   make(chan int),
		"a marshaler": marshalerFunc(func() ([]byte, error) { return nil, errRefused }),
	}
	for name, value := range values {
		_, want := json.Marshal(value)
		for how, answer := range answers {
			for _, code := range []int{200, 201} {
				t.Run(how+" of "+name+" with "+strconv.Itoa(code), func(t *testing.T) {
					seen := make(chan []error, 1)
					r := gin.New()
					r.Use(func(c *gin.Context) {
						c.Next()
						var errs []error
						for _, e := range c.Errors {
							errs = append(errs, e.Err)
						}
						seen <- errs
					})
					r.GET("/", func(c *gin.Context) { answer(c, code, value) })
					r.GET("/empty", func(c *gin.Context) { c.Status(code) })
					s := serve(t, r)
					s.wantStatus("/", 500)
					if errs := <-seen; len(errs) != 1 || errs[0].Error() != want.Error() {
						t.Errorf("c.Errors = %v, want %v", errs, want)
					}
					// The connection, and with it the goroutine, is the same.
					s.wantStatus("/empty", code)
				})
			}
		}
	}
}

func TestAPanickingMarshalerIsA500AndTheProcessLives(t *testing.T) {
	value := append([]any{}, marshalerFunc(func() ([]byte, error) { panic("marshaler") }))
	for _, recovery := range []bool{false, true} {
		for how, answer := range answers {
			t.Run(how+", gin.Recovery: "+strconv.FormatBool(recovery), func(t *testing.T) {
				r := gin.New()
				if recovery {
					r.Use(gin.Recovery())
				}
				r.GET("/", func(c *gin.Context) { answer(c, 200, value) })
				s := serve(t, r)
				s.wantStatus("/", 500)
				s.wantStatus("/livez", 200)
			})
		}
	}
}

// brokenLate cannot be encoded to its end, and is long enough to be streaming
// by then.
func brokenLate(end any) any {
	v := []any{}
	for range 40_000 {
		v = append(v, "a string that makes the response longer than what is held back")
	}
	return append(v, end)
}

func TestAnErrorAfterStreamingBeganIsABrokenBody(t *testing.T) {
	ends := map[string]any{
		"an error": math.NaN(),
		"a panic":  marshalerFunc(func() ([]byte, error) { panic("late") }),
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			value := brokenLate(end)
			r := gin.New()
			r.Use(gin.Recovery())
			r.GET("/", func(c *gin.Context) { JSON(c, 200, value) })
			s := serve(t, r)
			if resp, body, err := s.do("GET", "/"); err == nil {
				t.Errorf("HTTP/1.1: status %d and %d bytes as if they were all", resp.StatusCode, len(body))
			}
			if body, err := s.http10("/"); err == nil {
				t.Errorf("HTTP/1.0: %d bytes as if they were all", len(body))
			}
			s.wantStatus("/livez", 200)
		})
	}
}

func TestAnErrorAfterStreamingBeganResetsTheHTTP2Stream(t *testing.T) {
	r := gin.New()
	r.Use(gin.Recovery())
	value := brokenLate(math.NaN())
	r.GET("/", func(c *gin.Context) { JSON(c, 200, value) })
	r.GET("/fine", func(c *gin.Context) { JSON(c, 200, rows(50_000)) })
	g, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = g.Server(r)
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{NextProtos: []string{"h2"}}
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/")
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Fatalf("the test wants HTTP/2, got %s", resp.Proto)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "stream error") {
		t.Errorf("got error %v, want a stream error", err)
	}
	resp, err = srv.Client().Get(srv.URL + "/fine")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want, _ := json.Marshal(rows(50_000))
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("HTTP/2 body of %d bytes, want %d (%v)", len(got), len(want), err)
	}
}

func TestJSONOutsideOfAnyGuard(t *testing.T) {
	w := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(w)
	c.Request = httptest.NewRequest("GET", "/", nil)
	JSON(c, 202, gin.H{"a": 1})
	if w.Code != 202 || w.Body.String() != `{"a":1}` {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	defer stray().Close(context.Background())
}

func TestAnOverloadedEncoderIsA503WithRetryAfter(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) { JSON(c, 200, rows(10_000)) })
	s := serve(t, r)
	s.wantStatus("/", 200)
	if err := s.guard.enc.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	resp, body := s.get("/")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || body != "" {
		t.Errorf("got %d %v %.80q", resp.StatusCode, resp.Header, body)
	}
}

func TestTheCodecIsRestoredUnlessAnotherFollowed(t *testing.T) {
	plain := ginjson.API
	g, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	restore := g.InstallCodec()
	if ginjson.API == plain {
		t.Fatal("nothing was installed")
	}
	restore()
	if ginjson.API != plain {
		t.Fatal("the former codec is not back")
	}
	restore = g.InstallCodec()
	other := codec{Core: plain}
	ginjson.API = other
	restore()
	if ginjson.API != ginjson.Core(other) {
		t.Error("a codec that was installed later has gone")
	}
	ginjson.API = plain
}

func TestOtherJSONCallsKeepTheirOutput(t *testing.T) {
	calls := map[string]func(*gin.Context){
		"PureJSON":     func(c *gin.Context) { c.PureJSON(200, gin.H{"a": "<b>"}) },
		"IndentedJSON": func(c *gin.Context) { c.IndentedJSON(200, gin.H{"a": "<b>"}) },
		"SecureJSON":   func(c *gin.Context) { c.SecureJSON(200, []string{"<b>"}) },
		"AsciiJSON":    func(c *gin.Context) { c.AsciiJSON(200, gin.H{"a": "ä"}) },
		"JSONP":        func(c *gin.Context) { c.JSONP(200, gin.H{"a": "<b>"}) },
		"error":        func(c *gin.Context) { c.JSON(400, c.Error(errRefused).JSON()) },
	}
	for name, call := range calls {
		r := gin.New()
		r.GET("/", call)
		want := httptest.NewRecorder()
		r.ServeHTTP(want, httptest.NewRequest("GET", "/?callback=f", nil))
		if _, got := serve(t, r).get("/?callback=f"); got != want.Body.String() {
			t.Errorf("%s: got %q, want %q", name, got, want.Body)
		}
	}
}

func TestJSONKeepsTheStatusAndSurvivesASecondAnswer(t *testing.T) {
	r := gin.New()
	r.GET("/kept", func(c *gin.Context) { c.Status(202); JSON(c, -1, gin.H{"a": 1}) })
	r.GET("/twice", func(c *gin.Context) { JSON(c, 400, gin.H{"a": 1}); JSON(c, 200, gin.H{"b": 2}) })
	s := serve(t, r)
	if resp, body := s.get("/kept"); resp.StatusCode != 202 || body != `{"a":1}` {
		t.Errorf("-1: got %d %q", resp.StatusCode, body)
	}
	if resp, body := s.get("/twice"); resp.StatusCode != 400 || body != `{"a":1}` {
		t.Errorf("twice: got %d %q, want the first answer whole", resp.StatusCode, body)
	}
}
