// Streaming sends rows as a paged source yields them, in memory that does not
// depend on how many there are.
//
//	go run ./examples/streaming
//	curl -N http://127.0.0.1:8080/users
//	curl -N -H 'Accept: application/x-ndjson' 'http://127.0.0.1:8080/users?rows=20&pause=300ms'
//	curl -N http://127.0.0.1:8080/page
//
// The second shows a row every 300 ms. Without a pause a million rows take
// about a second, and no more memory than a hundred.
package main

import (
	"context"
	"iter"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/encoder"
	"github.com/probelane/probelane/middleware"
)

func main() {
	if err := middleware.Run(engine(), "127.0.0.1:8080"); err != nil {
		log.Fatal(err)
	}
}

func engine() *gin.Engine {
	r := gin.New()
	r.GET("/users", func(c *gin.Context) {
		t, err := tableOf(c)
		if err != nil {
			c.String(http.StatusBadRequest, "%v", err)
			return
		}
		// An array, or a line for each row if the client accepts that.
		middleware.Stream(c, http.StatusOK, encoder.RowsErr(t.all(c.Request.Context())))
	})
	r.GET("/page", func(c *gin.Context) {
		t, err := tableOf(c)
		if err != nil {
			c.String(http.StatusBadRequest, "%v", err)
			return
		}
		middleware.Stream(c, http.StatusOK, page{
			Users: encoder.RowsErr(t.all(c.Request.Context())),
			Next:  "/page?from=" + strconv.Itoa(t.rows),
		})
	})
	return r
}

// tableOf is what the request asks for: ?rows=N and ?pause=DURATION.
func tableOf(c *gin.Context) (t table, err error) {
	if t.rows, err = strconv.Atoi(c.DefaultQuery("rows", "100")); err != nil {
		return t, err
	}
	t.pause, err = time.ParseDuration(c.DefaultQuery("pause", "0s"))
	return t, err
}

// page is an envelope: the list in it is a sequence like any other.
type page struct {
	Users encoder.Sequence `json:"users"`
	Next  string           `json:"next"`
}

type user struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// table stands for a database.
type table struct {
	rows  int
	pause time.Duration // before each row
}

const pageSize = 100

// fetch reads a page of rows.
func (t table) fetch(ctx context.Context, from int) ([]user, error) {
	var users []user
	for id := from; id < min(from+pageSize, t.rows); id++ {
		users = append(users, user{id, "user " + strconv.Itoa(id)})
	}
	return users, ctx.Err()
}

// all yields the rows, a page in memory at a time. An error is the last thing
// that it yields.
func (t table) all(ctx context.Context) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		for from := 0; from < t.rows; from += pageSize {
			users, err := t.fetch(ctx, from)
			if err != nil {
				yield(user{}, err)
				return
			}
			for _, u := range users {
				if err := wait(ctx, t.pause); err != nil {
					yield(user{}, err)
					return
				}
				if !yield(u, nil) {
					return // the client has left, or got what it takes
				}
			}
		}
	}
}

// wait returns early if the client leaves.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
