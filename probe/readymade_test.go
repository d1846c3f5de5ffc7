package probe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// within bounds what a ready-made check of a test may take.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func wantPass(t *testing.T, check func(context.Context) error) {
	t.Helper()
	if err := check(within(t)); err != nil {
		t.Errorf("failed: %v", err)
	}
}

// wantFailure wants an error of the package's whose text has all of want.
func wantFailure(t *testing.T, check func(context.Context) error, want ...string) error {
	t.Helper()
	err := check(within(t))
	if err == nil {
		t.Errorf("passed, want an error with %q", want)
		return nil
	}
	for _, part := range append(want, "probe: ") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v\nwant it to contain %q", err, part)
		}
	}
	return err
}

// wantEnd wants a check that has to wait for ever to end with its context.
func wantEnd(t *testing.T, check func(context.Context) error, begun <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- check(ctx) }()
	<-begun
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "operation was canceled") {
			t.Errorf("%v, want it canceled", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("still running after its context has ended")
	}
}

func TestMistakenArgumentsFailWithAdvice(t *testing.T) {
	tests := []struct {
		name  string
		check func(context.Context) error
		want  string
	}{
		{"Ping(nil)", Ping(nil), "pass what is to be asked"},
		{"TCP without a port", TCP("database"), `TCP("database"): use host:port`},
		{"HTTP without a scheme", HTTP("localhost:8080/health"), `scheme "localhost" and the host ""`},
		{"HTTP with another scheme", HTTP("ftp://x/y"), "use http:// or https://"},
		{"HTTP without a host", HTTP("http:///y"), `host ""`},
		{"HTTP with what is no URL", HTTP("http://x:pass\x7f@y"), "cannot be parsed"},
		{"DNS of nothing", DNS(nil, ""), `DNS("")`},
		{"DNS of an address", DNS(nil, "::1"), "use a name"},
		{"File without a path", File(""), "the path is empty"},
		{"Goroutines without a limit", Goroutines(0), "must be positive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := wantFailure(t, tt.check, tt.want); err != nil && strings.Contains(err.Error(), "pass\\x7f") {
				t.Errorf("%v has the password", err)
			}
		})
	}
}
