package flood

import (
	"encoding/json"
	"testing"
)

func TestBuildMakesTheStorysResponse(t *testing.T) {
	body, err := json.Marshal(Build(Entities))
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(len(body)) / 1e6; got < 18.3 || got > 18.5 {
		t.Errorf("%d clients are %.2f MB, want 18.4", Entities, got)
	}
	if err := checkItems(body, Entities); err != nil {
		t.Error(err)
	}
}

func TestBuildOfNoneIsAnEmptyArray(t *testing.T) {
	body, err := json.Marshal(Build(0))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), `{"items":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestClientHasTheStorysFields(t *testing.T) {
	body, err := json.Marshal(Build(1).Items[0])
	if err != nil {
		t.Fatal(err)
	}
	var client map[string]any
	if err := json.Unmarshal(body, &client); err != nil {
		t.Fatal(err)
	}
	nulls := func(m map[string]any) (n int) {
		for _, v := range m {
			if v == nil {
				n++
			}
		}
		return n
	}
	account := client["accounts"].([]any)[0].(map[string]any)
	if got, want := nulls(client), 8; got != want {
		t.Errorf("client has %d null fields, want %d strings", got, want)
	}
	if got, want := nulls(client["address"].(map[string]any)), 8; got != want {
		t.Errorf("address has %d null fields, want %d strings", got, want)
	}
	if got, want := nulls(account), 16; got != want {
		t.Errorf("account has %d null fields, want %d: an address and 15 strings", got, want)
	}
}
