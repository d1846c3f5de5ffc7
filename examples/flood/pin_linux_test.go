package flood

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
)

func allowed(t *testing.T, pid string) string {
	t.Helper()
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	return string(regexp.MustCompile(`Cpus_allowed_list:\t(.*)`).FindSubmatch(status)[1])
}

func TestStartPinsTheChildAndNobodyElse(t *testing.T) {
	before := Cores()
	if len(before) == 0 {
		t.Fatal("no cores")
	}
	core := before[len(before)-1]
	p := child(t, "serve")
	p.Core = core
	s, err := Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if got, want := allowed(t, fmt.Sprint(s.PID())), fmt.Sprint(core); got != want {
		t.Errorf("the child may run on %s, want %s", got, want)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	want := allowed(t, "self")
	for _, task := range tasks {
		if got := allowed(t, "self/task/"+task.Name()); got != want {
			t.Errorf("thread %s may run on %s, want %s", task.Name(), got, want)
		}
	}
	if !slices.Equal(Cores(), before) {
		t.Errorf("this process may run on %v, before on %v", Cores(), before)
	}
}

func TestStartTellsOfACoreThatDoesNotExist(t *testing.T) {
	p := child(t, "serve")
	p.Core = 1000
	if s, err := Start(t.Context(), p); err == nil {
		s.Stop()
		t.Error("no error")
	}
}
