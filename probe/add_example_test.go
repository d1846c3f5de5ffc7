package probe_test

import (
	"context"
	"fmt"
	"log"

	"github.com/probelane/probelane/probe"
)

func ExampleRegistry_Add() {
	probes, err := probe.New()
	if err != nil {
		log.Fatal(err)
	}
	probes.Start()
	defer probes.Close(context.Background())

	// A tenant that has just come must not take the process out of rotation.
	if err := probes.Add(probe.Readiness, "tenant-7", ping, probe.Initially(probe.Pass)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(probes.Status().Ready, len(probes.Status().Checks))
	fmt.Println(probes.Add(probe.Readiness, "tenant-7", ping))
	if err := probes.Remove("tenant-7"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(probes.Status().Checks))
	// Output:
	// true 1
	// probe: two checks are named "tenant-7": give one of them another name
	// 0
}
