package probe

import (
	"strconv"
	"time"
)

// Entries that the registry adds by itself, with kube-apiserver's names.
const (
	pingName     = "ping"     // always passes: the process is answering
	shutdownName = "shutdown" // fails while draining
)

// answer is a response made ready before anyone asks for it. It is immutable.
type answer struct {
	status int
	body   []byte
	length []string // the Content-Length header's value
}

func newAnswer(status int, body []byte) answer {
	return answer{status: status, body: body, length: []string{strconv.Itoa(len(body))}}
}

// answers are those to every endpoint. They are immutable and replaced as a
// whole, so that one atomic load is enough and no two endpoints disagree.
type answers struct {
	brief   [kinds]answer  // text: "ok", or what verbose says if the endpoint fails
	verbose [kinds]answer  // text
	json    [kinds]answer  // what health+json and JSON have in common
	entries []entry        // all there are; what other answers are made of
	index   map[string]int // where in entries a name is
	until   time.Duration  // on the registry's clock: when the first of them may be true no more
}

// render makes the answers for a moment of the registry's clock. Registry.mu
// is held.
func render(s *style, checks []*check, draining bool, now time.Duration) *answers {
	a := &answers{until: never, index: make(map[string]int, len(checks)+2)}
	add := func(e entry) {
		a.index[e.name] = len(a.entries)
		a.entries = append(a.entries, e)
	}
	add(s.entry(pingName, Pass, "", func(Kind) bool { return true }))
	shutdown := Pass
	if draining {
		shutdown = Fail
	}
	add(s.entry(shutdownName, shutdown, "the process is draining", Kind.fallsToDraining))
	for _, c := range checks {
		v := c.verdict(now)
		a.until = min(a.until, v.until)
		add(s.entry(c.name, v.state, c.reason(v), func(k Kind) bool { return k.covers(c.kind) }))
	}
	for kind := range Kind(kinds) {
		p := page{kind: kind, entries: a.entries}
		status := s.status(p.state())
		a.verbose[kind] = newAnswer(status, p.text())
		a.json[kind] = newAnswer(status, p.json())
		a.brief[kind] = a.verbose[kind] // as in kube-apiserver, who fails says all
		if p.state() != Fail {
			a.brief[kind] = newAnswer(status, okBody)
		}
	}
	return a
}

// find returns the entry of a check that counts for an endpoint, nil if there
// is none of that name.
func (a *answers) find(kind Kind, name string) *entry {
	if i, ok := a.index[name]; ok && a.entries[i].in[kind] {
		return &a.entries[i]
	}
	return nil
}
