package middleware

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
)

// holders are handlers that keep what they have for long and need no
// processor meanwhile: each tells that it has begun and waits to be let go.
var holders = map[string]func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}){
	"an event stream": func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}) {
		c.SSEvent("message", rows(10))
		c.Writer.Flush()
		begun <- struct{}{}
		<-goOn
		c.SSEvent("message", rows(10))
	},
	"a body in flushed pieces": func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}) {
		c.Writer.Flush()
		begun <- struct{}{}
		<-goOn
		_, _ = c.Writer.WriteString("the rest")
	},
	"a sequence that waits for its rows": func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}) {
		Stream(c, 200, func(yield func(row) bool) {
			if yield(row{ID: 1}) {
				begun <- struct{}{}
				<-goOn
				yield(row{ID: 2})
			}
		})
	},
	"a marshaler that waits, by middleware.JSON": func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}) {
		JSON(c, 200, slow(begun, goOn))
	},
	"a marshaler that waits, by c.JSON": func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}) {
		c.JSON(200, slow(begun, goOn))
	},
	"a handler that waits": func(c *gin.Context, begun chan<- struct{}, goOn <-chan struct{}) {
		begun <- struct{}{}
		<-goOn
		c.JSON(200, "late")
	},
}

// half is more than a quantum, and so little that twelve of them leave room.
var half = rows(1500)

// slow is a value that waits half-way.
func slow(begun chan<- struct{}, goOn <-chan struct{}) any {
	return []any{half, marshalerFunc(func() ([]byte, error) {
		begun <- struct{}{}
		<-goOn
		return []byte("1"), nil
	}), half}
}

func TestWhoOnlyWaitsKeepsNobodyOut(t *testing.T) {
	const many = 12 // more than there are processors
	for name, hold := range holders {
		t.Run(name, func(t *testing.T) {
			begun, goOn := make(chan struct{}, many), make(chan struct{})
			large := rows(8_000)
			r := spoken()
			r.GET("/hold", func(c *gin.Context) { hold(c, begun, goOn) })
			r.GET("/small", func(c *gin.Context) { c.JSON(200, "small") })
			r.GET("/large", func(c *gin.Context) { JSON(c, 200, large) })
			s := serve(t, r)
			for _, p := range protocols {
				t.Run(p.name, func(t *testing.T) {
					v := s.over(p)
					v.t = t
					goOn = make(chan struct{})
					var group sync.WaitGroup
					for range many {
						group.Go(func() {
							if a := v.ask("GET", "/hold"); a.err != nil || a.status != 200 {
								t.Errorf("%v", a)
							}
						})
					}
					for range many {
						await(t, begun)
					}
					v.wantWhole(ways[0], "/small", []byte(`"small"`))
					v.wantWhole(ways[0], "/large", jsonOf(t, large))
					close(goOn)
					group.Wait()
				})
			}
			s.idle()
		})
	}
}

// TestWhatComesAfterAHandlersEndIsBookedToNobody has middleware outside of the
// guard's Handler write what the guard still watches, its request having left.
func TestWhatComesAfterAHandlersEndIsBookedToNobody(t *testing.T) {
	large := rows(4_000) // more than a light route answers
	piece := make([]byte, 1<<20)
	late := map[string]func(*gin.Context){
		"a long write":    func(c *gin.Context) { _, _ = c.Writer.Write(piece) },
		"a long string":   func(c *gin.Context) { _, _ = c.Writer.WriteString(string(piece)) },
		"a flush":         func(c *gin.Context) { c.Writer.Flush() },
		"middleware.JSON": func(c *gin.Context) { JSON(c, 200, large) },
		"c.JSON":          func(c *gin.Context) { c.JSON(200, large) },
		"a hijack": func(c *gin.Context) {
			if conn, _, err := c.Writer.Hijack(); err == nil {
				conn.Close()
			}
		},
	}
	handlers := map[string]gin.HandlerFunc{
		"nothing": func(*gin.Context) {},
		"little":  func(c *gin.Context) { _, _ = c.Writer.WriteString("little") },
		"much":    func(c *gin.Context) { JSON(c, 200, large) },
	}
	g, err := New(WithoutMaxProcs())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Next()
		late[c.Query("late")](c)
	}, g.Handler())
	for name, h := range handlers {
		r.GET("/"+name, h)
	}
	late[""] = func(*gin.Context) {}
	srv := httptest.NewServer(r)
	defer srv.Close()
	for handler := range handlers {
		for name := range late {
			for range 3 { // its route is unknown, then heavy or light
				resp, err := http.Get(srv.URL + "/" + handler + "?late=" + url.QueryEscape(name))
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			until(t, func() bool { return g.Stats().InFlight == 0 })
			if st := g.Stats(); st.Held != 0 || st.Waiting != 0 {
				t.Errorf("%s after %s: %+v, with nobody inside", name, handler, st)
			}
		}
	}
	// Everybody still finds room.
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			resp, err := http.Get(srv.URL + "/much?late=")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s, %d bytes, %v", resp.Status, len(b), err)
			}
		})
	}
	group.Wait()
	http.DefaultClient.CloseIdleConnections()
}
