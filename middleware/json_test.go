package middleware

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"
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
