package probe

import (
	"net/http"
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

// answers are those to every endpoint. They are immutable and replaced as a
// whole, so that one atomic load is enough and no two endpoints disagree.
type answers struct {
	brief   [kinds]answer
	verbose [kinds]answer
	until   time.Duration // on the registry's clock: when the first of them may be true no more
}

func newAnswer(status int, body string) answer {
	return answer{status: status, body: []byte(body), length: []string{strconv.Itoa(len(body))}}
}

// render makes the answers for a moment of the registry's clock. Registry.mu
// is held.
func render(checks []*check, draining bool, now time.Duration) *answers {
	a := &answers{until: never}
	for _, c := range checks {
		a.until = min(a.until, c.verdict(now).until)
	}
	for kind := range Kind(kinds) {
		p := page{ok: true}
		p.add(pingName, Pass)
		if kind.fallsToDraining() {
			shutdown := Pass
			if draining {
				shutdown = Fail
			}
			p.add(shutdownName, shutdown)
		}
		for _, c := range checks {
			if kind.covers(c.kind) {
				p.add(c.name, c.verdict(now).state)
			}
		}
		a.brief[kind], a.verbose[kind] = p.answers(kind)
	}
	return a
}

// page collects the lines of one endpoint in the format of kube-apiserver:
// https://kubernetes.io/docs/reference/using-api/health-checks/
//
// The reason of a failure is withheld as it is there: an error's text may
// name hosts and users, and a probe's path is open to strangers.
type page struct {
	ok     bool
	all    string // a line per check
	failed string // a line per failing check
}

func (p *page) add(name string, state State) {
	line := "[+]" + name + " ok\n"
	switch state {
	case Warn:
		line = "[+]" + name + " degraded: reason withheld\n"
	case Fail:
		line = "[-]" + name + " failed: reason withheld\n"
		p.failed += line
		p.ok = false
	}
	p.all += line
}

func (p *page) answers(kind Kind) (brief, verbose answer) {
	if p.ok {
		return newAnswer(http.StatusOK, "ok\n"),
			newAnswer(http.StatusOK, p.all+kind.endpoint()+" check passed\n")
	}
	end := kind.endpoint() + " check failed\n"
	return newAnswer(http.StatusServiceUnavailable, p.failed+end),
		newAnswer(http.StatusServiceUnavailable, p.all+end)
}
