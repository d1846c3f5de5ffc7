// Quickstart is the shortest real program: a Gin service whose probes answer
// under any load at /livez, /readyz and /startupz.
package main

import (
	"log"

	"github.com/gin-gonic/gin"
	"github.com/probelane/probelane/middleware"
)

func main() {
	r := gin.Default()
	r.GET("/hello", func(c *gin.Context) {
		c.JSON(200, gin.H{"hello": "world"})
	})
	// In place of r.Run; it returns nil after a drain that SIGTERM asked for.
	if err := middleware.Run(r, "127.0.0.1:8080"); err != nil {
		log.Fatal(err)
	}
}
