package main

import (
	"context"
	"net/http"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/examples/flood"
	"github.com/probelane/probelane/middleware"
)

// server answers /clients with the large response, compressed, and /livez.
type server struct {
	name   string
	accept string // what its clients take
	run    func(addr string, clients func() *flood.Clients) error
}

// servers are gin-contrib/gzip as its documentation has it, at the setting that
// is fastest, and ours.
var servers = []server{
	{"gin-contrib-gzip", "gzip", contrib(gingzip.DefaultCompression)},
	{"gin-contrib-gzip-BestSpeed", "gzip", contrib(gingzip.BestSpeed)},
	{"gzip", "gzip", ours},
	{"zstd", "zstd", ours},
}

func contrib(level int) func(string, func() *flood.Clients) error {
	return func(addr string, clients func() *flood.Clients) error {
		gin.SetMode(gin.ReleaseMode)
		r := gin.New()
		r.GET("/livez", func(c *gin.Context) { c.String(http.StatusOK, "ok") })
		r.Use(gingzip.Gzip(level)) // not for the probe
		r.GET("/clients", func(c *gin.Context) { c.JSON(http.StatusOK, clients()) })
		return r.Run(addr)
	}
}

func ours(addr string, clients func() *flood.Clients) error {
	gin.SetMode(gin.ReleaseMode)
	g, err := middleware.New(middleware.WithCompression(0))
	if err != nil {
		return err
	}
	r := gin.New()
	r.GET("/clients", func(c *gin.Context) { middleware.JSON(c, http.StatusOK, clients()) })
	return g.Run(context.Background(), r, addr)
}

func source(payload string, entities int) func() *flood.Clients {
	if payload == "built" {
		return func() *flood.Clients { return flood.Build(entities) }
	}
	v := flood.Build(entities)
	return func() *flood.Clients { return v }
}
