package middleware

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/zstd"

	"github.com/probelane/probelane/encoder"
)

func TestNegotiation(t *testing.T) {
	for _, tt := range []struct {
		name     string
		accept   []string
		want     encoder.Compression
		identity bool // is acceptable
	}{
		{"no header", nil, 0, true},
		{"an empty header", []string{""}, 0, true},
		{"gzip", []string{"gzip"}, encoder.Gzip, true},
		{"zstd", []string{"zstd"}, encoder.Zstd, true},
		{"what browsers send", []string{"gzip, deflate, br, zstd"}, encoder.Zstd, true},
		{"what Go sends", []string{"gzip"}, encoder.Gzip, true},
		{"what we do not have", []string{"br, deflate"}, 0, true},
		{"two headers", []string{"br", "gzip"}, encoder.Gzip, true},
		{"gzip preferred", []string{"zstd;q=0.5, gzip;q=0.8"}, encoder.Gzip, true},
		{"zstd preferred", []string{"gzip;q=0.8,zstd;q=0.9"}, encoder.Zstd, true},
		{"both alike", []string{"gzip;q=0.8, zstd;q=0.8"}, encoder.Zstd, true},
		{"a low weight still is one", []string{"gzip;q=0.001"}, encoder.Gzip, true},
		{"gzip refused", []string{"gzip;q=0"}, 0, true},
		{"gzip refused by three zeros", []string{"gzip;q=0.000"}, 0, true},
		{"anything", []string{"*"}, encoder.Zstd, true},
		{"anything but zstd", []string{"zstd;q=0, *"}, encoder.Gzip, true},
		{"rather gzip than anything else", []string{"gzip, *;q=0.5"}, encoder.Gzip, true},
		{"rather anything else", []string{"gzip;q=0.5, *"}, encoder.Zstd, true},
		{"nothing but gzip", []string{"gzip, *;q=0"}, encoder.Gzip, false},
		{"gzip and not as it is", []string{"gzip, identity;q=0"}, encoder.Gzip, false},
		{"nothing that exists", []string{"identity;q=0"}, 0, false},
		{"nothing at all", []string{"*;q=0"}, 0, false},
		{"nothing but as it is", []string{"identity, *;q=0"}, 0, true},
		{"rather as it is", []string{"identity, gzip;q=0.5"}, 0, true},
		{"rather gzip than as it is", []string{"identity;q=0.5, gzip"}, encoder.Gzip, true},
		{"as it is or gzip", []string{"identity, gzip"}, encoder.Gzip, true},
		{"any case and space", []string{" GZip ; Q=1.0 ,, "}, encoder.Gzip, true},
		{"gzip by its old name", []string{"x-gzip"}, encoder.Gzip, true},
		{"another parameter", []string{"gzip;level=9;q=0"}, 0, true},
		{"a weight that is none", []string{"gzip;q=high"}, 0, true},
		{"a weight that is not a number", []string{"gzip;q=NaN"}, 0, true},
		{"a weight above one", []string{"gzip;q=2"}, 0, true},
		{"a negative weight", []string{"gzip;q=-1, zstd;q=0.1"}, encoder.Zstd, true},
		{"part of a name", []string{"gzipped, zst"}, 0, true},
	} {
		if got, identity := negotiate(tt.accept); got != tt.want || identity != tt.identity {
			t.Errorf("%s: %v and %v, want %v and %v", tt.name, got, identity, tt.want, tt.identity)
		}
	}
}

// accepting sends a request that leaves decompression to the test.
func (s *served) accepting(coding, method, path string) (*http.Response, []byte, error) {
	s.t.Helper()
	return accepting(s.t, s.client, coding, method, s.url+path)
}

