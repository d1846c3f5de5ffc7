package probe_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/probelane/probelane/probe"
)

func ExampleRegistry_Heartbeat() {
	probes, err := probe.New()
	if err != nil {
		log.Fatal(err)
	}
	probes.Start()
	defer probes.Close(context.Background())

	messages := make(chan string, 1)
	messages <- "hello"
	close(messages)
	consume := func() error {
		beat, err := probes.Heartbeat("consumer", time.Minute)
		if err != nil {
			return err
		}
		defer probes.Remove("consumer")
		idle := time.NewTicker(10 * time.Second) // no message is no fault
		defer idle.Stop()
		for {
			beat.Beat()
			select {
			case m, ok := <-messages:
				if !ok {
					return nil
				}
				fmt.Println(m, probes.Status().Checks[0].State)
			case <-idle.C:
			}
		}
	}
	fmt.Println(consume())
	fmt.Println(len(probes.Status().Checks))
	// Output:
	// hello pass
	// <nil>
	// 0
}
