package middleware

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/probelane/probelane/probe"
)

// How the service's own port is asked whether it answers. Three misses in a row
// are 15 s where connections are refused, and 45 s where they hang: with
// admission on, a request that is answered in front of the router waits for
// milliseconds at most.
const (
	portInterval  = 5 * time.Second
	portTimeout   = 10 * time.Second
	portThreshold = 3
)

func checkProbeAddress(addr string) error {
	if addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("WithProbeAddress(%q): an address has a port, as in \":9090\": %w", addr, err)
	}
	return nil
}

// serveProbes serves the probes at their own address, if they have one, until
// stop is called.
func (g *Guard) serveProbes(ctx context.Context) (stop func(), err error) {
	if g.cfg.probeAddr == "" {
		return func() {}, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", g.cfg.probeAddr)
	if err != nil {
		return nil, fmt.Errorf("middleware: WithProbeAddress: %w", err)
	}
	srv := &http.Server{
		Handler:           g.probes,
		ReadHeaderTimeout: g.cfg.server.ReadHeaderTimeout,
		ReadTimeout:       portTimeout,
		WriteTimeout:      portTimeout,
		IdleTimeout:       g.cfg.server.IdleTimeout,
		MaxHeaderBytes:    g.cfg.server.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(g.lane(l)); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("the probes are no longer served at their own address", "address", l.Addr().String(), "error", err)
		}
	}()
	return func() {
		srv.Close()
		<-ended
	}, nil
}

// mainPort is the port that Run serves the engine at. What answers at another
// one would otherwise be green for a service that nobody can reach.
type mainPort struct {
	once   sync.Once
	opened chan struct{} // closed by open
	addr   net.Addr      // set before
}

func (p *mainPort) open(addr net.Addr) {
	p.once.Do(func() {
		p.addr = addr
		close(p.opened)
	})
}

// checks are those that ask the port. It is asked for each by itself, so that
// neither depends on the other.
func (p *mainPort) checks(draining func() bool) []probe.Option {
	ask := func(ctx context.Context) error {
		if draining() {
			return nil // the port closes before the last request is answered
		}
		return p.ask(ctx)
	}
	how := []probe.CheckOption{probe.Interval(portInterval), probe.Timeout(portTimeout), probe.FailureThreshold(portThreshold)}
	return []probe.Option{
		probe.WithLiveness("port-alive", ask, how...),
		probe.WithReadiness("port", ask, how...),
	}
}

// ask makes the one request that net/http answers before any handler, and no
// lane does: so there is somebody who accepts, reads and writes.
func (p *mainPort) ask(ctx context.Context) error {
	select {
	case <-p.opened:
	default:
		return nil // not from Run, so there is no other port
	}
	c, err := new(net.Dialer).DialContext(ctx, p.addr.Network(), p.addr.String())
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	if _, err := io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: "+p.addr.String()+"\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	status, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return fmt.Errorf("the port answers %q", status)
	}
	return nil
}
