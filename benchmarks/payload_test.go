package benchmarks

import (
	"fmt"

	"github.com/probelane/probelane/examples/flood"
)

// payload is a value to encode and the name its size goes by.
type payload struct {
	kind, size string
	bytes      int // what the size's name promises, in bytes of JSON
	build      func() any
}

func (p payload) name() string { return p.kind + "/" + p.size }

// payloads holds small, middling and large responses of both kinds. The large
// ones have 40,000 items each; a record is the shorter of the two.
var payloads = []payload{
	{"clients", "1KB", 1 << 10, clients(2)},
	{"clients", "64KB", 64 << 10, clients(142)},
	{"clients", "18MB", 18_400_000, clients(flood.Entities)},
	{"records", "1KB", 1 << 10, records(4)},
	{"records", "64KB", 64 << 10, records(236)},
	{"records", "12MB", 12_000_000, records(flood.Entities)},
}

// clients is the story's response: many fields, nearly all of them null.
func clients(n int) func() any { return func() any { return flood.Build(n) } }

// Records is a response of rows as many services have them. Unlike a client, a
// record makes an encoder format floats, sort keys, and look into strings for
// what has to be escaped.
type Records struct {
	Items []Record `json:"items"`
}

// Record is one row.
type Record struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Email    string            `json:"email"`
	Summary  string            `json:"summary,omitempty"`
	Active   bool              `json:"active"`
	Balance  float64           `json:"balance"`
	Score    float64           `json:"score"`
	Position [2]float64        `json:"position"`
	Tags     []string          `json:"tags"`
	Labels   map[string]string `json:"labels"`
}

var (
	cities = []string{"Lyon", "Kraków", "Porto", "Aarhus", "São Paulo", "Köln", "Osaka"}
	tags   = []string{"new", "priority", "wholesale", "export", "vip", "overdue"}
)

func records(n int) func() any {
	return func() any {
		items := make([]Record, 0, n)
		for i := range n {
			r := Record{
				ID:       int64(i + 1),
				Name:     fmt.Sprintf("Customer %05d & Sons", i),
				Email:    fmt.Sprintf("customer%05d@example.com", i),
				Active:   i%3 != 0,
				Balance:  float64(i*7919%1_000_000) / 100,
				Score:    1 / float64(i+1),
				Position: [2]float64{float64(i*31%180_000)/1000 - 90, float64(i*17%360_000)/1000 - 180},
				Tags:     []string{tags[i%len(tags)], tags[(i+2)%len(tags)]},
				Labels: map[string]string{
					"region": cities[i%len(cities)],
					"tier":   fmt.Sprint("t", i%5),
					"owner":  fmt.Sprint("team-", i%40),
				},
			}
			if i%4 == 0 {
				r.Summary = "Orders \"by phone\" only;\ncredit < 30 days"
			}
			items = append(items, r)
		}
		return &Records{Items: items}
	}
}
