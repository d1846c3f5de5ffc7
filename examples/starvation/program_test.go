package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// program is a run of the program under test.
type program struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner // of standard output
	stdout bytes.Buffer   // what was read of it
	stderr bytes.Buffer
}

// tooLong ends a program that a broken build keeps from ending.
const tooLong = time.Minute

// start starts the program in a directory of its own.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), "STARVATION_TEST_MAIN=1")
	p.cmd.Dir = t.TempDir()
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(io.TeeReader(out, &p.stdout))
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(tooLong, func() { p.cmd.Process.Kill() })
	t.Cleanup(func() {
		limit.Stop()
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return p
}

// until reads standard output up to a line that matches, and returns the
// match's groups.
func (p *program) until(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for p.lines.Scan() {
		if m := re.FindStringSubmatch(p.lines.Text()); m != nil {
			return m
		}
	}
	t.Fatalf("no line %q in\n%s\nstderr:\n%s", pattern, &p.stdout, &p.stderr)
	return nil
}

// wait reads the rest of the output and returns the exit status.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	for p.lines.Scan() {
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// serverPID reads on until the first second of the next server has been
// printed, when its flood is under way, and returns the server's process.
func (p *program) serverPID(t *testing.T, name string) int {
	t.Helper()
	pid, err := strconv.Atoi(p.until(t, `^`+name+`: .*, process (\d+) on 127\.0\.0\.1:\d+$`)[1])
	if err != nil {
		t.Fatal(err)
	}
	p.until(t, `^ +1 +\d+ of \d+ `)
	return pid
}

func TestShortRunOfAllServers(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.html")
	p := start(t, "-json", "-seconds", "1", "-entities", "50", "-c", "4", "-slow", "1", "-stalled", "1",
		"-servers", "plain,offload,guarded,stream,laneless,lane", "-report", report)
	if got := p.wait(t); got != 0 {
		t.Fatalf("exit status %d; stderr:\n%s", got, &p.stderr)
	}
	var res results
	if err := json.Unmarshal(p.stdout.Bytes(), &res); err != nil {
		t.Fatalf("standard output is not JSON alone: %v\n%s", err, &p.stdout)
	}
	if len(res.Servers) != len(modes) {
		t.Fatalf("%d servers, want %d", len(res.Servers), len(modes))
	}
	for i, f := range res.Servers {
		if f.Server != modes[i].name {
			t.Errorf("server %d is %s, want %s", i, f.Server, modes[i].name)
		}
		if f.ProbesSent != 50 || f.ProbesAnswered != 50 || f.ProbesFailed != 0 || f.Restarts != 0 {
			t.Errorf("%s: %d probes sent, %d answered, %d failed %v", f.Server, f.ProbesSent, f.ProbesAnswered, f.ProbesFailed, f.ProbeFailures)
		}
		if f.Responses == 0 || f.SlowResponses == 0 || f.Errors+f.Broken != 0 {
			t.Errorf("%s: %d responses, %d slow, %d errors, %d broken: %s", f.Server, f.Responses, f.SlowResponses, f.Errors, f.Broken, f.FirstError)
		}
		if f.ProbeP50MS <= 0 || f.ProbeP50MS > f.ProbeP99MS || f.ProbeP99MS > f.ProbeMaxMS {
			t.Errorf("%s: latencies out of order: %+v", f.Server, f)
		}
	}
	if _, err := os.Stat(report); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"probes answered", "peak memory", report} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("the text for people lacks %q:\n%s", want, &p.stderr)
		}
	}
}

func TestTextOfAShortRun(t *testing.T) {
	p := start(t, "-seconds", "2", "-entities", "50", "-c", "2", "-servers", "plain", "-pin=false")
	p.until(t, `^  second  probes answered$`)
	p.until(t, `^ +1 +50 of 50 +#+$`)
	p.until(t, `^ +2 +50 of 50 +#+$`)
	p.until(t, `^responses/s +\d`)
	if got := p.wait(t); got != 0 {
		t.Errorf("exit status %d; stderr:\n%s", got, &p.stderr)
	}
	if _, err := os.Stat(filepath.Join(p.cmd.Dir, "starvation.html")); err != nil {
		t.Errorf("no report where it is by default: %v", err)
	}
	if strings.Contains(p.stdout.String(), "\r") {
		t.Error("a progress bar where there is no terminal")
	}
}

func TestBusyPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	busy := ln.Addr().String()
	for _, args := range [][]string{
		{"-addr", busy, "-seconds", "1", "-servers", "plain", "-report", ""},
		{"-addr", busy, "-serve", "plain"},
		{"-addr", busy, "-serve", "guarded"},
	} {
		p := start(t, args...)
		if got := p.wait(t); got != exitFailed {
			t.Errorf("%v: exit status %d, want %d", args, got, exitFailed)
		}
		told := p.stdout.String() + p.stderr.String()
		if !strings.Contains(told, busy) || !strings.Contains(told, "address already in use") {
			t.Errorf("%v: no clear message:\n%s", args, told)
		}
	}
}

func TestKilledServerIsToldAndTheOthersAreMeasured(t *testing.T) {
	p := start(t, "-seconds", "2", "-entities", "50", "-c", "2", "-servers", "plain,offload", "-report", "")
	victim, err := os.FindProcess(p.serverPID(t, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	p.until(t, `^plain could not be measured: the server process was killed: signal: killed`)
	p.until(t, `^probes answered +– +100$`)
	if got := p.wait(t); got != exitFailed {
		t.Errorf("exit status %d, want %d", got, exitFailed)
	}
	if got := p.stderr.String(); !strings.Contains(got, "plain could not be measured") {
		t.Errorf("stderr: %s", got)
	}
}

func TestServeRunsOneServerAlone(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			addr, err := flood.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			p := start(t, "-serve", m.name, "-addr", addr, "-entities", "3", "-payload", "shared")
			for path, want := range map[string]string{
				"/clients": `{"items":[{"id":1,`,
				"/small":   `{"id":1,"name":"Ada Lovelace","city":"London","active":true}`,
				"/sleep":   "slept",
				"/livez":   "ok",
			} {
				body, err := get("http://" + addr + path)
				if err != nil || !strings.HasPrefix(body, want) {
					t.Errorf("%s answered %q, %v, want %q", path, body, err, want)
				}
			}
			p.cmd.Process.Kill()
			p.wait(t)
		})
	}
}

func TestProbeAlonePrintsProbes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })}
	go srv.Serve(ln)
	defer srv.Close()
	p := start(t, "-probe", "-addr", ln.Addr().String(), "-seconds", "1", "-every", "100ms")
	if got := p.wait(t); got != 0 {
		t.Fatalf("exit status %d; stderr:\n%s", got, &p.stderr)
	}
	probes, answered := 0, 0
	for lines := json.NewDecoder(&p.stdout); ; probes++ {
		var got flood.Probe
		if err := lines.Decode(&got); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if want := time.Duration(probes) * 100 * time.Millisecond; got.Due != want || got.Latency <= 0 {
			t.Errorf("probe %+v, want it due at %v", got, want)
		}
		if got.OK() {
			answered++
		}
	}
	if probes != 10 || answered == 0 {
		t.Errorf("%d probes, %d answered, want 10", probes, answered)
	}
}

// get asks until the server listens.
func get(url string) (string, error) {
	for end := time.Now().Add(tooLong); ; {
		resp, err := http.Get(url)
		if err != nil {
			if time.Now().After(end) {
				return "", err
			}
			<-time.After(5 * time.Millisecond)
			continue
		}
		defer resp.Body.Close()
		defer http.DefaultClient.CloseIdleConnections()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return string(body), err
	}
}

func TestHelpAndWrongFlags(t *testing.T) {
	help := start(t, "-h")
	if got := help.wait(t); got != 0 {
		t.Errorf("-h: exit status %d", got)
	}
	for _, want := range []string{"plain", "offload", "guarded", "stream", "-slow-rate", "Restarts are those"} {
		if !strings.Contains(help.stdout.String(), want) {
			t.Errorf("-h does not speak of %q", want)
		}
	}
	wrong := start(t, "-servers", "plain,apache")
	if got := wrong.wait(t); got != exitUsage {
		t.Errorf("a wrong flag: exit status %d, want %d", got, exitUsage)
	}
	if got := wrong.stderr.String(); !strings.Contains(got, `no server "apache"`) {
		t.Errorf("stderr: %s", got)
	}
}

func TestUnwritableReportFails(t *testing.T) {
	p := start(t, "-seconds", "1", "-entities", "1", "-c", "1", "-servers", "plain", "-report", "no/such/directory/r.html")
	if got := p.wait(t); got != exitFailed || !strings.Contains(p.stderr.String(), "no such file or directory") {
		t.Errorf("exit status %d, stderr: %s", got, &p.stderr)
	}
	if !strings.Contains(p.stdout.String(), "probes answered") {
		t.Error("the table was lost with the report")
	}
}
