package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestLaneFirst(t *testing.T) {
	r := started(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lane, err := r.Lane(ln)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: r.Wrap(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, "hello "+q.RemoteAddr) }))}
	go srv.Serve(lane)
	for _, req := range []string{
		"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"HEAD /readyz HTTP/1.0\r\n\r\n",
	} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, req)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(bufio.NewReader(c))
		t.Logf("%q %v", b, err)
		c.Close()
	}
	t.Logf("%+v", lane.Stats())
	srv.Shutdown(context.Background())
	t.Logf("%+v", lane.Stats())
}
