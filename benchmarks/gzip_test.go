package benchmarks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/probelane/probelane/middleware"
)

// A service may compress with gin-contrib/gzip already. Its writer has no
// Unwrap, others have.
var gzips = map[string][]gin.HandlerFunc{
	"without Unwrap": {gingzip.Gzip(gingzip.BestSpeed)},
	"with Unwrap": {
		func(c *gin.Context) { c.Set("beneath", c.Writer) },
		gingzip.Gzip(gingzip.BestSpeed),
		func(c *gin.Context) {
			c.Writer = &unwrapping{c.Writer, c.MustGet("beneath").(http.ResponseWriter)}
		},
	},
}

// unwrapping is gin-contrib/gzip's writer with an Unwrap.
type unwrapping struct {
	gin.ResponseWriter
	beneath http.ResponseWriter
}

func (w *unwrapping) Unwrap() http.ResponseWriter { return w.beneath }

var jsons = map[string]func(*gin.Context, int, any){
	"c.JSON":          func(c *gin.Context, code int, v any) { c.JSON(code, v) },
	"middleware.JSON": middleware.JSON,
}

// noise stays longer than half of its length when it is compressed.
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

func TestGinContribGzipBehindAGuard(t *testing.T) {
	values := map[string]any{
		"small": gin.H{"a": "<b>"},
		"large": clients(5_000)(), // 2.3 MB, and little when it is compressed
		"noise": noise(4 << 20),
		"nan":   math.NaN(),
		"late":  []any{noise(6 << 20), math.NaN()},
	}
	for with, use := range gzips {
		for _, ours := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, own compression %v", with, ours), func(t *testing.T) {
				gin.SetMode(gin.ReleaseMode)
				r := gin.New()
				r.Use(use...)
				for how, answer := range jsons {
					for name, v := range values {
						r.Match([]string{"GET", "HEAD"}, "/"+how+"/"+name, func(c *gin.Context) { answer(c, 200, v) })
					}
					r.GET("/"+how+"/204", func(c *gin.Context) { answer(c, 204, gin.H{"a": 1}) })
				}
				opts := []middleware.Option{middleware.WithoutMaxProcs()}
				if ours {
					opts = append(opts, middleware.WithCompression(0))
				}
				addr := guarded(t, r, opts...)
				for how := range jsons {
					for _, name := range []string{"small", "large", "noise"} {
						want, _ := json.Marshal(values[name])
						for _, proto := range []string{"1.0", "1.1"} {
							resp, body, err := ask(t, addr, proto, "gzip", "GET", "/"+how+"/"+name)
							if err != nil || resp.StatusCode != 200 || len(resp.Header["Content-Encoding"]) != 1 {
								t.Errorf("%s of %s by HTTP/%s: %v, %v", how, name, proto, err, resp)
							} else if got, err := gunzip(body); err != nil || !bytes.Equal(got, want) {
								t.Errorf("%s of %s by HTTP/%s: %d bytes, want %d (%v)", how, name, proto, len(got), len(want), err)
							}
						}
						resp, body, err := ask(t, addr, "1.1", "gzip", "HEAD", "/"+how+"/"+name)
						if err != nil || resp.StatusCode != 200 || len(body) > 0 {
							t.Errorf("HEAD of %s of %s: %v, %v, %d bytes", how, name, err, resp, len(body))
						}
						// This one does not come through the other's writer.
						resp, body, err = ask(t, addr, "1.1", "zstd", "GET", "/"+how+"/"+name)
						zstd := err == nil && resp.Header.Get("Content-Encoding") == "zstd"
						if err != nil || !zstd && !bytes.Equal(body, want) || zstd && !ours {
							t.Errorf("zstd of %s of %s: %v, %v, %d bytes", how, name, err, resp, len(body))
						}
						if want := ours && how == "middleware.JSON" && name != "small"; with == "without Unwrap" && zstd != want {
							t.Errorf("zstd of %s of %s: %v, want %v", how, name, zstd, want)
						}
					}
					resp, body, err := ask(t, addr, "1.1", "gzip", "GET", "/"+how+"/204")
					if err != nil || resp.StatusCode != 204 || len(body) > 0 {
						t.Errorf("204 of %s: %v, %v, %d bytes", how, err, resp, len(body))
					}
					resp, body, err = ask(t, addr, "1.1", "gzip", "GET", "/"+how+"/nan")
					if err != nil || resp.StatusCode != 500 || len(body) > 0 || resp.Header.Get("Content-Encoding") != "" {
						t.Errorf("NaN of %s: %v, %v, %d bytes", how, err, resp, len(body))
					}
				}
				for _, proto := range []string{"1.0", "1.1"} {
					resp, body, err := ask(t, addr, proto, "gzip", "GET", "/middleware.JSON/late")
					if err == nil {
						t.Errorf("an error after the first byte by HTTP/%s: %v, %d bytes as if they were all", proto, resp, len(body))
					}
				}
				resp, _, err := ask(t, addr, "1.1", "", "GET", "/livez")
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("a probe after all of that: %v, %v", resp, err)
				}
			})
		}
	}
}

// guarded serves the engine on loopback until the test ends.
func guarded(t *testing.T, r *gin.Engine, opts ...middleware.Option) (addr string) {
	t.Helper()
	g, err := middleware.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	restore := g.InstallCodec()
	srv := g.Server(r)
	go func() { _ = srv.Serve(g.Listener(l)) }()
	t.Cleanup(func() {
		_ = srv.Close()
		restore()
		if err := g.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// ask sends one request on a connection of its own and leaves decompression to
// the caller.
func ask(t *testing.T, addr, proto, coding, method, path string) (*http.Response, []byte, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(c, "%s %s HTTP/%s\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n", method, path, proto, coding); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
