package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The servers end with the test program.
func TestEveryServerIsMeasured(t *testing.T) {
	for _, server := range []string{"static", "plain", "encoder", "guarded", "laneless", "bare"} {
		t.Run(server, func(t *testing.T) {
			addr := started(t, server)
			var said bytes.Buffer
			if server == "bare" || server == "guarded" {
				if err := run(t.Context(), []string{"-addr", addr, "-probe", "/livez", "-for", "50ms", "-name", "X/y"}, &said); err != nil {
					t.Fatal(err)
				}
				if !regexp.MustCompile(`^BenchmarkX/y 1 3 probes 0 failed .* max-ms\n$`).MatchString(said.String()) {
					t.Errorf("said %q", said.String())
				}
			}
			if server == "bare" {
				return
			}
			said.Reset()
			args := []string{"-addr", addr, "-load", "/page", "-c", "2", "-for", "100ms", "-warm", "1ms", "-name", "X/y"}
			if err := run(t.Context(), args, &said); err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^BenchmarkX/y 1 [1-9]\S* responses/s .*-response-ms\n$`).MatchString(said.String()) {
				t.Errorf("said %q", said.String())
			}
		})
	}
}

// started starts a server and returns its address once it answers there.
func started(t *testing.T, server string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), []string{"-serve", server, "-addr", addr}, io.Discard) }()
	for begin := time.Now(); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return addr
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Each case is flooded, and those with probes are probed.
func TestCosts(t *testing.T) {
	var said bytes.Buffer
	err := run(t.Context(), []string{"-addr", started(t, "guarded"), "-laneless", started(t, "laneless"),
		"-load", "/page", "-c", "2", "-for", "21ms", "-warm", "1ms", "-name", "X"}, &said)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for i, probes := range []int{0, 0, costTurns, 2 * costTurns} {
		want += fmt.Sprintf(`BenchmarkX/%s 1 [1-9]\S* responses/s %d probes 0 failed\n`, costCases[i].name, probes)
	}
	if !regexp.MustCompile("^" + want + "$").MatchString(said.String()) {
		t.Errorf("said %q", said.String())
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{}, {"-load", "/other"}, {"-serve", "other"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%s: no error", strings.Join(args, " "))
		}
	}
}
