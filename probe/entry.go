package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// grade is how a check, or an endpoint, is doing: the greater, the worse.
type grade uint8

const (
	passes grade = iota
	fails
)

// String is the grade's name in health+json.
func (g grade) String() string { return [...]string{"pass", "fail"}[g] }

// style is how the answers are put. It is immutable.
type style struct {
	pass, fail int  // status codes
	reasons    bool // whether the answers say why a check fails
}

func defaultStyle() style {
	return style{pass: http.StatusOK, fail: http.StatusServiceUnavailable}
}

func (s *style) status(g grade) int {
	if g == fails {
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
	grade grade
	text  string // its line in kube-apiserver's format
	json  string // its member of "checks" in health+json
	alone answer // to its own path, as text
}

func (s *style) entry(name string, g grade, reason string, in func(Kind) bool) entry {
	if !s.reasons {
		reason = withheld
	}
	e := entry{name: name, grade: g}
	for k := range Kind(kinds) {
		e.in[k] = in(k)
	}
	// A name needs no quoting: see validName.
	member := `"` + name + `":[{"componentType":"component","status":"` + g.String() + `"`
	switch g {
	case passes:
		e.text = "[+]" + name + " ok\n"
		e.alone = newAnswer(s.status(g), okBody)
	case fails:
		e.text = "[-]" + name + " failed: " + reason + "\n"
		e.alone = newAnswer(s.status(g), []byte(e.text))
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
