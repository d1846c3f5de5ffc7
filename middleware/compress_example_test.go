package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/middleware"
)

func ExampleWithCompression() {
	g, err := middleware.New(middleware.WithCompression(0))
	if err != nil {
		panic(err)
	}
	defer g.Close(context.Background())
	r := gin.New()
	r.Use(g.Handler())
	r.GET("/text", func(c *gin.Context) {
		g.JSON(c, http.StatusOK, gin.H{"text": strings.Repeat("again and ", 1000)})
	})

	for _, accept := range []string{"gzip", "gzip, zstd", "br"} {
		req := httptest.NewRequest("GET", "/text", nil)
		req.Header.Set("Accept-Encoding", accept)
		resp := httptest.NewRecorder()
		r.ServeHTTP(resp, req)
		fmt.Printf("%s: %q, less than a tenth: %t\n", accept, resp.Header().Get("Content-Encoding"), resp.Body.Len() < 1000)
	}
	// Output:
	// gzip: "gzip", less than a tenth: true
	// gzip, zstd: "zstd", less than a tenth: true
	// br: "", less than a tenth: false
}
