package probe

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The texts are those of kube-apiserver 1.36 for checks of these names, from
// k8s.io/apiserver/pkg/server/healthz.
func TestText(t *testing.T) {
	const readyz = "[+]ping ok\n[+]shutdown ok\n[-]cache failed: reason withheld\n[-]db failed: reason withheld\n[+]queue ok\n"
	tests := []struct {
		target string
		status int
		body   string
	}{
		{"/livez", 200, "ok"},
		{"/livez?verbose", 200, "[+]ping ok\n[+]loop ok\nlivez check passed\n"},
		{"/startupz", 503, "[+]ping ok\n[-]cache failed: reason withheld\nstartupz check failed\n"},
		{"/startupz?verbose", 503, "[+]ping ok\n[-]cache failed: reason withheld\nstartupz check failed\n"},
		{"/readyz", 503, readyz + "readyz check failed\n"},
		{"/readyz?verbose", 503, readyz + "readyz check failed\n"},
		{"/healthz?verbose", 503, "[+]ping ok\n[+]shutdown ok\n[+]loop ok\n[-]cache failed: reason withheld\n[-]db failed: reason withheld\n[+]queue ok\nhealthz check failed\n"},

		// exclude
		{"/readyz?exclude=cache", 503, "[+]ping ok\n[+]shutdown ok\n[+]cache excluded: ok\n[-]db failed: reason withheld\n[+]queue ok\nreadyz check failed\n"},
		{"/readyz?exclude=cache&exclude=db", 200, "ok"},
		{"/readyz?exclude=db&verbose&exclude=cache", 200, "[+]ping ok\n[+]shutdown ok\n[+]cache excluded: ok\n[+]db excluded: ok\n[+]queue ok\nreadyz check passed\n"},
		{"/readyz?verbose&exclude=db&exclude=db&exclude=cache&exclude=ping&exclude=shutdown&exclude=queue", 200,
			"[+]ping excluded: ok\n[+]shutdown excluded: ok\n[+]cache excluded: ok\n[+]db excluded: ok\n[+]queue excluded: ok\nreadyz check passed\n"},
		{"/livez?exclude=nothing", 200, "ok"},
		{"/livez?verbose&exclude=nothing", 200, "[+]ping ok\n[+]loop ok\nwarn: some health checks cannot be excluded: no matches for \"nothing\"\nlivez check passed\n"},
		{"/readyz?exclude=z&exclude=a&exclude=z", 503, readyz + "warn: some health checks cannot be excluded: no matches for \"a\",\"z\"\nreadyz check failed\n"},
		{"/livez?verbose&exclude=db", 200, "[+]ping ok\n[+]loop ok\nwarn: some health checks cannot be excluded: no matches for \"db\"\nlivez check passed\n"},
		{"/livez?verbose&exclude=loop,ping", 200, "[+]ping ok\n[+]loop ok\nwarn: some health checks cannot be excluded: no matches for \"loop,ping\"\nlivez check passed\n"},
		{"/livez?verbose&exclude", 200, "[+]ping ok\n[+]loop ok\nwarn: some health checks cannot be excluded: no matches for \"\"\nlivez check passed\n"},
		{"/livez?verbose&exclude=%6Coop", 200, "[+]ping ok\n[+]loop excluded: ok\nlivez check passed\n"},
		{"/livez?verbose&exclude=a%0Ab+%22%ff", 200, "[+]ping ok\n[+]loop ok\nwarn: some health checks cannot be excluded: no matches for \"a\\nb \\\"\\xff\"\nlivez check passed\n"},
		{"/livez?verbose&exclude=%zz&exclude=a;b", 200, "[+]ping ok\n[+]loop ok\nlivez check passed\n"},

		// one check; kube-apiserver writes the reason of a failure here
		{"/livez/loop", 200, "ok"},
		{"/readyz/queue?verbose&exclude=queue", 200, "ok"},
		{"/readyz/shutdown", 200, "ok"},
		{"/readyz/db", 503, "[-]db failed: reason withheld\n"},
		{"/readyz/cache", 503, "[-]cache failed: reason withheld\n"},
		{"/healthz/db", 503, "[-]db failed: reason withheld\n"},
		{"/livez/db", 404, "404 page not found\n"},
		{"/livez/shutdown", 404, "404 page not found\n"},
		{"/livez/", 404, "404 page not found\n"},
		{"/LIVEZ", 404, "404 page not found\n"},
	}
	synctest.Test(t, func(t *testing.T) {
		r := started(t,
			WithLiveness("loop", pass),
			WithStartup("cache", func(context.Context) error { return errDown }),
			WithReadiness("db", func(context.Context) error { return errDown }),
			WithReadiness("queue", pass),
		)
		synctest.Wait()
		for _, tt := range tests {
			w := get(r, tt.target)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("%s: %d\n%s\nwant %d\n%s", tt.target, w.Code, w.Body, tt.status, tt.body)
			}
		}
		r.SetDraining(true)
		for _, target := range []string{"/readyz", "/readyz/shutdown", "/healthz?verbose"} {
			if body := get(r, target).Body.String(); !strings.Contains(body, "[-]shutdown failed: reason withheld\n") {
				t.Errorf("%s while draining:\n%s", target, body)
			}
		}
		wantStatus(t, r, "/readyz?exclude=shutdown&exclude=db&exclude=cache", 200)
	})
}

