package main

import (
	"net/http"
	"runtime"
	"time"

	"github.com/bytedance/sonic"
	"github.com/gin-gonic/gin"
	"github.com/panjf2000/ants/v2"
	"github.com/probelane/probelane/examples/flood"
	"github.com/probelane/probelane/middleware"
)

// modes are the servers that are compared, in the order they are measured.
var modes = []mode{
	{"plain", "Gin as it is", "c.JSON, r.Run", plain},
	{"offload", "encoding on a worker pool", "ants and sonic.Marshal, r.Run", offload},
	{"guarded", "one line changed", "c.JSON, middleware.Run", guarded},
	{"stream", "responses streamed as well", "middleware.JSON, middleware.Run", stream},
}

type mode struct {
	name, title, how string
	run              func(addr string, clients source) error
}

// ours reports whether the mode is guarded by probelane, and so must not fail
// a probe.
func (m mode) ours() bool { return m.name == "guarded" || m.name == "stream" }

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
