package flood

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be the child of the process tests: it is the
// one program that surely exists where the tests run.
func TestMain(m *testing.M) {
	switch os.Getenv("FLOOD_TEST_CHILD") {
	case "serve":
		fmt.Println("serving")
		mux := http.NewServeMux()
		mux.HandleFunc("/procs", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("GOMAXPROCS")) })
		fmt.Println(http.ListenAndServe(os.Getenv("FLOOD_TEST_ADDR"), mux))
		os.Exit(1)
	case "fail":
		fmt.Println("no database")
		os.Exit(3)
	case "silent":
		select {}
	}
	goleak.VerifyTestMain(m)
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
