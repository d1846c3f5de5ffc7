//go:build linux && (amd64 || arm64)

package server

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What may lie unsent is limited before it could become much, and not for a small
// response.
func TestConn_UnsentIsLimitedInTime(t *testing.T) {
	const little, much = littleSent / 2, 4 * unsentMost
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, much), 0o600); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, much)
	for _, test := range []struct {
		name  string
		write func(http.ResponseWriter, *http.Request)
		want  bool
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, false},
		{"little", func(w http.ResponseWriter, _ *http.Request) { w.Write(body[:little]) }, false},
		{"much", func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }, true},
		{"little again and again", func(w http.ResponseWriter, _ *http.Request) {
			for range 4 {
				w.Write(body[:little])
			}
		}, true},
		{"a file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			limits := make(chan int, 1)
			r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
				test.write(w, r)
				http.NewResponseController(w).Flush()
				control(FromContext(r.Context()).Conn, func(fd uintptr) {
					n, _ := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat)
					limits <- n
				})
			})
			resp, err := http.Get("http://" + r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			if got := <-limits == unsentMost; got != test.want {
				t.Errorf("limited: %v, want %v", got, test.want)
			}
		})
	}
}
