package main

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/bytedance/sonic"
	"github.com/gin-gonic/gin"
	"github.com/panjf2000/ants/v2"
	"github.com/probelane/probelane/examples/flood"
	"github.com/probelane/probelane/middleware"
	"github.com/probelane/probelane/probe"
)

// modes are the servers that are compared, in the order they are measured.
var modes = []mode{
	{"plain", "Gin as it is", "c.JSON, r.Run", plain},
	{"offload", "encoding on a worker pool", "ants and sonic.Marshal, r.Run", offload},
	{"guarded", "one line changed", "c.JSON, middleware.Run", guarded},
	{"stream", "responses streamed as well", "middleware.JSON, middleware.Run", stream},
	{"laneless", "streamed, without the lane", "middleware.JSON, WithoutLane", laneless},
	{"lane", "Gin behind a lane alone", "c.JSON, probe.Lane", lane},
}

type mode struct {
	name, title, how string
	run              func(addr string, clients source) error
}

// ours reports whether probelane answers the mode's probes, so that none may
// fail.
func (m mode) ours() bool { return m.name != "plain" && m.name != "offload" }

// source is what the handler of /clients gets its response from.
type source func() *flood.Clients

// plain is a service as most are written.
func plain(addr string, clients source) error {
	r := app()
	r.GET("/clients", func(c *gin.Context) {
		c.JSON(http.StatusOK, clients())
	})
	return withLivez(r).Run(addr)
}

// guarded is plain but for its last line.
func guarded(addr string, clients source) error {
	r := app()
	r.GET("/clients", func(c *gin.Context) {
		c.JSON(http.StatusOK, clients())
	})
	return middleware.Run(r, addr)
}

// stream is guarded with its responses sent while they are being encoded.
func stream(addr string, clients source) error {
	r := app()
	r.GET("/clients", func(c *gin.Context) {
		middleware.JSON(c, http.StatusOK, clients())
	})
	return middleware.Run(r, addr)
}

// laneless is stream with its probes answered by http.Server's goroutines, in
// front of the router, as they are where there is no lane.
func laneless(addr string, clients source) error {
	g, err := middleware.New(middleware.WithoutLane())
	if err != nil {
		return err
	}
	r := app()
	r.GET("/clients", func(c *gin.Context) {
		middleware.JSON(c, http.StatusOK, clients())
	})
	return g.Run(context.Background(), r, addr)
}

// lane is plain with nothing but its probes taken care of: the service drowns,
// and lives.
func lane(addr string, clients source) error {
	probes, err := probe.New()
	if err != nil {
		return err
	}
	probes.Start()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	l, err := probes.Lane(ln)
	if err != nil {
		return err
	}
	r := app()
	r.GET("/clients", func(c *gin.Context) {
		c.JSON(http.StatusOK, clients())
	})
	return r.RunListener(l)
}

// offload is what one tries first: the slow part goes to a pool with as many
// workers as there are processors, and to a faster encoder.
func offload(addr string, clients source) error {
	pool, err := ants.NewPool(runtime.GOMAXPROCS(0))
	if err != nil {
		return err
	}
	defer pool.Release()

	r := app()
	r.GET("/clients", func(c *gin.Context) {
		v := clients()
		var body []byte
		var err error
		done := make(chan struct{})
		submitted := pool.Submit(func() {
			defer close(done)
			body, err = sonic.Marshal(v)
		})
		if submitted != nil {
			c.AbortWithError(http.StatusInternalServerError, submitted)
			return
		}
		if <-done; err != nil {
			c.AbortWithError(http.StatusInternalServerError, err)
			return
		}
		c.Data(http.StatusOK, "application/json; charset=utf-8", body)
	})
	return withLivez(r).Run(addr)
}

// app is what all of them have in common.
func app() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	// A handler that waits, as for a database: ab -n1000 -c100 …/sleep
	r.GET("/sleep", func(c *gin.Context) {
		time.Sleep(100 * time.Millisecond)
		c.String(http.StatusOK, "slept")
	})
	// A response of 60 bytes: wrk -t1 -c32 …/small
	r.GET("/small", func(c *gin.Context) {
		c.JSON(http.StatusOK, small{ID: 1, Name: "Ada Lovelace", City: "London", Active: true})
	})
	return r
}

// withLivez gives an app the usual route for its probe. With middleware.Run it
// needs none.
func withLivez(r *gin.Engine) *gin.Engine {
	r.GET("/livez", func(c *gin.Context) { c.String(http.StatusOK, "ok") })
	return r
}

type small struct {
	ID     int    `json:"id"`
	Name   string `json:"name"`
	City   string `json:"city"`
	Active bool   `json:"active"`
}
