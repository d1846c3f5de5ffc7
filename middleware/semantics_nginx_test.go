package middleware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// breaking is an engine of bodies that end too soon, below gin.Recovery, and
// of one that does not. paths are the former.
func breaking(whole any) (r *gin.Engine, paths []string) {
	r = spoken()
	r.Use(gin.Recovery())
	ends := map[string]any{"/error": func() {}} // a func has no JSON
	for name, end := range abrupt {
		ends["/"+strings.ReplaceAll(name, " ", "-")] = end
	}
	for path, end := range ends {
		value := endsBadly(end)
		r.GET(path, func(c *gin.Context) { JSON(c, 200, value) })
		paths = append(paths, path)
	}
	r.GET("/whole", func(c *gin.Context) { JSON(c, 200, whole) })
	return r, paths
}

// wantCurl has the real curl ask for the body that is whole, and for those that
// are not.
func wantCurl(t *testing.T, url string, want []byte, broken []string, flags ...string) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	flags = append(flags, "--silent", "--fail", "--insecure", "--max-time", "20")
	if got, err := exec.Command(curl, append(flags, url+"/whole")...).Output(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("whole: %d bytes, %v", len(got), err)
	}
	for _, path := range broken {
		got, err := exec.Command(curl, append(flags, url+path)...).Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !slices.Contains(broke, exit.ExitCode()) {
			t.Errorf("%s: %d bytes, %v, want an exit code of %v", path, len(got), err, broke)
		}
	}
}

// broke are the exit codes of curl for a partial file, a failure in receiving
// data, and a stream of HTTP/2 that was not closed cleanly.
var broke = []int{18, 56, 92}

// curls are what curl speaks.
var curls = []struct {
	name   string
	flags  string
	secure bool
}{
	{"HTTP/1.0", "--http1.0", false},
	{"HTTP/1.1", "--http1.1", false},
	{"HTTP/1.0 over TLS", "--http1.0 --no-alpn", true},
	{"HTTP/1.1 over TLS", "--http1.1", true},
	{"HTTP/2", "--http2", true},
	{"HTTP/2 without TLS", "--http2-prior-knowledge", false},
}

func TestCurlFailsOnABrokenBody(t *testing.T) {
	whole := beyond()
	want := jsonOf(t, whole)
	r, paths := breaking(whole)
	s := serve(t, r, small())
	for _, p := range curls {
		url := "http://" + s.addr
		if p.secure {
			url = "https://" + s.secure
		}
		t.Run(p.name, func(t *testing.T) {
			wantCurl(t, url, want, paths, strings.Fields(p.flags)...)
		})
	}
}

// upstreams are ways in which nginx asks and passes on. The first is how it
// does by default.
var upstreams = []struct{ name, settings string }{
	{"HTTP/1.0", ""},
	{"HTTP/1.0, unbuffered", "proxy_buffering off;"},
	{"HTTP/1.1", `proxy_http_version 1.1; proxy_set_header Connection "";`},
	{"HTTP/1.1, unbuffered", `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;`},
	{"HTTP/1.0, cached", "proxy_cache all; proxy_cache_valid 1m;"},
	{"HTTP/1.1, cached", `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_cache all; proxy_cache_valid 1m;`},
}

// nginx runs the proxy in front of addr until the test ends. It returns a
// socket for each upstream.
func nginx(t *testing.T, addr string) (sockets []string) {
	t.Helper()
	command, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	dir, err := os.MkdirTemp("", "nginx") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var servers strings.Builder
	for i, up := range upstreams {
		sockets = append(sockets, filepath.Join(dir, fmt.Sprint("s", i)))
		// The path tells them apart in the cache.
		fmt.Fprintf(&servers, "server { listen unix:%s; location / { proxy_cache_key %d$uri; proxy_pass http://%s; %s } }\n",
			sockets[i], i, addr, up.settings)
	}
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	proxy_cache_path %[1]s/cache keys_zone=all:1m;
	%[2]s
}`, dir, servers.String())
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command, "-p", dir, "-c", file)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("nginx said: %s", said.String())
		}
	})
	for _, socket := range sockets {
		until(t, func() bool {
			c, err := net.Dial("unix", socket)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return sockets
}

func TestNginxPassesABrokenBodyOnAsBroken(t *testing.T) {
	whole := beyond()
	want := jsonOf(t, whole)
	r, paths := breaking(whole)
	s := serve(t, r, small())
	for i, socket := range nginx(t, s.addr) {
		t.Run(upstreams[i].name, func(t *testing.T) {
			tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("unix", socket)
			}}
			defer tr.CloseIdleConnections()
			v := &visitor{t: t, client: &http.Client{Transport: tr, Timeout: deadline}, url: "http://nginx"}
			for range 2 { // what nginx has kept would come from there
				v.wantWhole(ways[0], "/whole", want)
				for _, path := range paths {
					v.wantBroken(path)
				}
			}
			wantCurl(t, "http://nginx", want, paths[:1], "--unix-socket", socket)
		})
	}
}
