package probe

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"
)

// What other health libraries are known to do, and this one must not. Three
// more have their tests among those of the checks: a check that hangs and stays
// green (TestAHungCheckTurnsRedAndIsNotRunAgain), 200 before the first result
// (TestNoAnswerIs200BeforeTheFirstResult), and the process that dies of a panic
// in a check, be it abandoned (TestWhatFailsACheck), or in a hook
// (TestAHookThatPanicsOrExitsIsCalledAgain).

// hung is a served registry with a check that has begun and does not return.
func hung(t *testing.T) (r *Registry, srv *httptest.Server) {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	r = started(t, WithReadiness("slow", func(context.Context) error {
		close(begun)
		<-release
		return nil
	}))
	srv = httptest.NewServer(r)
	t.Cleanup(func() {
		close(release)
		srv.Close()
	})
	<-begun
	return r, srv
}

// probed asks as kubelet does, on a connection of its own.
func probed(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

func TestSimultaneousProbesDoNotQueueBehindASlowCheck(t *testing.T) {
	_, srv := hung(t)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if got := probed(t, srv.URL+"/readyz"); got != 503 {
				t.Errorf("/readyz = %d, want 503", got)
			}
			if got := probed(t, srv.URL+"/livez"); got != 200 {
				t.Errorf("/livez = %d, want 200", got)
			}
		})
	}
	group.Wait() // while the check goes on hanging
}

func TestProbesOfAHungCheckLeaveNoGoroutines(t *testing.T) {
	r, _ := hung(t)
	wantStatus(t, r, "/readyz", 503)
	before := runtime.NumGoroutine()
	for range 500 {
		wantStatus(t, r, "/readyz", 503)
		wantStatus(t, r, "/healthz?verbose", 503)
	}
	if after := runtime.NumGoroutine(); after > before+10 {
		t.Errorf("%d goroutines after 1,000 probes, %d before", after, before)
	}
}
