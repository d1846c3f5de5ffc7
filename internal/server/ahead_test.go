package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/iotest"
	"time"
)

// eager is a listener that reads what is said first.
type eager struct {
	net.Listener
	most int
}

func (l eager) ReadAhead() (net.Conn, []byte, error) {
	c, err := l.Accept()
	if err != nil {
		return nil, nil, err
	}
	ahead := make([]byte, l.most)
	n, err := io.ReadAtLeast(c, ahead, min(l.most, 1))
	return c, ahead[:n], err
}

// A server does not see which bytes were read ahead, nor does a handler that
// hijacks the connection.
func TestAhead_IsReadFirst(t *testing.T) {
	const body = "0123456789"
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for _, most := range []int{0, 1, 20, len(request) - 3, 4096} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			s, err := New(quick())
			if err != nil {
				t.Fatal(err)
			}
			handled := make(chan string, 2)
			r := serveOn(t, s, s.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				handled <- string(got)
				if r.Header.Get("Upgrade") == "" {
					return
				}
				nc, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				if _, isTCP := nc.(*net.TCPConn); !isTCP {
					t.Errorf("hijacked a %T", nc)
				}
				said, _ := io.ReadAll(rw)
				handled <- string(said)
			})), eager{listen(t), most})
			c := r.dial(t)
			defer c.Close()
			io.WriteString(c, request)
			if got := <-handled; got != body {
				t.Errorf("the handler got %q", got)
			}
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%v, %v", resp, err)
			}
			h := r.dial(t)
			defer h.Close()
			io.WriteString(h, "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")
			<-handled
			h.CloseWrite()
			if got := <-handled; got != "hello" {
				t.Errorf("the hijacker got %q", got)
			}
		})
	}
}

// Whoever reads less than was read ahead gets the rest later, and keeps Conn for it.
func TestAhead_InPieces(t *testing.T) {
	s, err := New(quick())
	if err != nil {
		t.Fatal(err)
	}
	ln := s.Listener(eager{listen(t), 4})
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "abcdefgh")
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := nc.(*Conn)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	var p [3]byte
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("Read(nil) = %d, %v", n, err)
	}
	if n, err := c.Read(p[:]); err != nil || string(p[:n]) != "abc" {
		t.Errorf("Read = %q, %v", p[:n], err)
	}
	if rest := c.release(); !rest {
		t.Error("the last byte is not to be lost")
	}
	client.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(iotest.OneByteReader(c))
	if err != nil || string(got) != "defgh" {
		t.Errorf("the rest is %q, %v", got, err)
	}
	if c.release() {
		t.Error("there is nothing left")
	}
}
