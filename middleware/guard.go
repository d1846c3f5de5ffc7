package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/internal/admission"
	"github.com/probelane/probelane/internal/server"
	"github.com/probelane/probelane/probe"
)

// A Guard joins an encoder, the probes, admission and a server. New makes it,
// Close ends it. One is enough for a process.
type Guard struct {
	cfg    config
	enc    *encoder.Encoder
	probes *probe.Registry
	gate   *admission.Gate
	server *server.Server
	log    *slog.Logger
	held   int64 // what a streamed response holds of the encoder's memory
	lanes  lanes
	port   mainPort
}

// New returns a Guard. The error names every option that is out of its range.
func New(opts ...Option) (*Guard, error) {
	cfg := defaults()
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Guard{cfg: cfg, log: cfg.log, port: mainPort{opened: make(chan struct{})}}
	if cfg.probeAddr != "" {
		cfg.probe = append(cfg.probe, g.port.checks(func() bool { return g.server.Draining() })...)
	}
	probes, err := probe.New(cfg.probe...)
	if err != nil {
		return nil, err
	}
	cfg.server.OnDrain = func() { probes.SetDraining(true) }
	g.probes = probes
	if cfg.rotation.on {
		if err := g.watchRotation(); err != nil {
			return nil, err
		}
	}
	g.server, err = server.New(cfg.server)
	if err != nil {
		return nil, err
	}
	enc, err := encoder.New(cfg.encoder...)
	if err != nil {
		return nil, err
	}
	encoder.Warm(cfg.warm...)
	g.enc, g.held = enc, enc.Held()
	g.gate = admission.New(admission.Config{
		Floor:       floor,
		Runnable:    runnablePerProc,
		Encodes:     encodesPerProc,
		WorkingSet:  workingSet,
		Budget:      cfg.budget,
		MaxWaiting:  cfg.maxWaiting,
		MaxWait:     cfg.maxWait,
		MinReadRate: cfg.minReadRate,
		StopsFor:    stopsFor,
		ReadsFor:    cfg.readsFor,
		Backlog:     enc.Backlog,
		NearlyDone:  enc.NearlyDone,
	})
	return g, nil
}

// Default returns a guard with default settings as gin middleware, for an app
// that keeps its own server, and puts its encoder behind c.JSON. The guard
// lives as long as the process.
//
//	r := gin.New()
//	r.Use(middleware.Default())
func Default() gin.HandlerFunc {
	g := standard()
	g.InstallCodec()
	return g.Handler()
}

// standard returns a guard with default settings.
func standard() *Guard {
	g, err := New()
	if err != nil {
		panic("probelane/middleware: the defaults are not valid: " + err.Error())
	}
	return g
}

// Server returns a server for the engine: probes before the router, admission,
// timeouts. It is the caller's to adjust, to serve and to shut down; Run serves
// and drains. A ConnContext set later should call the one that is there. Routes
// of the engine at a probe's path stay the engine's. Register all routes first:
// admission knows those that exist now.
//
// Serve it on a listener from Listener: a server alone cannot tell a client
// that reads slowly from one that does not read.
func (g *Guard) Server(engine *gin.Engine) *http.Server {
	srv := g.server.HTTP(g.front(engine))
	if engine.UseH2C {
		// gin's own way hijacks the connection, behind probes and admission.
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
	return srv
}

// Listener returns ln with a lane for probes in front of it, as probe.Lane is,
// and with connections that are cut once their client has taken nothing of a
// response for the time set by WithWriteStall. TLS belongs on top of it; the
// lane goes out of its way then. Run does this by itself.
func (g *Guard) Listener(ln net.Listener) net.Listener { return g.server.Listener(g.lane(ln)) }

// Probes returns the guard's probes, for heartbeats, and for checks that come and
// go while it serves. The guard starts and closes them.
func (g *Guard) Probes() *probe.Registry { return g.probes }

// front is what the server serves: the probes, and behind them the engine with
// admission around it.
func (g *Guard) front(engine *gin.Engine) http.Handler {
	for _, route := range engine.Routes() {
		path := route.Path
		if i := strings.IndexAny(path, ":*"); i > 0 && path[i-1] == '/' {
			path = path[:i] // "/readyz/:name" takes all that is below /readyz
		}
		if released := g.probes.Release(path); len(released) > 0 {
			g.log.Info("the app serves this probe's path itself", "path", route.Path)
		}
	}
	g.probes.Start()
	return g.probes.Wrap(g.around(engine))
}

// around returns an engine that has the same routes as inner, admits the
// requests, and hands them on. inner's own routes cannot be given middleware
// once they are registered, and only gin knows which of them a request matches.
func (g *Guard) around(inner *gin.Engine) http.Handler {
	mode := gin.Mode()
	gin.SetMode(gin.ReleaseMode) // its routes were announced once already
	defer gin.SetMode(mode)

	outer := gin.New()
	outer.RedirectTrailingSlash = false
	outer.UseRawPath = inner.UseRawPath
	outer.UseEscapedPath = inner.UseEscapedPath
	outer.UnescapePathValues = inner.UnescapePathValues
	outer.RemoveExtraSlash = inner.RemoveExtraSlash
	pass := func(c *gin.Context) { inner.ServeHTTP(c.Writer, c.Request) }
	for _, r := range inner.Routes() {
		route := g.route(r.Method, r.Path)
		outer.Handle(r.Method, r.Path, func(c *gin.Context) { g.admit(c, route) }, pass)
	}
	outer.NoRoute(func(c *gin.Context) {
		g.admit(c, nil)
		// An empty 404 of inner's is meant to be one: without this outer would
		// add gin's own text.
		c.Writer.WriteHeaderNow()
	}, pass)
	return outer
}

// Stats is what a Guard is doing.
type Stats struct {
	Encoder    encoder.Stats
	Probes     probe.Status
	Lanes      []probe.LaneStats // of the listeners that are open
	InFlight   int               // requests inside
	Waiting    int               // requests that wait for room
	Admitted   int64             // requests, since New
	Shed       int64             // requests answered 503 for want of room, since New
	Cut        int64             // requests inside whose clients read too slowly, since New
	Held       int64             // bytes that the requests inside are thought to hold
	Budget     int64             // bytes that they may hold
	GOMAXPROCS int
}

// Stats returns it.
func (g *Guard) Stats() Stats {
	a := g.gate.Stats()
	return Stats{
		Encoder:    g.enc.Stats(),
		Probes:     g.probes.Status(),
		Lanes:      g.lanes.stats(),
		InFlight:   a.InFlight,
		Waiting:    a.Waiting,
		Admitted:   a.Admitted,
		Shed:       a.Shed,
		Cut:        a.Cut,
		Held:       a.Held,
		Budget:     a.Budget,
		GOMAXPROCS: runtime.GOMAXPROCS(0),
	}
}

// Close turns away the requests that wait, stops the checks, and waits for
// what is being encoded. If ctx ends first the error says what is left. Then it
// undoes InstallCodec, so nothing may be served any more in which c.JSON is
// called.
func (g *Guard) Close(ctx context.Context) error {
	g.gate.Close()
	err := g.probes.Close(ctx)
	if e := g.enc.Close(ctx); e != nil {
		err = errors.Join(err, fmt.Errorf("encoder: %w", e))
	}
	uninstall(func(c *codec) bool { return c.guard == g })
	return err
}
