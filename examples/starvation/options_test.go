package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, m := range o.servers {
		names += m.name + " "
	}
	if names != "plain offload guarded " {
		t.Errorf("servers %q", names)
	}
	if o.clients != 64 || o.entities != 40_000 || o.every != 20*time.Millisecond || o.payload != "built" || o.procs != 1 || !o.pin {
		t.Errorf("defaults %+v", o)
	}
	if total := len(o.servers) * o.seconds; total > 40 {
		t.Errorf("the default run takes %d s, want about 40", total)
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
	}{
		{"-c -1", "-c is -1"},
		{"-seconds 0", "-seconds is 0"},
		{"-seconds 601", "-seconds is 601, must be 1 to 600"},
		{"-every 1us", "-every"},
		{"-payload none", `"none"`},
		{"-servers plain,plain", "names plain twice"},
		{"-servers nginx", "there are plain, offload, guarded, stream"},
		{"-serve nginx", `no server "nginx"`},
		{"-slow-rate 0", "-slow-rate"},
		{"-probe", "-probe needs a host:port in -addr"},
		{"-probe -addr nowhere", "-probe needs a host:port in -addr"},
		{"-probe -addr 127.0.0.1:1 -serve plain", "and no -serve"},
		{"-procs 0", "-procs is 0"},
		{"plain", `unexpected argument "plain"`},
		{"-frobnicate", "frobnicate"},
	} {
		_, err := parseOptions(strings.Fields(tc.args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.args, err, tc.want)
		}
	}
}

func TestServeHasAnAddress(t *testing.T) {
	o, err := parseOptions([]string{"-serve", "guarded"}, io.Discard)
	if err != nil || o.serve == nil || o.serve.name != "guarded" || o.addr != "127.0.0.1:8080" {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestHelpFitsIntoATerminal(t *testing.T) {
	var help bytes.Buffer
	if _, err := parseOptions([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for line := range strings.Lines(help.String()) {
		if n := len(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestCommandLineCanBePasted(t *testing.T) {
	got := commandLine([]string{"-c", "8", "-report", "", "-addr", "a b'c"})
	if want := `go run ./examples/starvation -c 8 -report '' -addr 'a b'\''c'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
