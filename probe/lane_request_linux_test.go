//go:build (amd64 || arm64) && go1.26 && !go1.27 && !msan && !asan

package probe

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzLaneRequest: what the lane takes for a probe, net/http takes for the same.
func FuzzLaneRequest(f *testing.F) {
	for _, e := range exchanges() {
		if request := strings.Join(e.pieces, ""); len(request) <= requestMax {
			f.Add([]byte(request))
		}
	}
	r, err := New()
	if err != nil {
		f.Fatal(err)
	}
	l := newLoop(laneDefaults())
	d := r.drafted(time.Now())
	l.tables[0] = *d.table
	paths := map[string]bool{}
	for _, p := range r.Paths() {
		paths[p] = true
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		if len(request) == 0 || len(request) > requestMax {
			return
		}
		l.got = int32(copy(l.request[:], request))
		if !l.parse() {
			return
		}
		rest := bufio.NewReader(bytes.NewReader(request))
		req, err := http.ReadRequest(rest)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		left, _ := io.ReadAll(rest)
		body, _ := io.ReadAll(req.Body)
		t0 := &l.tables[0]
		route := t0.routes[l.ask.route]
		for what, wrong := range map[string]bool{
			"bytes behind it":     len(left) > 0,
			"a body":              len(body) > 0 || req.ContentLength != 0 || req.TransferEncoding != nil,
			"another method":      req.Method != http.MethodGet && req.Method != http.MethodHead || (req.Method == http.MethodHead) != l.ask.head,
			"another path":        !paths[req.RequestURI] || req.URL.Path != req.RequestURI || req.URL.Path != string(t0.text[route.path:route.pathEnd]),
			"another version":     req.ProtoMajor != 1 || (req.ProtoMinor == 0) != l.ask.old,
			"another end":         (req.Close || req.ProtoMinor == 0) != l.ask.close,
			"an answer to differ": negotiate(req.Header["Accept"]) != text,
			"an expectation":      req.Header.Get("Expect") != "",
			"an upgrade":          req.Header.Get("Upgrade") != "",
		} {
			if wrong {
				t.Errorf("%s: %q", what, request)
			}
		}
	})
}
