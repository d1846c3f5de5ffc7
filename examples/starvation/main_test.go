package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be the program itself, so that what is tested
// is the whole of it, its children included.
func TestMain(m *testing.M) {
	if os.Getenv("STARVATION_TEST_MAIN") != "" {
		main()
	}
	goleak.VerifyTestMain(m,
		// Importing ants starts its default pool.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}
