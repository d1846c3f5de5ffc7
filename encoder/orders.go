package encoder

import "sync"

// The maps of documents that were objects once have the same keys again and
// again. To look up each key in the order in which they came last takes less
// than to sort them anew, and how they are written is known as well.

const (
	// mostOrdered is the size from which maps are not remembered.
	mostOrdered = 32
	// mostOrders is how many orders are remembered of one size. One that does not
	// fit costs little: most often its first key is not there.
	mostOrders = 4
	// lookupCost is what looking up a key in vain takes away from a quantum, in
	// bytes that could have been written instead: 10 to 15 ns.
	lookupCost = 4
	// mostNames is how long all names of a map may be, in bytes: they are kept.
	mostNames = 1 << 10
	// patience is how many maps in a row must be unknown before another order is
	// remembered. It doubles while none of those remembered is met again, up to
	// mostPatience: keys may be anything.
	patience     = 8
	mostPatience = 1 << 10
	// mostSpare is how many entries are kept for the next value: one for each map
	// around another.
	mostSpare = 16
)

// memory is what a cursor keeps for the maps of its value, and leaves to that
// of the next.
type memory struct {
	orders [mostOrdered]orders
	spare  *entries
}

var memoryPool = sync.Pool{New: func() any { return new(memory) }}

// orders are those remembered of maps of one size.
type orders struct {
	names  [][]string // of each, in order: comma, quoted key, colon
	oldest int
	missed int // maps in a row that were unknown
	due    int // how many of those make it remember one
}

// inOrder appends the values of m to values in the order of its keys, if that is
// known, and returns its names.
func inOrder[V any](c *cursor, o *orders, m map[string]V, values []V) ([]V, []string) {
next:
	for _, names := range o.names {
		values = values[:0]
		for i, name := range names {
			v, ok := m[name[len(`,"`):len(name)-len(`":`)]]
			if !ok {
				c.limit -= lookupCost * (i + 1)
				continue next
			}
			values = append(values, v)
		}
		o.missed, o.due = 0, patience
		return values, names
	}
	return values[:0], nil
}

// miss takes notice of an unknown map.
func (o *orders) miss(sorted []entry) {
	if o.missed++; o.missed <= o.due {
		return
	}
	o.missed, o.due = 0, min(max(2*o.due, patience), mostPatience)
	names := namesOf(sorted)
	switch {
	case names == nil:
	case len(o.names) < mostOrders:
		o.names = append(o.names, names)
	default:
		o.names[o.oldest] = names
		o.oldest = (o.oldest + 1) % mostOrders
	}
}

// namesOf returns how the keys are written, in memory of its own. If some have to
// be escaped, or they are very long, it returns nil.
func namesOf(sorted []entry) []string {
	var all []byte
	for i := range sorted {
		at, key := len(all), sorted[i].key
		if len(all)+len(key) > mostNames {
			return nil
		}
		all = append(appendString(append(all, ','), key, true), ':')
		if len(all)-at != len(key)+len(`,"":`) {
			return nil
		}
	}
	text := padded(string(all)) // and so is what it is cut into
	names := make([]string, len(sorted))
	for i := range sorted {
		n := len(sorted[i].key) + len(`,"":`)
		names[i], text = text[:n], text[n:]
	}
	return names
}