func TestJSON(t *testing.T) {
	const ping = `"ping":[{"componentType":"component","status":"pass"}]`
	const shutdown = `"shutdown":[{"componentType":"component","status":"pass"}]`
	const db = `"db":[{"componentType":"component","status":"fail","output":"reason withheld"}]`
	tests := []struct {
		target string
		status int
		body   string
	}{
		{"/livez?format=json", 200, `{"status":"pass","checks":{` + ping + `}}`},
		{"/livez?format=json&verbose", 200, `{"status":"pass","checks":{` + ping + `}}`},
		{"/readyz?format=json", 503, `{"status":"fail","checks":{` + ping + "," + shutdown + "," + db + `}}`},
		{"/readyz?format=json&exclude=db", 200, `{"status":"pass","checks":{` + ping + "," + shutdown + `},"notes":["excluded: db"]}`},
		{"/readyz?format=json&exclude=db&exclude=ping&exclude=shutdown", 200, `{"status":"pass","checks":{},"notes":["excluded: ping, shutdown, db"]}`},
		{"/livez?format=json&exclude=db&exclude=ping", 200, `{"status":"pass","checks":{},"notes":["excluded: ping","some health checks cannot be excluded: no matches for \"db\""]}`},
		{"/livez?format=json&exclude=%ff%0a%22%3c", 200, `{"status":"pass","checks":{` + ping + `},"notes":["some health checks cannot be excluded: no matches for \"\\xff\\n\\\"\u003c\""]}`},
		{"/readyz/db?format=json", 503, `{"status":"fail","checks":{` + db + `}}`},
		{"/readyz/ping?format=json&exclude=ping", 200, `{"status":"pass","checks":{` + ping + `}}`},
	}
	r := made(t, WithReadiness("db", pass))
	for _, tt := range tests {
		w := get(r, tt.target)
		if w.Code != tt.status || w.Body.String() != tt.body+"\n" {
			t.Errorf("%s: %d\n%swant %d\n%s", tt.target, w.Code, w.Body, tt.status, tt.body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: no JSON: %s", tt.target, w.Body)
		}
		other := get(r, strings.Replace(tt.target, "format=json", "format=health", 1))
		if other.Body.String() != w.Body.String() {
			t.Errorf("%s as health+json: %s", tt.target, other.Body)
		}
	}
}

// everywhere returns all answers that could mention a readiness check "db".
func everywhere(r *Registry) string {
	var all strings.Builder
	for _, path := range []string{"/readyz", "/healthz", "/readyz/db"} {
		for _, query := range []string{"", "?verbose", "?verbose&exclude=ping", "?format=json", "?format=json&exclude=ping", "?format=health"} {
			all.Write(get(r, path+query).Body.Bytes())
		}
	}
	return all.String()
}

func TestReasonsAreWithheldUnlessAllowed(t *testing.T) {
	failing := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	tests := []struct {
		name string
		fn   func(context.Context) error
		want string
	}{
		{"an error", failing(errors.New("dial tcp db.internal:5432: refused")), "dial tcp db.internal:5432: refused"},
		{"a panic", func(context.Context) error { panic("user=admin") }, "probe: check panicked: user=admin"},
		{"line breaks and control characters", failing(errors.New("a\r\n[+]db ok\x00\x1b[31m\u2028b\xff")), "a  [+]db ok  [31m b "},
		{"letters of all kinds", failing(errors.New("größer 数据库")), "größer 数据库"},
		{"an error that is too long", failing(errors.New(strings.Repeat("x", 10_000))), strings.Repeat("x", 253) + "..."},
		{"an error that panics", failing((*nilError)(nil)), "<nil>"},
		{"an error without a text", failing(errors.New("")), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := started(t, WithReadiness("db", tt.fn))
				open := started(t, WithReadiness("db", tt.fn), WithReasons())
				synctest.Wait()
				if w := get(open, "/readyz/db"); w.Code != 503 || w.Body.String() != "[-]db failed: "+tt.want+"\n" {
					t.Errorf("with reasons: %d %q, want %q", w.Code, w.Body, tt.want)
				}
				var doc struct {
					Checks map[string][]struct{ Output string }
				}
				if err := json.Unmarshal(get(open, "/readyz?format=json").Body.Bytes(), &doc); err != nil {
					t.Fatal(err)
				}
				if got := doc.Checks["db"]; len(got) != 1 || got[0].Output != tt.want {
					t.Errorf("with reasons, as JSON: %+v", got)
				}
				if all := everywhere(secret); tt.want != "" && strings.Contains(all, tt.want) || !strings.Contains(all, withheld) {
					t.Errorf("a reason got out:\n%s", all)
				}
			})
		})
	}
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestReasonsOfTheRegistrysOwn(t *testing.T) {
	r := made(t, WithReadiness("db", pass), WithReasons())
	r.SetDraining(true)
	want := "[+]ping ok\n[-]shutdown failed: the process is draining\n[-]db failed: probe: no result yet\nreadyz check failed\n"
	if got := get(r, "/readyz").Body.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	synctest.Test(t, func(t *testing.T) {
		r := passing(t, WithReadiness("db", pass), WithReasons())
		wantStatus(t, r, "/readyz", 200)
		time.Sleep(r.checks[0].staleness)
		if got := get(r, "/readyz/db").Body.String(); got != "[-]db failed: probe: result is stale\n" {
			t.Errorf("stale: %q", got)
		}
	})
}

