package probe

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestFormats(t *testing.T) {
	const text, json, health = "text/plain; charset=utf-8", "application/json", "application/health+json"
	tests := []struct {
		name   string
		accept []string
		query  string
		want   string
	}{
		{"nothing said", nil, "", text},
		{"kubelet and curl", []string{"*/*"}, "", text},
		{"an empty header", []string{""}, "", text},
		{"text", []string{"text/plain"}, "", text},
		{"JSON", []string{"application/json"}, "", json},
		{"health+json", []string{"application/health+json"}, "", health},
		{"capitals", []string{"Application/Health+JSON"}, "", health},
		{"parameters", []string{"application/json; charset=utf-8"}, "", json},
		{"JSON named, the rest covered", []string{"application/json, */*"}, "", json},
		{"what axios sends", []string{"application/json, text/plain, */*"}, "", text},
		{"what Chrome sends", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}, "", text},
		{"a weight for the better of two", []string{"application/json;q=0.5, application/health+json"}, "", health},
		{"the same in another order", []string{"application/health+json, application/json;q=0.5"}, "", health},
		{"a weight against text", []string{"text/plain;q=0.3, application/json;q=0.4"}, "", json},
		{"a weight for text", []string{"text/plain;q=0.5, application/json;q=0.4"}, "", text},
		{"text refused", []string{"text/plain;q=0, */*"}, "", json},
		{"a family", []string{"application/*"}, "", json},
		{"a family with one refused", []string{"application/*, application/json;q=0"}, "", health},
		{"what names goes before what covers", []string{"application/*;q=0.9, application/json;q=0.1, text/*;q=0.5"}, "", health},
		{"the other family", []string{"text/*"}, "", text},
		{"part of a family's name", []string{"app/*, application/json;q=0.1"}, "", json},
		{"no slash", []string{"*, application"}, "", text},
		{"several lines", []string{"text/plain;q=0.1", "application/json;q=0.2"}, "", json},
		{"none of the formats", []string{"image/png"}, "", text},
		{"all refused", []string{"*/*;q=0"}, "", text},
		{"JSON refused", []string{"application/json;q=0"}, "", text},
		{"a weight that is none", []string{"application/json;q=high"}, "", text},
		{"garbage", []string{";;;,,,=,/,\x00\xff"}, "", text},
		{"too long", []string{"application/json," + strings.Repeat(" ", maxAccept)}, "", text},
		{"too long in several lines", []string{"application/json", strings.Repeat(" ", maxAccept)}, "", text},

		{"format=text", []string{"application/json"}, "format=text", text},
		{"format=json", []string{"text/plain"}, "format=json", json},
		{"format=health", nil, "verbose&format=health", health},
		{"a format that is none", nil, "format=xml", text},
		{"a format that is none, and Accept", []string{"application/json"}, "format=JSON", json},
		{"format without a value", []string{"application/json"}, "format", json},
		{"the last of two formats", nil, "format=json&format=text", text},
	}
	r := made(t)
	for _, tt := range tests {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/livez?"+tt.query, nil)
		if tt.accept != nil {
			req.Header["Accept"] = tt.accept
		}
		r.ServeHTTP(w, req)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != tt.want {
			t.Errorf("%s: %d %s, want %s", tt.name, w.Code, got, tt.want)
		}
		if isJSON := strings.HasPrefix(w.Body.String(), "{"); isJSON != (tt.want != text) {
			t.Errorf("%s: %s with the body %q", tt.name, tt.want, w.Body)
		}
	}
}
