package probe_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/probelane/probelane/probe"
)

func ExampleHTTP() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			http.NotFound(w, r)
		}
	}))
	defer upstream.Close()
	fmt.Println(probe.HTTP(upstream.URL + "/health")(context.Background()))
	err := probe.HTTP(upstream.URL + "/elsewhere")(context.Background())
	fmt.Println(strings.ReplaceAll(err.Error(), upstream.URL, "http://upstream"))
	// Output:
	// <nil>
	// probe: Get "http://upstream/elsewhere": 404 Not Found
}

func ExampleTCP() {
	fmt.Println(probe.TCP("queue.internal")(context.Background()))
	// Output:
	// probe: TCP("queue.internal"): use host:port: address queue.internal: missing port in address
}

// nowhere stands for a database's driver.
type nowhere struct{}

func (nowhere) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }
func (nowhere) Driver() driver.Driver                        { return nil }

// The ready-made checks in one registry.
func Example_readyMade() {
	db := sql.OpenDB(nowhere{}) // sql.Open("pgx", dsn), for instance
	defer db.Close()
	probes, err := probe.New(
		probe.WithReadiness("database", probe.Ping(db), probe.FailureThreshold(2)),
		probe.WithReadiness("queue", probe.TCP("queue.internal:5672")),
		probe.WithReadiness("upstream", probe.HTTP("https://upstream.internal/health"), probe.Interval(30*time.Second)),
		probe.WithReadiness("dns", probe.DNS(nil, "upstream.internal")),
		probe.WithStartup("secrets", probe.File("/run/secrets/app")),
		probe.WithLiveness("goroutines", probe.Goroutines(1_000_000)),
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range probes.Status().Checks {
		fmt.Println(c.Name, c.State)
	}
	// Output:
	// database fail
	// queue fail
	// upstream fail
	// dns fail
	// secrets fail
	// goroutines pass
}
