package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// printed returns what columns prints of probes, one call per probe.
func printed(every time.Duration, flush bool, probes ...flood.Probe) (after []string) {
	var out bytes.Buffer
	c := newColumns(every, newConsole(&out))
	for _, p := range probes {
		out.Reset()
		c.add(p)
		after = append(after, strings.Join(strings.Fields(strings.NewReplacer("#", "", ".", "").Replace(out.String())), " "))
	}
	if flush {
		out.Reset()
		c.flush()
		after = append(after, strings.Join(strings.Fields(strings.NewReplacer("#", "", ".", "").Replace(out.String())), " "))
	}
	return after
}

func TestColumnsPrintASecondWhenItsLastProbeHasEnded(t *testing.T) {
	const every = 500 * time.Millisecond
	probe := func(due time.Duration, failure string) flood.Probe {
		return flood.Probe{Due: due, At: due + time.Millisecond, Failure: failure}
	}
	got := printed(every, false,
		probe(0, ""),
		probe(1000*time.Millisecond, ""),
		probe(1500*time.Millisecond, "timeout"), // the second is whole, the first is not
		probe(500*time.Millisecond, ""),
		probe(2000*time.Millisecond, "timeout"),
		probe(2500*time.Millisecond, "timeout"),
	)
	want := []string{"", "", "", "1 2 of 2 2 1 of 2", "", "3 0 of 2"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestColumnsFlushWhatIsLeft(t *testing.T) {
	got := printed(400*time.Millisecond, true, flood.Probe{Due: 0}, flood.Probe{Due: 400 * time.Millisecond, Failure: "timeout"})
	if want := []string{"", "", "1 1 of 2"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestColumnsKnowHowManyProbesASecondHas(t *testing.T) {
	c := &columns{every: 300 * time.Millisecond}
	for sec, want := range []int{4, 3, 3, 4} { // 0 .3 .6 .9 | 1.2 1.5 1.8 | 2.1 2.4 2.7 | 3.0 …
		if got := c.due(sec); got != want {
			t.Errorf("second %d has %d probes, want %d", sec, got, want)
		}
	}
}

func TestColumnsShowASingleAnswer(t *testing.T) {
	var out bytes.Buffer
	c := newColumns(20*time.Millisecond, newConsole(&out))
	out.Reset()
	c.print(&second{ended: 50, answered: 1})
	if got := strings.Count(out.String(), "#"); got != 1 {
		t.Errorf("%d marks for one answer of fifty, want 1: %q", got, out.String())
	}
}
