package probe

import (
	"net/url"
	"strings"
)

// maxQuery is the longest query that is looked at, in bytes: enough to exclude
// 70 checks with names of 20 letters. It bounds what an answer can cost, as the
// answer to "?exclude" is made for the request and repeats unknown names.
const maxQuery = 2 << 10

// query is what a request asks for.
type query struct {
	verbose bool
	format  format   // byAccept if it does not say
	exclude []string // names as they came
}

// parseQuery reads a query as net/url does, and kube-apiserver with it: a key
// counts whether it has a value or not, a pair that is malformed does not
// count. But it makes no map, and knows its keys only as they are written,
// without escapes. It is false for a query that is too long.
func parseQuery(raw string) (q query, ok bool) {
	if len(raw) > maxQuery {
		return q, false
	}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "verbose", "exclude", "format":
		default:
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil || strings.Contains(pair, ";") {
			continue
		}
		switch key {
		case "verbose":
			q.verbose = true
		case "exclude":
			q.exclude = append(q.exclude, value)
		case "format":
			if f, known := formatNames[value]; known {
				q.format = f
			}
		}
	}
	return q, true
}