func accepting(t *testing.T, client *http.Client, coding, method, url string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", coding)
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func decompress(t *testing.T, coding string, b []byte) string {
	t.Helper()
	var z io.Reader
	var err error
	switch coding {
	case "gzip":
		z, err = gzip.NewReader(bytes.NewReader(b))
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
		}
		z = d
	default:
		return string(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

// noise is a value of about so many bytes that stays longer than half of it.
func noise(bytes int) []string {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 48)
	out := make([]string, 0, bytes/100)
	for range bytes / 100 {
		_, _ = r.Read(b)
		out = append(out, hex.EncodeToString(b))
	}
	return out
}

func TestCompressedResponses(t *testing.T) {
	values := map[string]any{
		"short":           "x",
		"of a few KB":     rows(50),
		"of many quanta":  rows(10_000),
		"beyond the hold": noise(1 << 20),
		"of a marshaler":  []any{rows(1_000), marshalerFunc(func() ([]byte, error) { return json.Marshal(rows(1_000)) })},
	}
	r := gin.New()
	for name, v := range values {
		r.GET("/"+name, func(c *gin.Context) { JSON(c, 201, v) })
	}
	const hold = 200 << 10
	s := serve(t, r, WithCompression(0), WithEncoder(encoder.WithHold(hold)))
	h2 := http2Client(t, s.guard, r)
	for name, v := range values {
		b, _ := json.Marshal(v)
		want, path := string(b), "/"+strings.ReplaceAll(name, " ", "%20")
		for _, accept := range []string{"zstd", "gzip", "br"} {
			coding := accept
			if name == "short" || accept == "br" {
				coding = ""
			}
			check := func(proto string, h http.Header, length int64, body []byte) {
				t.Helper()
				if h.Get("Content-Encoding") != coding || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Type") != jsonContentType[0] {
					t.Errorf("%s %s: headers %v", accept, proto, h)
				}
				if len(body) <= hold && length != int64(len(body)) || length >= 0 && length != int64(len(body)) {
					t.Errorf("%s %s: Content-Length %d for %d bytes", accept, proto, length, len(body))
				}
				if got := decompress(t, coding, body); got != want {
					t.Errorf("%s %s: %d bytes, want %d: %.60q", accept, proto, len(got), len(want), got)
				}
				if coding != "" && len(body) > len(want)*11/10 {
					t.Errorf("%s %s: %d bytes became %d", accept, proto, len(want), len(body))
				}
			}
			t.Run(name+" for "+accept, func(t *testing.T) {
				for proto, client := range map[string]func() (*http.Response, []byte, error){
					"HTTP/1.0": func() (*http.Response, []byte, error) { return s.accepting10(accept, "GET", path) },
					"HTTP/1.1": func() (*http.Response, []byte, error) { return s.accepting(accept, "GET", path) },
					"HTTP/2.0": func() (*http.Response, []byte, error) {
						return accepting(t, h2.client, accept, "GET", h2.url+path)
					},
				} {
					resp, body, err := client()
					if err != nil || resp.StatusCode != 201 || resp.Proto != proto {
						t.Errorf("%s: %v, %v", proto, resp, err)
						continue
					}
					check(proto, resp.Header, resp.ContentLength, body)
				}
			})
		}
	}
}

// accepting10 asks as nginx does by default.
func (s *served) accepting10(coding, method, path string) (*http.Response, []byte, error) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(deadline))
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.0\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n", method, path, coding); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	// Of the response: its body ends with the connection.
	resp.Proto = "HTTP/1.0"
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// secure is a client of an engine that a guard serves by HTTP/2.
type secure struct {
	url    string
	client *http.Client
}

func http2Client(t *testing.T, g *Guard, r *gin.Engine) secure {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = g.Server(r)
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{NextProtos: []string{"h2"}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	srv.Client().Timeout = deadline
	return secure{srv.URL, srv.Client()}
}

func TestNothingIsCompressedWithoutTheOption(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) { JSON(c, 200, rows(1000)) })
	resp, body, err := serve(t, r).accepting("gzip, zstd", "GET", "/")
	want, _ := json.Marshal(rows(1000))
	if err != nil || resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Vary") != "" || !bytes.Equal(body, want) {
		t.Errorf("%v, %v, %d bytes, want %d", err, resp.Header, len(body), len(want))
	}
}

