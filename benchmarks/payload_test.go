package benchmarks

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/probelane/probelane/benchmarks/internal/rows"
	"github.com/probelane/probelane/examples/flood"
)

// payload is a value to encode and the name its size goes by.
type payload struct {
	kind, size string
	bytes      int // what the size's name promises, in bytes of JSON
	build      func() any
}

func (p payload) name() string { return p.kind + "/" + p.size }

// payloads holds what services answer with, from a small response to one that
// nobody should send, and below that a few large ones of the kinds that encoders
// find hardest. A value of 180 MB takes up to 2 GB, so each is built when its
// turn comes.
var payloads = func() (all []payload) {
	for _, kind := range []struct {
		name  string
		items [5]int // for each of the sizes
		build func(items int) func() any
	}{
		{"clients", [5]int{2, 142, 2275, flood.Entities, 389_000}, clients},
		{"records", [5]int{4, 236, 3740, 62_700, 618_000}, records},
		{"maps", [5]int{4, 236, 3740, 62_700, 618_000}, maps},
		{"document", [5]int{1, 56, 900, 15_700, 153_500}, document},
	} {
		for i, size := range sizes {
			all = append(all, payload{kind.name, size.name, size.bytes, kind.build(kind.items[i])})
		}
	}
	return append(all,
		payload{"floats", "18MB", 18_400_000, floats(962_000)},
		payload{"ints", "18MB", 18_400_000, ints(2_180_000)},
		payload{"texts", "18MB", 18_400_000, texts(3390)},
		payload{"tree", "18MB", 18_400_000, tree(17)},
	)
}()

var sizes = []struct {
	name  string
	bytes int
}{{"1KB", 1 << 10}, {"64KB", 64 << 10}, {"1MB", 1 << 20}, {"18MB", 18_400_000}, {"180MB", 180_000_000}}

// clients is the story's response: many fields, nearly all of them null.
func clients(n int) func() any { return func() any { return flood.Build(n) } }

var (
	cities = []string{"Lyon", "Kraków", "Porto", "Aarhus", "São Paulo", "Köln", "Osaka"}
	tags   = []string{"new", "priority", "wholesale", "export", "vip", "overdue"}
)

// records make an encoder format floats, sort keys, and look into strings for
// what has to be escaped.
func records(n int) func() any {
	return func() any {
		items := make([]rows.Record, 0, n)
		for i := range n {
			r := rows.Record{
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
		return &rows.Records{Items: items}
	}
}

// maps has the same rows as a handler builds them that has no type for them.
func maps(n int) func() any {
	return func() any {
		items := make([]map[string]any, 0, n)
		for _, r := range records(n)().(*rows.Records).Items {
			m := map[string]any{
				"id":       r.ID,
				"name":     r.Name,
				"email":    r.Email,
				"active":   r.Active,
				"balance":  r.Balance,
				"score":    r.Score,
				"position": r.Position,
				"tags":     r.Tags,
				"labels":   r.Labels,
			}
			if r.Summary != "" {
				m["summary"] = r.Summary
			}
			items = append(items, m)
		}
		return map[string]any{"items": items}
	}
}

// document is what encoding/json makes of a page of a social network's posts
// when it is given an any: maps and slices of any, numbers that are floats, and
// text in many scripts. Every third post holds another.
func document(n int) func() any {
	return func() any {
		posts := make([]any, 0, n)
		for i := range n {
			p := post(i)
			if i%3 == 1 {
				p["reposted"] = post(i + 1_000_000)
			}
			posts = append(posts, p)
		}
		return map[string]any{
			"posts": posts,
			"page":  map[string]any{"count": float64(n), "next": nil, "query": "a<b & c", "took": 0.087},
		}
	}
}

var sayings = []string{
	"Rolling out the new release tonight 🚀 fingers crossed",
	"名前:前田あゆみ 第一回「寿司の日」に参加しました。とても楽しかったです。",
	"\"Never again\", she said & left the <main> stage.\nThen she came back.",
	"Größere Städte, kürzere Wege: was der Fahrplan verspricht",
	"Reading: https://example.com/a?b=1&c=2 \u2028 worth your time",
}

func post(i int) map[string]any {
	user := float64(i*7919%100_000 + 10_000)
	return map[string]any{
		"id":       float64(505_874_000_000 + i),
		"id_str":   fmt.Sprint(505_874_000_000 + i),
		"created":  fmt.Sprintf("Sun Aug 31 00:%02d:%02d +0000 2025", i/60%60, i%60),
		"text":     sayings[i%len(sayings)],
		"lang":     []string{"en", "ja", "en", "de", "en"}[i%len(sayings)],
		"source":   `<a href="https://example.com/client" rel="nofollow">A client</a>`,
		"reply_to": nil,
		"user": map[string]any{
			"id":          user,
			"name":        cities[i%len(cities)] + " 観光",
			"handle":      fmt.Sprint("handle_", user),
			"description": "Trains, maps & timetables. " + sayings[(i+3)%len(sayings)],
			"followers":   float64(i * 31 % 70_000),
			"verified":    i%11 == 0,
			"image":       "https://images.example.com/profile/default_profile_normal.png",
		},
		"entities": map[string]any{
			"hashtags": []any{},
			"urls":     []any{map[string]any{"url": "https://example.com/s/Xy12", "indices": []any{float64(9), float64(31)}}},
			"mentions": []any{},
		},
		"reposts":   float64(i % 90),
		"media":     "https://images.example.com/media/3858f66b-3858f66b/large.jpg",
		"favorites": float64(i * 13 % 500),
		"favorited": false,
		"place":     map[string]any{"at": []any{float64(i%180) - 89.5, float64(i%360) - 179.25}, "country": "France", "full_name": cities[(i+2)%len(cities)]},
	}
}

// floats and ints are wide and flat, as series of measurements are. The seed
// makes them the same in every run.
func floats(n int) func() any {
	return func() any {
		r := rand.New(rand.NewPCG(1, 2))
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64() * 1000
		}
		return v
	}
}

func ints(n int) func() any {
	return func() any {
		r := rand.New(rand.NewPCG(1, 2))
		v := make([]int, n)
		for i := range v {
			v[i] = int(r.Uint64() >> (24 + r.UintN(32))) // of all lengths
		}
		return v
	}
}

// texts are rows that are nearly all text.
func texts(n int) func() any {
	return func() any {
		all := make([]rows.Article, n)
		for i := range all {
			var body strings.Builder
			for j := 0; body.Len() < 4500; j++ {
				fmt.Fprintf(&body, "%d. %s\n", j, sayings[(i+j*j)%len(sayings)])
			}
			all[i] = rows.Article{ID: i, Title: sayings[i%len(sayings)], Body: body.String(), Quotes: sayings}
		}
		return all
	}
}

// tree is a map in a map in a map, of so many levels.
func tree(levels int) func() any {
	return func() any { return branch(levels, 1) }
}

func branch(levels, number int) any {
	if levels == 0 {
		return nil
	}
	return map[string]any{
		"number": float64(number),
		"name":   cities[number%len(cities)],
		"weight": 1 / float64(number),
		"note":   fmt.Sprint("number ", number, " of them"),
		"marks":  []any{float64(number % 7), number%2 == 0, tags[number%len(tags)]},
		"left":   branch(levels-1, 2*number),
		"right":  branch(levels-1, 2*number+1),
	}
}
