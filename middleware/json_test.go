package middleware

import (
	"compress/gzip"
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

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
		for _, w := range ways {
			t.Run(w.name+" of "+name, func(t *testing.T) {
				r := gin.New()
				r.GET("/", func(c *gin.Context) { w.answer(c, 200, value) })
				resp, body := serve(t, r).get("/")
				if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != plain.Header().Get("Content-Type") {
					t.Errorf("status %d, headers %v", resp.StatusCode, resp.Header)
				}
				if !w.same([]byte(body), plain.Body.Bytes()) {
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
	for _, w := range ways {
		r.GET("/"+w.name, func(c *gin.Context) { w.answer(c, 200, rows(100)) })
	}
	s := serve(t, r)
	want := jsonOf(t, rows(100))
	for _, w := range ways {
		if resp, body := s.get("/" + w.name); !w.same([]byte(body), want) || !resp.Uncompressed {
			t.Errorf("%s: got %d bytes, want %d", w.name, len(body), len(want))
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
	c, _ = gin.CreateTestContext(w)
	if JSON(c, 200, 1); w.Body.String() != `{"a":1}1` {
		t.Errorf("without a request, as c.JSON may be called in a test: got %q", w.Body)
	}
}

func TestJSONHasTheStatusAndTheHeadersOfGins(t *testing.T) {
	engine := func(answer func(*gin.Context, int, any)) *gin.Engine {
		r := gin.New()
		for _, code := range []int{-1, 103, 200, 201, 204, 205, 304, 400, 500} {
			r.Match([]string{"GET", "HEAD"}, "/"+strconv.Itoa(code), func(c *gin.Context) {
				c.Header("Etag", `"1"`)
				answer(c, code, gin.H{"a": 1})
			})
		}
		for name, set := range map[string]func(*gin.Context){
			"its own type":      func(c *gin.Context) { c.Header("Content-Type", "application/problem+json") },
			"an empty type":     func(c *gin.Context) { c.Writer.Header()["Content-Type"] = []string{""} },
			"a type taken away": func(c *gin.Context) { c.Writer.Header()["Content-Type"] = nil },
			"its own length":    func(c *gin.Context) { c.Header("Content-Length", "7") },
			"a status before":   func(c *gin.Context) { c.Status(202) },
			"no body, before":   func(c *gin.Context) { c.Status(204) },
			"flushed, before":   func(c *gin.Context) { c.Status(203); c.Writer.Flush() },
		} {
			r.GET("/"+strings.ReplaceAll(name, " ", "-"), func(c *gin.Context) { set(c); answer(c, -1, gin.H{"a": 1}) })
		}
		return r
	}
	plain := httptest.NewServer(engine(func(c *gin.Context, code int, v any) { c.JSON(code, v) }))
	defer plain.Close()
	theirs := &served{t: t, url: plain.URL, client: plain.Client()}
	r := engine(JSON)
	ours := serve(t, r)
	for _, route := range r.Routes() {
		want, wantBody, err := theirs.do(route.Method, route.Path)
		if err != nil {
			t.Fatal(err)
		}
		got, body, err := ours.do(route.Method, route.Path)
		if err != nil {
			t.Errorf("%s %s: %v", route.Method, route.Path, err)
			continue
		}
		want.Header.Del("Date")
		got.Header.Del("Date")
		if got.StatusCode != want.StatusCode || !reflect.DeepEqual(got.Header, want.Header) || string(body) != string(wantBody) {
			t.Errorf("%s %s: got %d %v %q, want %d %v %q", route.Method, route.Path, got.StatusCode, got.Header, body, want.StatusCode, want.Header, wantBody)
		}
	}
}

func TestAnErrorKeepsNothingOfTheAnswerItReplaces(t *testing.T) {
	r := gin.New()
	r.Use(func(c *gin.Context) {
		for _, name := range []string{"Content-Length", "Cache-Control", "Etag", "Last-Modified"} {
			c.Header(name, "100")
		}
		c.Header("X-Request-Id", "kept")
	})
	for _, w := range ways {
		r.GET("/wrong/"+w.name, func(c *gin.Context) { w.answer(c, 200, math.NaN()) })
		r.GET("/refused/"+w.name, func(c *gin.Context) { w.answer(c, 200, beyond()) })
	}
	s := serve(t, r, small())
	check := func(path string, status int) {
		resp, body, err := s.do("GET", path)
		if err != nil || resp.StatusCode != status || len(body) > 0 {
			t.Errorf("%s: %v %v %q, want an empty %d", path, err, resp, body, status)
			return
		}
		if status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
		resp.Header.Del("Date")
		resp.Header.Del("Retry-After")
		if want := (http.Header{"Content-Length": {"0"}, "X-Request-Id": {"kept"}}); !reflect.DeepEqual(resp.Header, want) {
			t.Errorf("%s: headers %v, want %v", path, resp.Header, want)
		}
	}
	for _, w := range ways {
		check("/wrong/"+w.name, http.StatusInternalServerError)
	}
	if err := s.guard.enc.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		if w.streams {
			check("/refused/"+w.name, http.StatusServiceUnavailable)
		}
	}
}

func TestTheAppMayAnswerAnErrorItself(t *testing.T) {
	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Next()
		if len(c.Errors) > 0 {
			c.JSON(422, gin.H{"error": c.Errors.Last().Error()})
		}
	})
	for _, w := range ways {
		r.GET("/"+w.name, func(c *gin.Context) { w.answer(c, 200, math.NaN()) })
	}
	s := serve(t, r)
	for _, w := range ways {
		resp, body := s.get("/" + w.name)
		if resp.StatusCode != 422 || resp.Header.Get("Content-Type") != jsonContentType[0] || body != `{"error":"json: unsupported value: NaN"}` {
			t.Errorf("%s: got %d %v %q", w.name, resp.StatusCode, resp.Header, body)
		}
	}
}

func TestJSONLeavesTrailersTheirPlace(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		c.Header("Trailer", "Rows")
		JSON(c, 200, gin.H{"a": 1})
		c.Header("Rows", "1")
	})
	if resp, body := serve(t, r).get("/"); resp.Trailer.Get("Rows") != "1" || body != `{"a":1}` {
		t.Errorf("got %q and trailers %v", body, resp.Trailer)
	}
}

func TestJSONLeavesAHijackedConnectionAlone(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		conn, _, err := c.Writer.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		JSON(c, 500, gin.H{"error": "too late"})
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive")
	})
	if _, body := serve(t, r).get("/"); body != "alive" {
		t.Errorf("got %q", body)
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