// hanging is an error whose text takes forever.
type hanging chan struct{}

func (h hanging) Error() string {
	<-h
	return "at last"
}

func TestAnErrorWhoseTextHangsIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := make(hanging)
		r := started(t, WithReasons(), WithReadiness("db", func(context.Context) error { return text }))
		defer close(text)
		wantStatus(t, r, "/livez", 200)
		time.Sleep(time.Second + time.Millisecond)
		if got, want := get(r, "/readyz/db").Body.String(), "[-]db failed: probe: check timed out after 1s\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// asking is an error whose text needs the registry.
type asking struct{ r **Registry }

func (e asking) Error() string {
	(*e.r).SetDraining(false)
	return "asked"
}

func TestAnErrorsTextMayUseTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Registry
		r = made(t, WithReasons(), WithReadiness("db", func(context.Context) error { return asking{&r} }))
		r.Start()
		defer closeNow(t, r)
		synctest.Wait()
		if got := get(r, "/readyz/db").Body.String(); got != "[-]db failed: asked\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestStatusesByOption(t *testing.T) {
	r := made(t, WithReadiness("db", pass), WithStatuses(207, 500))
	for target, want := range map[string]int{
		"/livez": 207, "/livez?verbose": 207, "/livez/ping": 207, "/livez?format=json": 207, "/livez/ping?format=json": 207,
		"/readyz": 500, "/readyz?verbose": 500, "/readyz/db": 500, "/readyz?format=health": 500, "/readyz/db?format=health": 500,
		"/readyz?exclude=db": 207, "/readyz?exclude=db&format=json": 207, "/readyz?exclude=x": 500, "/readyz?exclude=x&format=json": 500,
	} {
		wantStatus(t, r, target, want)
	}
}
