package probe

import (
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkConnections is a new connection for each request: bare, as cheap as
// Go has it, through net/http, and through net/http behind the lane; a probe,
// and a request that is none.
//
//	go test ./probe -run '^$' -bench Connections -cpu 1 -count 6
func BenchmarkConnections(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 3\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nDate: Thu, 26 Nov 2026 14:20:37 GMT\r\nConnection: close\r\n\r\nok\n")
	bare := func(b *testing.B, ln net.Listener) {
		go func() {
			buf := make([]byte, 1024)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.Read(buf)
				c.Write(answer)
				c.Close()
			}
		}()
		b.Cleanup(func() { ln.Close() })
	}
	plain := func(b *testing.B, ln net.Listener) { serve(b, &http.Server{Handler: made(b).Wrap(echo)}, ln) }
	laned := func(b *testing.B, ln net.Listener) { serveLane(b, made(b), ln) }
	for _, kind := range []struct{ name, request string }{
		{"probe", probeRequest("/livez")},
		{"other", probeRequest("/other")},
	} {
		for _, server := range []struct {
			name  string
			serve func(*testing.B, net.Listener)
		}{{"bare", bare}, {"http", plain}, {"lane", laned}} {
			b.Run(kind.name+"/"+server.name, func(b *testing.B) {
				ln := listen(b, "tcp", "127.0.0.1:0")
				server.serve(b, ln)
				b.ReportAllocs()
				var all []time.Duration
				buf := make([]byte, 1024)
				for b.Loop() {
					began := time.Now()
					c, err := net.Dial("tcp", ln.Addr().String())
					if err != nil {
						b.Fatal(err)
					}
					io.WriteString(c, kind.request)
					n := 0
					for {
						m, err := c.Read(buf[n:])
						n += m
						if err != nil {
							break
						}
					}
					c.Close()
					if n < 150 {
						b.Fatalf("got %q", buf[:n])
					}
					all = append(all, time.Since(began))
				}
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2]), "ns/p50")
				b.ReportMetric(float64(all[len(all)*99/100]), "ns/p99")
			})
		}
	}
}
