package flood

// Entities is the number of clients in one response of the story: 18.4 MB of
// JSON.
const Entities = 40_000

// Clients is the body of one response: {"items":[...]}.
type Clients struct {
	Items []Client `json:"items"`
}

// Client is one entity. Its strings are nullable and null, as they are in the
// story: what costs is the number of fields, not the length of their values.
type Client struct {
	ID       int64         `json:"id"`
	Address  Address       `json:"address"`
	Accounts []BankAccount `json:"accounts"`
	First    *string       `json:"first"`
	Last     *string       `json:"last"`
	Title    *string       `json:"title"`
	Email    *string       `json:"email"`
	Phone    *string       `json:"phone"`
	Born     *string       `json:"born"`
	Lang     *string       `json:"lang"`
	Note     *string       `json:"note"`
}

// Address is where a client lives or a bank has its branch.
type Address struct {
	ID      int64   `json:"id"`
	Line    *string `json:"line"`
	House   *string `json:"house"`
	Floor   *string `json:"floor"`
	Door    *string `json:"door"`
	Zip     *string `json:"zip"`
	City    *string `json:"city"`
	State   *string `json:"state"`
	Country *string `json:"country"`
}

// BankAccount is one account of a client.
type BankAccount struct {
	ID      int64    `json:"id"`
	Address *Address `json:"address"`
	Bank    *string  `json:"bank"`
	BIC     *string  `json:"bic"`
	IBAN    *string  `json:"iban"`
	No      *string  `json:"no"`
	Owner   *string  `json:"owner"`
	Branch  *string  `json:"branch"`
	Type    *string  `json:"type"`
	Unit    *string  `json:"unit"`
	State   *string  `json:"state"`
	Since   *string  `json:"since"`
	Ended   *string  `json:"ended"`
	Limit   *string  `json:"limit"`
	Rate    *string  `json:"rate"`
	Ref     *string  `json:"ref"`
	Note    *string  `json:"note"`
}

// Build makes a response of n clients, each with an address and one bank
// account, as a handler does that has just read them from its database.
func Build(n int) *Clients {
	items := make([]Client, 0, n)
	for i := range n {
		id := int64(i + 1)
		items = append(items, Client{
			ID:       id,
			Address:  Address{ID: id},
			Accounts: []BankAccount{{ID: id}},
		})
	}
	return &Clients{Items: items}
}
