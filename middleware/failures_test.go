package middleware

import (
	"math"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"
)

// deep is the end of a deep stack.
func deep(levels int, f func()) {
	if levels == 0 {
		f()
		return
	}
	deep(levels-1, f)
}

func TestFailuresAreFoundAndForgotten(t *testing.T) {
	elsewhere := func(f func()) {
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		<-done
	}
	fails := func() {
		if _, err := ginjson.API.Marshal(math.NaN()); err == nil {
			t.Error("no error for NaN")
		}
	}
	r := gin.New()
	empty := func(c *gin.Context) { c.Header("Content-Type", "application/json"); c.Status(202) }
	r.GET("/empty", empty)
	for path, handle := range map[string]gin.HandlerFunc{
		"/500/c.JSON":                         func(c *gin.Context) { c.JSON(200, math.NaN()) },
		"/500/c.IndentedJSON":                 func(c *gin.Context) { c.IndentedJSON(200, math.NaN()) },
		"/500/on a deep stack":                func(c *gin.Context) { deep(1000, func() { c.JSON(200, math.NaN()) }) },
		"/500/PureJSON elsewhere":             func(c *gin.Context) { elsewhere(func() { c.PureJSON(200, math.NaN()) }) },
		"/500/after a goroutine has failed":   func(c *gin.Context) { elsewhere(fails); c.JSON(200, math.NaN()) },
		"/500/a panic after it":               func(c *gin.Context) { c.JSON(200, math.NaN()); panic("after") },
		"/202/in a goroutine of the handler":  func(c *gin.Context) { elsewhere(fails); empty(c) },
		"/202/not for the response":           func(c *gin.Context) { fails(); c.Status(202) },
		"/202/before a good answer":           func(c *gin.Context) { fails(); c.JSON(202, 1) },
		"/404/with a status that is an error": func(c *gin.Context) { c.JSON(404, math.NaN()) },
	} {
		r.GET(strings.ReplaceAll(path, " ", "-"), handle)
	}
	s := serve(t, r)
	for _, route := range r.Routes() {
		want := map[string]int{"500": 500, "202": 202, "404": 404, "emp": 202}[route.Path[1:4]]
		s.wantStatus(route.Path, want)
		if failures.any.Load() || len(failures.on) > 0 {
			t.Errorf("left after %s: %v", route.Path, failures.on)
		}
		// The connection is kept, and with it the goroutine.
		s.wantStatus("/empty", 202)
	}
	elsewhere(fails)
	if failures.any.Load() {
		t.Error("a failure outside of any request is remembered")
	}
}
