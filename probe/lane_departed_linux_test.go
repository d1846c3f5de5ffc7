//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// eachFamily is a test of a lane for clients of IPv4, of IPv6, and of both.
func eachFamily(t *testing.T, test func(*testing.T, *Lane)) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			ln, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err)
			}
			l, err := made(t).Lane(ln)
			if err != nil {
				t.Fatal(err)
			}
			on(t, l)
			test(t, l)
		})
	}
}

// A request whose client is gone is a request all the same.
func TestLaneHandsOutWhatItsClientHasReset(t *testing.T) {
	eachFamily(t, func(t *testing.T, l *Lane) {
		handled := make(chan string)
		serve(t, &http.Server{ErrorLog: discard, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			handled <- fmt.Sprintf("%s %q %v", r.RemoteAddr, body, err)
		})}, l)
		for range 20 {
			c := dial(t, l.Addr()).(*net.TCPConn)
			want := c.LocalAddr().String() + ` "hello" <nil>`
			io.WriteString(c, "POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
			c.SetLinger(0)
			c.Close()
			select {
			case got := <-handled:
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			case <-time.After(patience):
				t.Fatal("no request")
			}
		}
	})
}

// The address is what net has of a client that is still there.
func TestLaneKnowsItsClients(t *testing.T) {
	eachFamily(t, func(t *testing.T, l *Lane) {
		defer l.Close()
		c := dial(t, l.Addr())
		defer c.Close()
		io.WriteString(c, "x")
		lane := l.active.(*lane)
		lane.begin.Do(lane.start)
		f, err := lane.next()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, want := f.from.addr().String(), c.LocalAddr().String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
