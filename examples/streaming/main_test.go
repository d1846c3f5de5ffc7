package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestRowsArriveWhateverTheirForm(t *testing.T) {
	gin.SetMode(gin.TestMode)
	s := httptest.NewServer(engine())
	defer s.Close()
	get := func(path, accept string) *http.Response {
		req, err := http.NewRequest("GET", s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}

	resp := get("/users?rows=250", "*/*")
	var users []user
	if err := json.NewDecoder(resp.Body).Decode(&users); err != nil || len(users) != 250 {
		t.Errorf("an array: %d users, %v", len(users), err)
	}
	resp.Body.Close()

	resp = get("/users?rows=3&pause=150ms", "application/x-ndjson")
	lines := 0
	for s := bufio.NewScanner(resp.Body); s.Scan(); lines++ {
		var u user
		if err := json.Unmarshal(s.Bytes(), &u); err != nil || u.ID != lines {
			t.Errorf("line %d: %q, %v", lines, s.Text(), err)
		}
	}
	resp.Body.Close()
	if lines != 3 {
		t.Errorf("%d lines, want 3", lines)
	}

	resp = get("/page?rows=150", "")
	var p struct {
		Users []user
		Next  string
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || len(p.Users) != 150 || p.Next == "" {
		t.Errorf("a page: %d users, next %q, %v", len(p.Users), p.Next, err)
	}
	resp.Body.Close()

	resp = get("/users?rows=many", "")
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("?rows=many: %s", resp.Status)
	}
}