func TestTheShortestResponseThatIsCompressed(t *testing.T) {
	text := func(bytes int) string { return strings.Repeat("x", bytes-len(`""`)) }
	for _, tt := range []struct {
		name       string
		minimum    int
		accept     string
		length     int
		compressed bool
	}{
		{"the default, just too short", 0, "gzip", DefaultCompressionMinimum - 1, false},
		{"the default", 0, "gzip", DefaultCompressionMinimum, true},
		{"another, just too short", 5000, "gzip", 4999, false},
		{"another", 5000, "gzip", 5000, true},
		{"everything", 1, "zstd", 2, true},
		{"any length, if it must not go as it is", 5000, "gzip, identity;q=0", 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := gin.New()
			for _, method := range []string{"GET", "HEAD"} {
				r.Handle(method, "/", func(c *gin.Context) { JSON(c, 200, text(tt.length)) })
			}
			s := serve(t, r, WithCompression(tt.minimum))
			for _, method := range []string{"GET", "HEAD"} {
				resp, _, err := s.accepting(tt.accept, method, "/")
				if err != nil {
					t.Fatal(err)
				}
				if got := resp.Header.Get("Content-Encoding") != ""; got != tt.compressed {
					t.Errorf("%s: compressed %v, want %v", method, got, tt.compressed)
				}
				if vary := resp.Header.Get("Vary"); vary != "Accept-Encoding" {
					t.Errorf("%s: Vary %q", method, vary)
				}
				if !tt.compressed && resp.ContentLength != int64(tt.length) {
					t.Errorf("%s: Content-Length %d, want %d", method, resp.ContentLength, tt.length)
				}
			}
		})
	}
	if _, err := New(WithCompression(-1)); err == nil {
		t.Error("a negative minimum is accepted")
	}
}

func TestHeadersOfResponsesThatMightBeCompressed(t *testing.T) {
	set := func(pairs ...string) gin.HandlerFunc {
		return func(c *gin.Context) {
			for i := 0; i < len(pairs); i += 2 {
				c.Writer.Header().Add(pairs[i], pairs[i+1])
			}
		}
	}
	status := func(code int) gin.HandlerFunc {
		return func(c *gin.Context) { JSON(c, code, rows(1000)); c.Abort() }
	}
	for _, tt := range []struct {
		name   string
		before gin.HandlerFunc
		method string
		coding string // "" if it is to be as the handler wrote it
		header map[string][]string
	}{
		{"an ETag that is strong", set("ETag", `"1"`), "GET", "gzip", map[string][]string{"Etag": {`W/"1"`}}},
		{"an ETag that is weak", set("ETag", `W/"1"`), "GET", "gzip", map[string][]string{"Etag": {`W/"1"`}}},
		{"another Vary", set("Vary", "Origin"), "GET", "gzip", map[string][]string{"Vary": {"Origin", "Accept-Encoding"}}},
		{"the same Vary", set("Vary", "Origin, accept-encoding"), "GET", "gzip", map[string][]string{"Vary": {"Origin, accept-encoding"}}},
		{"a Vary of everything", set("Vary", "*"), "GET", "gzip", map[string][]string{"Vary": {"*"}}},
		{"the length of the JSON", set("Content-Length", "123456"), "GET", "gzip", nil},
		{"an error's status", status(422), "GET", "gzip", nil},
		{"Cache-Control", set("Cache-Control", "no-cache"), "GET", "gzip", nil},
		{"HEAD", set(), "HEAD", "gzip", map[string][]string{"Content-Length": nil, "Vary": {"Accept-Encoding"}}},
		{"HEAD with an ETag", set("ETag", `"1"`), "HEAD", "gzip", map[string][]string{"Etag": {`W/"1"`}}},

		{"no-transform", set("Cache-Control", "private, No-Transform", "ETag", `"1"`), "GET", "", map[string][]string{"Vary": nil, "Etag": {`"1"`}}},
		{"a part", set("Content-Range", "bytes 0-9/10"), "GET", "", map[string][]string{"Vary": nil}},
		{"206", status(206), "GET", "", map[string][]string{"Vary": nil}},
		{"204", status(204), "GET", "", map[string][]string{"Content-Length": nil, "Vary": nil}},
		{"304", status(304), "GET", "", map[string][]string{"Content-Length": nil, "Vary": {"Accept-Encoding"}}},
		{"a header that has been sent", func(c *gin.Context) { c.Writer.WriteHeaderNow() }, "GET", "", map[string][]string{"Vary": nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := gin.New()
			r.Handle(tt.method, "/", tt.before, func(c *gin.Context) { JSON(c, 200, rows(1000)) })
			resp, body, err := serve(t, r, WithCompression(0)).accepting("gzip", tt.method, "/")
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Content-Encoding"); got != tt.coding {
				t.Errorf("Content-Encoding %q, want %q", got, tt.coding)
			}
			for name, want := range tt.header {
				if got := resp.Header[name]; !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			want, _ := json.Marshal(rows(1000))
			if tt.method == "HEAD" || resp.StatusCode == 204 || resp.StatusCode == 304 {
				want = nil
			}
			if len(want) > 0 || len(body) > 0 {
				if got := decompress(t, tt.coding, body); got != string(want) {
					t.Errorf("%d bytes, want %d", len(got), len(want))
				}
			}
		})
	}
}

