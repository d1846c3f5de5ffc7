package probe

import (
	"strings"

	"github.com/probelane/probelane/internal/accept"
)

// format is how an answer is written.
type format uint8

const (
	byAccept  format = iota // as the Accept header says
	text                    // kube-apiserver's; where a client has no preference
	plainJSON               // health+json by a name that everyone knows
	healthJSON
	formats = iota
)

// formatNames are the values of "?format=".
var formatNames = map[string]format{
	"text":   text,
	"json":   plainJSON,
	"health": healthJSON,
}

// mediaTypes are what Accept is compared with.
var mediaTypes = [formats]string{
	text:       "text/plain",
	plainJSON:  "application/json",
	healthJSON: "application/health+json",
}

// Header values, shared by all responses. None has spare capacity, so that
// Header.Add on a response copies it instead of writing to it.
var (
	textPlain    = []string{"text/plain; charset=utf-8"}
	contentTypes = [formats][]string{
		text:       textPlain,
		plainJSON:  {"application/json"},
		healthJSON: {"application/health+json"},
	}
)

// maxAccept is the longest Accept header that is looked at, in bytes. Those of
// browsers have up to 200.
const maxAccept = 1 << 10

// negotiate chooses a format by the rules of RFC 9110, section 12.5.1: what
// names a type goes before what covers it. Among formats of the same weight,
// one that was named goes before one that was covered, and text before JSON. A
// probe does not fail over its Accept header: who takes none of the formats gets
// text, and so does who sends more than maxAccept.
func negotiate(header []string) format {
	if len(header) == 0 || len(header) == 1 && header[0] == "*/*" {
		return text
	}
	length := 0
	for _, line := range header {
		length += len(line)
	}
	if length > maxAccept {
		return text
	}
	var weight [formats]float64
	var named [formats]int
	for item, q := range accept.Items(header) {
		for f := text; f < formats; f++ {
			if n := closeness(item, mediaTypes[f]); n > named[f] {
				weight[f], named[f] = q, n
			}
		}
	}
	best := text
	for f := text + 1; f < formats; f++ {
		if weight[f] > weight[best] || weight[f] == weight[best] && named[f] > named[best] && weight[f] > 0 {
			best = f
		}
	}
	return best
}

// closeness tells how closely an item of an Accept header names a media type: 3 is
// exactly, 0 not at all.
func closeness(item, mediaType string) int {
	switch {
	case item == mediaType:
		return 3
	case item == "*/*":
		return 1
	}
	if family, all := strings.CutSuffix(item, "/*"); all && strings.HasPrefix(mediaType, family) && mediaType[len(family)] == '/' {
		return 2
	}
	return 0
}
