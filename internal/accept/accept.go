// Package accept reads the headers by which clients say what they take:
// Accept, Accept-Encoding and the like.
package accept

import (
	"iter"
	"strconv"
	"strings"
)

// Items are the items of a header that is a list with weights, their names in
// lower case. An item that gives no weight has 1. One whose weight is not a
// number from 0 to 1 has 0: it is refused.
func Items(values []string) iter.Seq2[string, float64] {
	return func(yield func(name string, q float64) bool) {
		for _, v := range values {
			for item := range strings.SplitSeq(v, ",") {
				if !yield(weight(item)) {
					return
				}
			}
		}
	}
}

// weight splits "gzip;q=0.5".
func weight(item string) (name string, q float64) {
	name, params, _ := strings.Cut(item, ";")
	name, q = strings.ToLower(strings.TrimSpace(name)), 1
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		var err error
		if q, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || !(q >= 0 && q <= 1) {
			q = 0
		}
	}
	return name, q
}