func TestWhatIsEncodedAlreadyIsLeftAlone(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) { c.Header("Content-Encoding", "br"); JSON(c, 200, rows(1000)) })
	resp, body, err := serve(t, r, WithCompression(0)).accepting("gzip", "GET", "/")
	want, _ := json.Marshal(rows(1000))
	if err != nil || resp.Header.Get("Content-Encoding") != "br" || !bytes.Equal(body, want) {
		t.Errorf("%v, %v, %d bytes, want %d", err, resp.Header, len(body), len(want))
	}
}

func TestNothingIsCompressedTwice(t *testing.T) {
	for name, wrap := range map[string]func(*gin.Context, io.Writer) gin.ResponseWriter{
		"a writer with Unwrap": func(c *gin.Context, z io.Writer) gin.ResponseWriter { return &unwrapping{zipped{c.Writer, z}} },
		"a writer without":     func(c *gin.Context, z io.Writer) gin.ResponseWriter { return &zipped{c.Writer, z} },
	} {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, announced before: %v", name, announced), func(t *testing.T) {
				r := gin.New()
				r.Use(func(c *gin.Context) {
					z := gzip.NewWriter(c.Writer)
					if announced {
						c.Header("Content-Encoding", "gzip")
					}
					c.Writer = wrap(c, z)
					c.Next()
					_ = z.Close()
				})
				r.GET("/", func(c *gin.Context) { JSON(c, 200, rows(5_000)) })
				resp, body, err := serve(t, r, WithCompression(0)).accepting("gzip, zstd", "GET", "/")
				if err != nil || len(resp.Header.Values("Content-Encoding")) > 1 {
					t.Fatalf("%v, %v", err, resp)
				}
				want, _ := json.Marshal(rows(5_000))
				if got := decompress(t, "gzip", body); got != string(want) {
					t.Errorf("%d bytes, want %d: %.60q", len(got), len(want), got)
				}
			})
		}
	}
}

// unwrapping is a gzip middleware's writer with Unwrap.
type unwrapping struct{ zipped }

