package probe_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/probelane/probelane/probe"
)

func ExampleWithChangeHook() {
	told := make(chan struct{})
	probes, err := probe.New(
		probe.WithReadiness("database", ping),
		probe.WithChangeHook(func(c probe.Change) {
			fmt.Printf("%s %s: %v to %v, %v\n", c.Kind, c.Name, c.From, c.To, c.Err)
			close(told)
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	probes.Start()
	defer probes.Close(context.Background())
	<-told
	// Output: readiness database: fail to pass, <nil>
}

func ExampleDegraded() {
	replicas := func(context.Context) error {
		return probe.Degraded(errors.New("2 of 3 replicas answer"))
	}
	told := make(chan probe.Change)
	probes, err := probe.New(
		probe.WithReadiness("replicas", replicas),
		probe.WithChangeHook(func(c probe.Change) { told <- c }),
	)
	if err != nil {
		log.Fatal(err)
	}
	probes.Start()
	defer probes.Close(context.Background())

	c := <-told
	fmt.Println(c.To, c.Err)
	fmt.Println("ready:", probes.Status().Ready)
	// Output:
	// warn 2 of 3 replicas answer
	// ready: true
}
