package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/probelane/probelane/probe"
	"k8s.io/apiserver/pkg/server/healthz"
)

// Package probe and kube-apiserver's own handlers, with the same checks, give
// the same answers to the byte.
func TestTextsAreThoseOfKubeAPIServer(t *testing.T) {
	for _, failing := range []string{"", "db", "cache,db", "queue", "db,cache,queue"} {
		t.Run("failing "+failing, func(t *testing.T) {
			theirs, ours := pair(t, failing)
			for _, target := range targets() {
				want, got := ask(theirs, target), ask(ours, target)
				if path, _, _ := strings.Cut(target, "?"); strings.Count(path, "/") > 1 && want.Code != http.StatusOK {
					// They give the reason away here.
					if got.Code != want.Code {
						t.Errorf("%s: %d, want %d", target, got.Code, want.Code)
					}
					continue
				}
				if got.Code != want.Code || got.Body.String() != want.Body.String() {
					t.Errorf("%s: %d\n%s\nkube-apiserver: %d\n%s", target, got.Code, got.Body, want.Code, want.Body)
				}
				for _, name := range []string{"Content-Type", "X-Content-Type-Options"} {
					// Theirs for a single check is left to net/http.
					if w := want.Header().Get(name); w != "" && got.Header().Get(name) != w {
						t.Errorf("%s: %s %q, kube-apiserver: %q", target, name, got.Header().Get(name), w)
					}
				}
			}
		})
	}
}

// pair returns a server of each sort with the readiness checks db, cache and
// queue, of which some fail.
func pair(t *testing.T, failing string) (theirs, ours http.Handler) {
	t.Helper()
	passes := func(*http.Request) error { return nil }
	checks := []healthz.HealthChecker{healthz.PingHealthz, healthz.NamedCheck("shutdown", passes)}
	options := []probe.Option{probe.WithStatuses(http.StatusOK, http.StatusInternalServerError)}
	for _, name := range []string{"db", "cache", "queue"} {
		var err error
		if strings.Contains(failing, name) {
			err = errors.New("the reason")
		}
		checks = append(checks, healthz.NamedCheck(name, func(*http.Request) error { return err }))
		options = append(options, probe.WithReadiness(name, func(context.Context) error { return err }))
	}
	mux := http.NewServeMux()
	healthz.InstallReadyzHandler(mux, checks...)
	healthz.InstallLivezHandler(mux, healthz.PingHealthz)

	probes, err := probe.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	probes.Start()
	t.Cleanup(func() {
		if err := probes.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(time.Minute); !decided(probes); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the checks have no results")
		}
	}
	return mux, probes
}

func decided(probes *probe.Registry) bool {
	for _, c := range probes.Status().Checks {
		if c.Runs == 0 {
			return false
		}
	}
	return true
}

// targets are paths with all sorts of queries, the same ones every time.
func targets() []string {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{
		"verbose", "verbose=", "verbose=false", "exclude=db", "exclude=cache", "exclude=queue", "exclude=ping", "exclude=shutdown",
		"exclude=x", "exclude=a%20b", "exclude=%22%0a%ff", "exclude=d%62", "exclude=a+b", "exclude", "exclude=", "exclude=%zz",
		"exclude=a;b", "verbose;", "", "x=y", "Verbose", "exclude=größer", "verbose=%zz", "exclude=db=x",
	}
	paths := []string{"/readyz", "/livez", "/readyz/db", "/readyz/queue", "/livez/ping", "/livez/db", "/livez/", "/readyz/db/x"}
	all := append([]string{}, paths...)
	for range 2000 {
		query := make([]string, 1+random.IntN(6))
		for i := range query {
			query[i] = pieces[random.IntN(len(pieces))]
		}
		all = append(all, fmt.Sprintf("%s?%s", paths[random.IntN(len(paths))], strings.Join(query, "&")))
	}
	return all
}

func ask(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}
