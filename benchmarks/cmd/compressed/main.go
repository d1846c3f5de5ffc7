// Compressed floods one server that compresses its large responses, probes it
// as kubelet does, and prints what came out in the format of Go's benchmarks.
//
//	go run ./benchmarks/cmd/compressed gzip
//	go run ./benchmarks/cmd/compressed -c 64 -seconds 6 -payload built gin-contrib-gzip
//
// The server is a child on one core with GOMAXPROCS=1; the load and the prober
// are on another, and leave the bodies compressed.
package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/probelane/probelane/benchmarks/internal/starve"
	"github.com/probelane/probelane/examples/flood"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compressed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {

	clients := flag.Int("c", 64, "`clients` that keep their connection and ask again once they have their answer")
	seconds := flag.Int("seconds", 6, "`seconds` of flood")
	entities := flag.Int("entities", flood.Entities, "`entities` in one response")
	payload := flag.String("payload", "shared", "`where` responses come from: built by each request, or shared, one in memory")
	serve := flag.String("serve", "", "only serve, on this `address`")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: compressed [flags] %s\n", strings.Join(names(), "|"))
		flag.PrintDefaults()
	}
	flag.Parse()
	i := slices.IndexFunc(servers, func(s server) bool { return s.name == flag.Arg(0) })
	if i < 0 || flag.NArg() != 1 || *payload != "shared" && *payload != "built" || *seconds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *serve != "" {
		return servers[i].run(*serve, source(*payload, *entities))
	}
	c := measurement{servers[i], *payload, *clients, *entities, time.Duration(*seconds) * time.Second}
	metrics, err := c.run(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("BenchmarkCompressed/%s/%dclients/%s 1", c.payload, c.clients, c.server.name)
	for _, m := range metrics {
		fmt.Print(" ", strconv.FormatFloat(m.Value, 'g', 8, 64), " ", m.Unit)
	}
	fmt.Println()
	return nil
}

func names() (all []string) {
	for _, s := range servers {
		all = append(all, s.name)
	}
	return all
}

type measurement struct {
	server   server
	payload  string
	clients  int
	entities int
	duration time.Duration
}

// probeTimeout is kubelet's default.
const probeTimeout = time.Second

func (m measurement) run(ctx context.Context) ([]starve.Metric, error) {
	core := -1
	if cores := flood.Cores(); len(cores) > 1 {
		core = cores[0]
		if err := flood.PinSelf(cores[1]); err != nil {
			return nil, err
		}
		runtime.GOMAXPROCS(1)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	ln.Close()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	srv, err := flood.Start(ctx, flood.Process{
		Path: self, Args: []string{"-serve", addr, "-payload", m.payload, "-entities", strconv.Itoa(m.entities), m.server.name},
		Addr: addr, Core: core, Procs: 1,
	})
	if err != nil {
		return nil, err
	}
	defer srv.Stop()
	if err := m.verify(ctx, addr); err != nil {
		return nil, err
	}
	runtime.GC() // what verify left, now rather than amid the flood

	// The flood lasts until the last probe has its answer.
	loadCtx, endLoad := context.WithCancel(ctx)
	defer endLoad()
	var load flood.Result
	var loadErr error
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		load, loadErr = flood.Load{
			Addr: addr, Path: "/clients", AcceptEncoding: m.server.accept,
			Duration: m.duration + 2*probeTimeout, Clients: m.clients,
		}.Run(loadCtx)
	}()
	memory := flood.WatchMemory(srv.PID(), 0)
	probes, err := flood.Prober{Addr: addr, Timeout: probeTimeout, Duration: m.duration}.Run(ctx)
	endLoad()
	<-loaded
	var peak int64
	for _, s := range memory.Stop() {
		peak = max(peak, s.Peak)
	}
	for _, err := range []error{srv.Err(), err, loadErr, ctx.Err()} {
		if err != nil {
			return nil, err
		}
	}
	p := flood.Summarize(probes)
	f := starve.Figures{
		ResponsesPerSecond: load.Fast.PerSecond(load.Elapsed),
		MBPerSecond:        load.Fast.BytesPerSecond(load.Elapsed) / 1e6,
		Shed:               load.Fast.Shed,
		Errors:             load.Fast.Errors,
		Broken:             load.Fast.Broken,
		ProbesSent:         p.Sent,
		ProbesFailed:       p.Failed,
		ProbeP50MS:         ms(p.Latency.P50),
		ProbeP99MS:         ms(p.Latency.P99),
		ProbeMaxMS:         ms(p.Latency.Max),
		PeakBytes:          peak,
	}
	return append(f.Metrics(), starve.Metric{Value: ms(p99(probes)), Unit: "p99-of-all-ms"}), nil
}

// p99 is that of all probes. One that failed took at least as long as it may,
// and a server that fails nearly all of them must not be judged by the rest.
func p99(probes []flood.Probe) time.Duration {
	latencies := make([]time.Duration, len(probes))
	for i, p := range probes {
		if latencies[i] = p.Latency; !p.OK() {
			latencies[i] = probeTimeout
		}
	}
	return flood.QuantilesOf(latencies).P99
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// verify looks at one response in full.
func (m measurement) verify(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/clients", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", m.server.accept)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer resp.Body.Close()
	var z io.Reader
	switch coding := resp.Header.Get("Content-Encoding"); {
	case coding != m.server.accept:
		return fmt.Errorf("Content-Encoding %q, want %q", coding, m.server.accept)
	case coding == "gzip":
		if z, err = gzip.NewReader(resp.Body); err != nil {
			return err
		}
	default:
		d, err := zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer d.Close()
		z = d
	}
	var got flood.Clients
	if err := json.NewDecoder(z).Decode(&got); err != nil {
		return err
	}
	if len(got.Items) != m.entities {
		return fmt.Errorf("%d clients, want %d", len(got.Items), m.entities)
	}
	return nil
}
