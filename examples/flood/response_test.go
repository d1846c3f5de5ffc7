package flood

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestResponseReader(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	for _, tc := range []struct {
		name string
		wire string
		want response // its edges are not compared
		body string
		err  error
	}{
		{
			name: "a length frames the body",
			wire: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
			want: response{status: 200}, body: "hello",
		},
		{
			name: "header names have no case",
			wire: "HTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\n\r\nhello",
			want: response{status: 200}, body: "hello",
		},
		{
			name: "a body larger than the buffer",
			wire: "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + long,
			want: response{status: 200}, body: long,
		},
		{
			name: "chunks with an extension and a trailer",
			wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n",
			want: response{status: 200}, body: "hello",
		},
		{
			name: "a chunk larger than the buffer",
			wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n" + long + "\r\n0\r\n\r\n",
			want: response{status: 200}, body: long,
		},
		{
			name: "HTTP/1.0 without a length ends with the connection",
			wire: "HTTP/1.0 200 OK\r\n\r\nhello",
			want: response{status: 200, close: true}, body: "hello",
		},
		{
			name: "HTTP/1.0 may keep the connection",
			wire: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
			want: response{status: 200}, body: "ok",
		},
		{
			name: "an announcement comes first",
			wire: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			want: response{status: 200}, body: "ok",
		},
		{
			name: "204 has no body",
			wire: "HTTP/1.1 204 No Content\r\n\r\n",
			want: response{status: 204},
		},
		{
			name: "shed with a time to come back",
			wire: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			want: response{status: 503, close: true, retryAfter: 2 * time.Second},
		},
		{
			name: "nothing at all is an end of file",
			wire: "",
			err:  io.EOF,
		},
		{
			name: "a head cut short",
			wire: "HTTP/1.1 200 OK\r\nContent-Le",
			want: response{status: 200},
			err:  io.ErrUnexpectedEOF,
		},
		{
			name: "a body cut short",
			wire: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
			want: response{status: 200}, body: "hello",
			err: io.ErrUnexpectedEOF,
		},
		{
			name: "chunks cut before the last one",
			wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			want: response{status: 200}, body: "hello",
			err: io.ErrUnexpectedEOF,
		},
		{
			name: "a chunk longer than it says",
			wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
			want: response{status: 200}, body: "hell",
			err: errMalformed,
		},
		{name: "no HTTP", wire: "SSH-2.0-OpenSSH_9.9\r\n", err: errMalformed},
		{name: "a status that is no number", wire: "HTTP/1.1 abc\r\n\r\n", err: errMalformed},
		{name: "a length that is no number", wire: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", want: response{status: 200}, err: errMalformed},
		{name: "a header without a colon", wire: "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", want: response{status: 200}, err: errMalformed},
		{name: "a head without end", wire: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 3000), want: response{status: 200}, err: errHeadTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, source := range []struct {
				name string
				r    io.Reader
			}{
				{"in one piece", strings.NewReader(tc.wire)},
				{"byte by byte", iotest.OneByteReader(strings.NewReader(tc.wire))},
				{"with the error beside the data", iotest.DataErrReader(strings.NewReader(tc.wire))},
			} {
				var body strings.Builder
				counted := 0
				rr := newResponseReader(source.r, 2048)
				rr.body = func(p []byte) { body.Write(p) }
				rr.count = func(n int) { counted += n }
				got, err := rr.read()
				if !errors.Is(err, tc.err) || (err != nil) != (tc.err != nil) {
					t.Fatalf("%s: error %v, want %v", source.name, err, tc.err)
				}
				if got.status != tc.want.status || got.close != tc.want.close || got.retryAfter != tc.want.retryAfter {
					t.Errorf("%s: got %+v, want %+v", source.name, got, tc.want)
				}
				if body.String() != tc.body || got.size != int64(len(tc.body)) || counted != len(tc.body) {
					t.Errorf("%s: body of %d bytes (size %d, counted %d), want %d", source.name, body.Len(), got.size, counted, len(tc.body))
				}
			}
		})
	}
}

func TestResponsesFollowEachOtherOnOneConnection(t *testing.T) {
	wire := "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n" +
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree"
	var bodies strings.Builder
	rr := newResponseReader(strings.NewReader(wire), 64)
	rr.body = func(p []byte) { bodies.Write(p) }
	var statuses []int
	for {
		resp, err := rr.read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, resp.status)
	}
	if len(statuses) != 4 || bodies.String() != "onetwothree" {
		t.Errorf("read %v and %q", statuses, bodies.String())
	}
}

func TestBodyEdges(t *testing.T) {
	body := "0123456789abcdefghijklmnopqrstuvwxyz"
	for _, step := range []int{1, 3, 15, 16, 17, 36} {
		var resp response
		for rest := []byte(body); len(rest) > 0; {
			n := min(step, len(rest))
			resp.saw(rest[:n])
			rest = rest[n:]
		}
		if got, want := string(resp.head[:]), body[:bodyEdge]; got != want {
			t.Errorf("in steps of %d the head is %q, want %q", step, got, want)
		}
		if got, want := string(resp.tail[:]), body[len(body)-bodyEdge:]; got != want {
			t.Errorf("in steps of %d the tail is %q, want %q", step, got, want)
		}
	}
}

func FuzzResponseReader(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		rr := newResponseReader(strings.NewReader(string(wire)), 256)
		total := int64(0)
		for {
			resp, err := rr.read()
			if total += resp.size; total > int64(len(wire)) {
				t.Fatalf("read %d bytes of body from %d bytes", total, len(wire))
			}
			if err != nil || resp.close {
				return
			}
		}
	})
}
