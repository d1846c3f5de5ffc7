package middleware_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/probelane/probelane/middleware"
)

func ExampleWithOverloadReadiness() {
	g, err := middleware.New(middleware.WithOverloadReadiness(20 * time.Second))
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close(context.Background())
	for _, c := range g.Stats().Probes.Checks {
		fmt.Println(c.Kind, c.Name, c.State)
	}
	// Output: readiness overload pass
}

func ExampleGuard_Probes() {
	g, err := middleware.New()
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close(context.Background())
	beat, err := g.Probes().Heartbeat("importer", time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	beat.Beat() // in every turn of the importer's loop
	fmt.Println(g.Stats().Probes.Live)
	// Output: true
}
