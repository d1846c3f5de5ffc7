package main

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/probelane/probelane/examples/flood"
)

// The claim of the project, by the judge that counts: under a flood that gets
// a plain service restarted, the guarded one is left alone.
func TestKubeletRestartsThePlainServiceAndNotTheGuarded(t *testing.T) {
	// A goroutine that has something to compute holds its core for 10 ms, and a
	// probe takes two turns or more: 64 clients bring it near its second, twice
	// as many beyond it.
	for _, clients := range []int{128, 256} {
		plain, guarded := measured(t, clients)
		if guarded.RestartsMost > 0 || guarded.OutOfRotation > 0 {
			t.Error("a kubelet would have restarted the guarded service or taken it out of rotation")
		}
		if guarded.ResponsesPerSecond == 0 {
			t.Error("the guarded service has answered its probes and nothing else")
		}
		if plain.RestartsMost > 0 {
			return
		}
	}
	if runtime.GOOS == "linux" && len(flood.Cores()) > 1 { // elsewhere it may have cores enough
		t.Error("no kubelet would have restarted the plain service: this flood shows nothing")
	}
}

// measured is what five kubelets see of the plain and of the guarded server.
func measured(t *testing.T, clients int) (plain, guarded outcome) {
	t.Helper()
	var out, progress bytes.Buffer
	args := []string{"-json", "-seconds", "9", "-kubelets", "5", "-servers", "plain,guarded", "-c", strconv.Itoa(clients)}
	if err := run(context.Background(), args, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	t.Logf("%s", &out)
	var all []outcome
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Server != "plain" || all[1].Server != "guarded" {
		t.Fatalf("servers: %+v", all)
	}
	for _, o := range all {
		if o.Probes < 10 {
			t.Errorf("%s was probed %d times", o.Server, o.Probes)
		}
	}
	return all[0], all[1]
}

func TestFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"-c 0":          "-c is 0, must be 1 to 10000",
		"-scale 0":      "-scale is 0",
		"-kubelets -1":  "-kubelets is -1",
		"-seconds 4000": "-seconds is 4000",
		"-timeout 0s":   "-timeout is 0s, must be positive",
		"x":             `unexpected argument "x"`,
		"-nothing":      "not defined",
	} {
		err := run(context.Background(), strings.Fields(flags), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flags, err, want)
		}
	}
}

func TestTable(t *testing.T) {
	o, err := parse(nil, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = o.table(&b, []outcome{{
		Server: "plain", Probes: 60, Failed: 50, Reasons: map[string]int{"timeout": 48, "connection reset": 2},
		Restarts: 7.25, RestartsLeast: 6, RestartsMost: 9, OutOfRotation: 0.8, ResponsesPerSecond: 0.2,
	}})
	for _, want := range []string{
		"every 1s, limit 1s, 3 failures, 1 success; at most 10 restarts each", "nothing pinned",
		"plain", "7.2 (6 to 9)", "80 %", "2 connection reset, 48 timeout",
	} {
		if err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%v: no %q in\n%s", err, want, b.String())
		}
	}
}