func (w *unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestErrorsAreNotCompressed(t *testing.T) {
	panics := marshalerFunc(func() ([]byte, error) { panic("marshaler") })
	values := map[string]any{
		"NaN":               math.NaN(),
		"NaN, encoded":      math.NaN(),
		"a late NaN":        []any{rows(10_000), math.NaN()},
		"a panic":           []any{panics},
		"a late panic":      []any{rows(10_000), panics},
		"a closed encoder":  rows(10_000),
		"an ended request":  rows(10_000),
		"a second response": rows(10_000),
	}
	for name, v := range values {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+name, func(t *testing.T) {
				r := gin.New()
				want, headed := 500, false
				switch name {
				case "an ended request":
					want = 503
					r.Use(func(c *gin.Context) {
						ctx, cancel := context.WithCancel(c.Request.Context())
						cancel()
						c.Request = c.Request.WithContext(ctx)
					})
				case "a closed encoder":
					want = 503
				case "NaN, encoded":
					r.Use(func(c *gin.Context) { c.Header("Content-Encoding", "br") })
				case "a second response":
					want, headed = 400, true
					r.Use(func(c *gin.Context) { c.String(400, "no") })
				}
				r.Handle(method, "/", func(c *gin.Context) { JSON(c, 200, v) })
				s := serve(t, r, WithCompression(0))
				if name == "a closed encoder" {
					if err := s.guard.enc.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				resp, body, err := s.accepting("gzip", method, "/")
				if headed && err != nil {
					return // cut, since it is no whole response
				}
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != want || resp.Header.Get("Content-Encoding") != "" || !headed && len(body) > 0 {
					t.Errorf("status %d, headers %v, body %.60q", resp.StatusCode, resp.Header, body)
				}
				if want == 503 && resp.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			})
		}
	}
}

func TestAnErrorInACompressedStreamIsABrokenBody(t *testing.T) {
	for name, end := range map[string]any{
		"an error": math.NaN(),
		"a panic":  marshalerFunc(func() ([]byte, error) { panic("late") }),
	} {
		value := []any{noise(1 << 20), end}
		r := gin.New()
		r.Use(gin.Recovery())
		r.GET("/", func(c *gin.Context) { JSON(c, 200, value) })
		s := serve(t, r, WithCompression(0), WithEncoder(encoder.WithHold(100<<10)))
		h2 := http2Client(t, s.guard, r)
		for _, coding := range []string{"gzip", "zstd"} {
			for proto, ask := range map[string]func() (*http.Response, []byte, error){
				"HTTP/1.0": func() (*http.Response, []byte, error) { return s.accepting10(coding, "GET", "/") },
				"HTTP/1.1": func() (*http.Response, []byte, error) { return s.accepting(coding, "GET", "/") },
				"HTTP/2":   func() (*http.Response, []byte, error) { return accepting(t, h2.client, coding, "GET", h2.url) },
			} {
				t.Run(fmt.Sprint(name, ", ", coding, ", ", proto), func(t *testing.T) {
					if resp, body, err := ask(); err == nil {
						t.Errorf("%v and %d bytes as if they were all", resp.Header, len(body))
					} else if resp != nil && resp.Header.Get("Content-Encoding") != coding {
						t.Errorf("%v: the test wants a compressed stream", resp.Header)
					}
				})
			}
		}
		s.wantStatus("/livez", 200)
	}
}

func TestACompressedResponseWeighsAsMuchAsItsJSON(t *testing.T) {
	want, _ := json.Marshal(rows(10_000))
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		JSON(c, 200, rows(10_000))
		if w := watched(c.Writer); w.json != int64(len(want)) || w.Size() >= len(want)/2 {
			t.Errorf("%d bytes of JSON sent as %d, want %d", w.json, w.Size(), len(want))
		} else if got := w.guard.Stats().Encoder.Bytes; got != int64(len(want)) {
			t.Errorf("%d bytes of JSON counted, want %d", got, len(want))
		}
		if got := watched(c.Writer).guard.Stats().Encoder.Bytes; got != int64(len(want)) {
			t.Errorf("%d bytes of JSON counted, want %d", got, len(want))
		}
	})
	s := serve(t, r, WithCompression(0))
	if _, _, err := s.accepting("zstd", "GET", "/"); err != nil {
		t.Fatal(err)
	}
}

func TestGinsOwnJSONIsNotCompressed(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) { c.JSON(200, rows(1000)) })
	resp, body, err := serve(t, r, WithCompression(0)).accepting("gzip", "GET", "/")
	want, _ := json.Marshal(rows(1000))
	if err != nil || resp.Header.Get("Content-Encoding") != "" || !bytes.Equal(body, want) {
		t.Errorf("%v, %v, %d bytes, want %d", err, resp.Header, len(body), len(want))
	}
}
