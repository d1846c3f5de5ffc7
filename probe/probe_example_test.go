package probe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/probelane/probelane/probe"
)

func show(h http.Handler, target string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	fmt.Printf("%s %d\n%s", target, w.Code, w.Body)
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
	// [-]shutdown failed: reason withheld
	// readyz check failed
	// /livez 200
	// ok
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
