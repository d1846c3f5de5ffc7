package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// style is how the answers are put. It is immutable.
type style struct {
	pass, fail int  // status codes
	reasons    bool // whether the answers say why a check fails
}

func defaultStyle() style {
	return style{pass: http.StatusOK, fail: http.StatusServiceUnavailable}
}

func (s *style) status(state State) int {
	if state == Fail {
		return s.fail
	}
	return s.pass
}

// withheld stands for the reason of a failure, as in kube-apiserver: an
// error's text may name hosts and users, and a probe's path is open to
// strangers.
const withheld = "reason withheld"

var okBody = []byte("ok") // as in kube-apiserver, without a line break

// entry is what the answers say of one check. It is immutable.
type entry struct {
	name  string
	in    [kinds]bool // the endpoints that it counts for
	state State
	text  string // its line in kube-apiserver's format
	json  string // its member of "checks" in health+json
	alone answer // to its own path, as text
}

func (s *style) entry(name string, state State, reason string, in func(Kind) bool) entry {
	if !s.reasons {
		reason = withheld
	}
	e := entry{name: name, state: state}
	for k := range Kind(kinds) {
		e.in[k] = in(k)
	}
	// A name needs no quoting: see validName.
	member := `"` + name + `":[{"componentType":"component","status":"` + state.String() + `"`
	switch state {
	case Pass:
		e.text = "[+]" + name + " ok\n"
		e.alone = newAnswer(s.status(state), okBody)
	case Warn:
		e.text = "[+]" + name + " degraded: " + reason + "\n"
		e.alone = newAnswer(s.status(state), okBody)
		member += `,"output":` + quoted(reason)
	case Fail:
		e.text = "[-]" + name + " failed: " + reason + "\n"
		e.alone = newAnswer(s.status(state), []byte(e.text))
		member += `,"output":` + quoted(reason)
	}
	e.json = member + "}]"
	return e
}

// maxReason bounds what one check puts into every answer, in bytes. It is
// enough for an error of net that names both ends of a connection.
const maxReason = 256

// reasonOf is what an error says, in one line and not too long. Error is the
// user's code, so no lock may be held here; fmt takes care of its panics.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	s := fmt.Sprint(err)
	const end = "..."
	if len(s) > maxReason {
		s = s[:maxReason-len(end)] + end
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, s)
}

// quoted is a string in JSON. It has been made valid UTF-8 where it matters;
// encoding/json repairs the rest.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string has no error
	return string(b)
}
