package probe

import (
	"slices"
	"strconv"
	"strings"
)

// page is an answer in the making: the checks of one endpoint, without those
// that the request excludes.
type page struct {
	kind     Kind
	entries  []entry
	excluded []bool   // by the place in entries; nil excludes none
	unknown  []string // what was to be excluded and is no check of this endpoint
}

// exclude takes out checks by their names.
func (p *page) exclude(index map[string]int, names []string) {
	p.excluded = make([]bool, len(p.entries))
	for _, name := range names {
		if i, ok := index[name]; ok && p.entries[i].in[p.kind] {
			p.excluded[i] = true
		} else {
			p.unknown = append(p.unknown, name)
		}
	}
	slices.Sort(p.unknown)
	p.unknown = slices.Compact(p.unknown)
}

func (p *page) excludes(i int) bool { return p.excluded != nil && p.excluded[i] }

// state is that of the worst check.
func (p *page) state() State {
	worst := Pass
	for i := range p.entries {
		if e := &p.entries[i]; e.in[p.kind] && !p.excludes(i) {
			worst = max(worst, e.state)
		}
	}
	return worst
}

// text is the page in the format of kube-apiserver:
// https://kubernetes.io/docs/reference/using-api/health-checks/
func (p *page) text() []byte {
	var b []byte
	for i := range p.entries {
		switch e := &p.entries[i]; {
		case !e.in[p.kind]:
		case p.excludes(i):
			b = append(append(append(b, "[+]"...), e.name...), " excluded: ok\n"...)
		default:
			b = append(b, e.text...)
		}
	}
	if len(p.unknown) > 0 {
		b = append(append(append(b, "warn: "...), p.warning()...), '\n')
	}
	b = append(b, p.kind.endpoint()...)
	if p.state() == Fail {
		return append(b, " check failed\n"...)
	}
	return append(b, " check passed\n"...)
}

// json is the page in health+json. What is excluded is left out of the checks
// and noted, as nothing is said of it.
// https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
func (p *page) json() []byte {
	var excluded []string
	b := append([]byte(`{"status":"`), p.state().String()...)
	b = append(b, `","checks":{`...)
	first := true
	for i := range p.entries {
		switch e := &p.entries[i]; {
		case !e.in[p.kind]:
		case p.excludes(i):
			excluded = append(excluded, e.name)
		default:
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, e.json...)
		}
	}
	b = append(b, '}')
	var notes []string
	if len(excluded) > 0 {
		notes = append(notes, quoted("excluded: "+strings.Join(excluded, ", ")))
	}
	if len(p.unknown) > 0 {
		notes = append(notes, quoted(p.warning()))
	}
	if len(notes) > 0 {
		b = append(b, `,"notes":[`+strings.Join(notes, ",")+`]`...)
	}
	return append(b, "}\n"...)
}

// warning names what could not be excluded.
func (p *page) warning() string {
	b := []byte("some health checks cannot be excluded: no matches for ")
	for i, name := range p.unknown {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, name)
	}
	return string(b)
}
