package probe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/probelane/probelane/probe"
)

func show(h http.Handler, target string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	fmt.Printf("%s %d\n%s\n", target, w.Code, strings.TrimSpace(w.Body.String()))
}

func Example() {
	probes, err := probe.New(
		probe.WithReadiness("database", ping, probe.Interval(5*time.Second)),
	)
	if err != nil {
		log.Fatal(err)
	}
	service := probes.Wrap(http.NotFoundHandler())

	show(service, "/livez")
	show(service, "/readyz?verbose") // no result yet

	probes.Start()
	defer probes.Close(context.Background())

	// Output:
	// /livez 200
	// ok
	// /readyz?verbose 503
	// [+]ping ok
	// [+]shutdown ok
	// [-]database failed: reason withheld
	// readyz check failed
}

// ping stands for db.PingContext and the like.
func ping(context.Context) error { return nil }

func ExampleRegistry_SetDraining() {
	probes, err := probe.New()
	if err != nil {
		log.Fatal(err)
	}
	show(probes, "/readyz")
	probes.SetDraining(true)
	show(probes, "/readyz")
	show(probes, "/livez")
	// Output:
	// /readyz 200
	// ok
	// /readyz 503
	// [+]ping ok
	// [-]shutdown failed: reason withheld
	// readyz check failed
	// /livez 200
	// ok
}

func ExampleWithPaths() {
	probes, err := probe.New(
		probe.WithPaths(probe.Liveness, "/livez", "/.well-known/live"),
		probe.WithPaths(probe.Readiness, "/readyz", "/.well-known/ready"),
		probe.WithPaths(probe.Health), // not served at all
	)
	if err != nil {
		log.Fatal(err)
	}
	show(probes, "/.well-known/live")
	show(probes, "/.well-known/ready?verbose")
	show(probes, "/.well-known/ready/shutdown")
	show(probes, "/healthz")
	// Output:
	// /.well-known/live 200
	// ok
	// /.well-known/ready?verbose 200
	// [+]ping ok
	// [+]shutdown ok
	// readyz check passed
	// /.well-known/ready/shutdown 200
	// ok
	// /healthz 404
	// 404 page not found
}

func ExampleRegistry_ServeHTTP() {
	probes, err := probe.New(probe.WithReadiness("database", ping))
	if err != nil {
		log.Fatal(err)
	}
	show(probes, "/readyz/database") // no result yet
	show(probes, "/readyz?exclude=database")
	show(probes, "/readyz?exclude=database&verbose")
	show(probes, "/readyz?exclude=databse")
	show(probes, "/readyz/database?format=health")
	// Output:
	// /readyz/database 503
	// [-]database failed: reason withheld
	// /readyz?exclude=database 200
	// ok
	// /readyz?exclude=database&verbose 200
	// [+]ping ok
	// [+]shutdown ok
	// [+]database excluded: ok
	// readyz check passed
	// /readyz?exclude=databse 503
	// [+]ping ok
	// [+]shutdown ok
	// [-]database failed: reason withheld
	// warn: some health checks cannot be excluded: no matches for "databse"
	// readyz check failed
	// /readyz/database?format=health 503
	// {"status":"fail","checks":{"database":[{"componentType":"component","status":"fail","output":"reason withheld"}]}}
}

func ExampleRegistry_Status() {
	probes, err := probe.New(probe.WithReadiness("database", ping))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range probes.Status().Checks {
		fmt.Println(c.Name, c.OK, errors.Is(c.Err, probe.ErrPending))
	}
	// Output: database false true
}
