package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/middleware"
)

func ExampleStream() {
	type user struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	r := gin.New()
	r.GET("/users", func(c *gin.Context) {
		middleware.Stream(c, http.StatusOK, encoder.RowsErr(func(yield func(user, error) bool) {
			// A loop over the rows of a database, for instance.
			for id, name := range []string{"Ada", "Grace"} {
				if !yield(user{id, name}, nil) {
					return // the client has left
				}
			}
		}))
	})

	for _, accept := range []string{"application/json", "application/x-ndjson"} {
		req := httptest.NewRequest("GET", "/users", nil)
		req.Header.Set("Accept", accept)
		resp := httptest.NewRecorder()
		r.ServeHTTP(resp, req)
		fmt.Println(resp.Header().Get("Content-Type"))
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s\n", body)
	}
	// Output:
	// application/json; charset=utf-8
	// [{"id":0,"name":"Ada"},{"id":1,"name":"Grace"}]
	// application/x-ndjson
	// {"id":0,"name":"Ada"}
	// {"id":1,"name":"Grace"}
}
