package middleware

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/automaxprocs/maxprocs"
)

// Run serves the engine with everything on, in place of engine.Run: it takes
// the address as that does, or from PORT, or :8080. On SIGTERM or SIGINT it
// drains, and returns nil when the last request is answered; a second signal
// ends the process at once.
//
// It sets GOMAXPROCS to the cgroup's CPU quota and puts the encoder behind
// gin's c.JSON.
func Run(engine *gin.Engine, addr ...string) error {
	g, err := New()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // so that the second signal has its default effect
	return g.Run(ctx, engine, addr...)
}

// closeTimeout is for what outlives the last request: a check that hangs.
const closeTimeout = 2 * time.Second

// Run is the package's Run for g, until ctx ends. It drains then, closes g, and
// returns nil when the last request is answered.
func (g *Guard) Run(ctx context.Context, engine *gin.Engine, addr ...string) error {
	address, err := resolve(addr)
	if err != nil {
		return err
	}
	if g.cfg.maxProcs {
		// The error is about a cgroup that cannot be read: nothing is set then.
		undo, err := maxprocs.Set(maxprocs.Logger(func(f string, a ...any) { g.log.Info(fmt.Sprintf(f, a...)) }))
		if err != nil {
			g.log.Warn("GOMAXPROCS stays as it is", "cause", err)
		}
		defer undo()
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("middleware: %w", err)
	}
	stop, err := g.serveProbes(ctx)
	if err != nil {
		l.Close()
		return err
	}
	defer stop()
	g.port.open(l.Addr())
	g.InstallCodec()
	srv := g.Server(engine)
	err = g.server.Serve(ctx, srv, g.lane(l))
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if e := g.Close(closing); err == nil {
		err = e
	}
	return err
}

// resolve is gin's rule for addresses.
func resolve(addr []string) (string, error) {
	switch len(addr) {
	case 0:
		if port := os.Getenv("PORT"); port != "" {
			return ":" + port, nil
		}
		return ":8080", nil
	case 1:
		return addr[0], nil
	}
	return "", fmt.Errorf("middleware: Run takes one address, got %d: %q", len(addr), addr)
}
