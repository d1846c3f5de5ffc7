package probe

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const wedgeEnv = "PROBELANE_TEST_WEDGE"

// TestAWedgedProcess is the process of the next test: one processor, and
// a handler that cannot be preempted.
func TestAWedgedProcess(t *testing.T) {
	if os.Getenv(wedgeEnv) == "" {
		t.Skip("it is for TestAWedgedSchedulerAnswersNoProbe to run")
	}
	srv := httptest.NewServer(made(t).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		fmt.Println("wedged")
		for n := uint64(1); n != 0; n += 2 { // an odd number never gets there
		}
	})))
	fmt.Println(srv.Listener.Addr())
	select {}
}

// Behind the handler there is no need of a watchdog: who watches the scheduler
// of a process by a goroutine of that process asks whether goroutines run, and
// so does the handler by running.
func TestAWedgedSchedulerAnswersNoProbe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestAWedgedProcess$")
	child.Env = append(os.Environ(), wedgeEnv+"=1", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	lines := bufio.NewScanner(out)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the process ended: %v", lines.Err())
		}
		return lines.Text()
	}

	addr := next()
	if got := probed(t, "http://"+addr+"/livez"); got != 200 {
		t.Fatalf("/livez = %d before", got)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /wedge HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := next(); !strings.HasPrefix(got, "wedged") {
		t.Fatalf("got %q", got)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	answered := func() bool {
		resp, err := client.Get("http://" + addr + "/livez")
		if err == nil {
			resp.Body.Close()
			return true
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("%v, want a timeout", err)
		}
		return false
	}
	// The handler may have lost the processor once more, to its own line.
	for end := time.Now().Add(20 * time.Second); answered(); {
		if time.Now().After(end) {
			t.Fatal("probes are answered by a process in which no goroutine can run")
		}
	}
	if answered() {
		t.Error("a probe was answered after one that was not")
	}
}
