// Package rows has the types of the payloads. They are here, and not beside the
// benchmarks, so that easyjson can generate code for them.
package rows

// Records is a response of rows as many services have them.
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

// Article is a row that is nearly all text.
type Article struct {
	ID     int      `json:"id"`
	Title  string   `json:"title"`
	Body   string   `json:"body"`
	Quotes []string `json:"quotes"`
}
