// Loopback sends 18 MB of JSON over loopback, from one core to another: once as
// a body that is ready, which is as fast as net/http can send it, and once as it
// is being encoded.
//
//	go build -o /tmp/loopback ./benchmarks/cmd/loopback
//	GOMAXPROCS=1 taskset -c 0 /tmp/loopback -serve encoder
//	GOMAXPROCS=1 taskset -c 1 /tmp/loopback -load /clients
//	GOMAXPROCS=1 taskset -c 1 /tmp/loopback -probe /livez
//	GOMAXPROCS=1 taskset -c 1 /tmp/loopback -load /clients -laneless 127.0.0.1:8081
//
// The last asks two servers in turn, the one at -laneless without probes and the
// other at several rates of them, and reports each.
//
// Each server answers /clients (40,000 of them, 18.4 MB) and /page (146 of them,
// 67 KB: more than a quantum), from one value in memory:
//
//	static    net/http, the body in memory
//	plain     Gin and c.JSON
//	encoder   Gin and middleware.JSON: the encoder alone
//	guarded   the same with middleware.Run in place of Gin's
//	laneless  guarded without the lane
//	bare      nothing but accept, read, and write an answer to a probe
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/examples/flood"
	"github.com/probelane/probelane/middleware"
)

// entities is how many clients each path answers with.
var entities = map[string]int{"/clients": flood.Entities, "/page": 146}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "loopback:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	fs := flag.NewFlagSet("loopback", flag.ContinueOnError)
	server := fs.String("serve", "", "run the server of this `name`: static, plain, encoder, guarded, laneless or bare")
	path := fs.String("load", "", "ask for this `path`, /clients or /page, and report")
	probed := fs.String("probe", "", "probe this `path` every 20 ms, each time on a new connection, and report")
	laneless := fs.String("laneless", "", "with -load: what probes cost, compared with a server without a lane at this `address`")
	addr := fs.String("addr", "127.0.0.1:8080", "`address` of the server")
	clients := fs.Int("c", 8, "`clients` that keep their connection and ask again once they have their answer")
	window := fs.Duration("for", 3*time.Second, "`time` that they do so")
	warm := fs.Duration("warm", 500*time.Millisecond, "`time` before, which does not count")
	name := fs.String("name", "Loopback", "`name` of what is reported, in the format of Go's benchmarks")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *server != "" {
		return serve(*server, *addr)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *probed != "" {
		return probe(ctx, flood.Prober{Addr: *addr, Path: *probed, Duration: *window}, *name, w)
	}
	n, ok := entities[*path]
	if !ok {
		return errors.New("needs -serve, -load or -probe; see -h")
	}
	body, err := flood.Verify(ctx, *addr, *path, n)
	if err != nil {
		return err
	}
	load := flood.Load{Addr: *addr, Path: *path, Body: body, Clients: *clients, Duration: *warm}
	if *laneless != "" {
		load.Duration = *window
		return costs(ctx, load, *laneless, *warm, *name, w)
	}
	if _, err := load.Run(ctx); err != nil {
		return err
	}
	load.Duration = *window
	res, err := load.Run(ctx)
	if err != nil {
		return err
	}
	if res.FirstError != nil {
		return fmt.Errorf("%d errors, %d broken bodies: %w", res.Fast.Errors, res.Fast.Broken, res.FirstError)
	}
	_, err = fmt.Fprintf(w, "Benchmark%s 1 %.4g responses/s %.4g MB/s %.4g p50-response-ms %.4g p99-response-ms %.4g max-response-ms\n",
		*name, res.Fast.PerSecond(res.Elapsed), res.Fast.BytesPerSecond(res.Elapsed)/1e6,
		ms(res.Fast.Latency.P50), ms(res.Fast.Latency.P99), ms(res.Fast.Latency.Max))
	return err
}

// probe reports how a server's probes fare.
func probe(ctx context.Context, p flood.Prober, name string, w io.Writer) error {
	probes, err := p.Run(ctx)
	if err != nil {
		return err
	}
	s := flood.Summarize(probes)
	_, err = fmt.Fprintf(w, "Benchmark%s 1 %d probes %d failed %.4g p50-ms %.4g p99-ms %.4g max-ms\n",
		name, s.Sent, s.Failed, ms(s.Latency.P50), ms(s.Latency.P99), ms(s.Latency.Max))
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// serve runs a server until it is killed.
func serve(name, addr string) error {
	values := map[string]*flood.Clients{}
	for path, n := range entities {
		values[path] = flood.Build(n)
	}
	switch name {
	case "static":
		mux := http.NewServeMux()
		for path, v := range values {
			body, err := json.Marshal(v)
			if err != nil {
				return err
			}
			mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				w.Write(body)
			})
		}
		return http.ListenAndServe(addr, mux)
	case "plain":
		return routes(values, (*gin.Context).JSON).Run(addr)
	case "encoder":
		return routes(values, middleware.JSON).Run(addr)
	case "guarded":
		return middleware.Run(routes(values, middleware.JSON), addr)
	case "laneless":
		g, err := middleware.New(middleware.WithoutLane())
		if err != nil {
			return err
		}
		return g.Run(context.Background(), routes(values, middleware.JSON), addr)
	case "bare":
		return bare(addr)
	}
	return fmt.Errorf("no server %q; there are static, plain, encoder, guarded, laneless and bare", name)
}

// bare answers the first bytes of every connection, whatever they are: the least
// that a probe can cost a Go program.
func bare(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
	request := make([]byte, 4<<10)
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		// An error is that of a client that has left.
		if _, err := c.Read(request); err == nil {
			c.Write(answer)
		}
		c.Close()
	}
}

func routes(values map[string]*flood.Clients, answer func(*gin.Context, int, any)) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	for path, v := range values {
		r.GET(path, func(c *gin.Context) { answer(c, http.StatusOK, v) })
	}
	return r
}
