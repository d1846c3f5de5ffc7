package middleware

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/internal/canned"
)

// BenchmarkRequest is one small request on a kept connection, answered by gin as
// it is and by gin behind a guard.
func BenchmarkRequest(b *testing.B) {
	type person struct {
		ID     int    `json:"id"`
		Name   string `json:"name"`
		City   string `json:"city"`
		Active bool   `json:"active"`
	}
	r := gin.New()
	r.GET("/small", func(c *gin.Context) {
		c.JSON(200, person{ID: 1, Name: "Ada Lovelace", City: "London", Active: true})
	})
	const request = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n"
	b.Run("gin", func(b *testing.B) {
		canned.Bench(b, &http.Server{Handler: r}, func(ln net.Listener) net.Listener { return ln }, request)
	})
	b.Run("guard", func(b *testing.B) {
		g, err := New(WithoutLane())
		if err != nil {
			b.Fatal(err)
		}
		defer g.Close(context.Background())
		defer g.InstallCodec()()
		canned.Bench(b, g.Server(r), g.Listener, request)
	})
}
