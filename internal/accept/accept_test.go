package accept

import (
	"fmt"
	"strings"
	"testing"
)

func TestItems(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string
	}{
		{"no header", nil, ""},
		{"an empty header", []string{""}, "=1"},
		{"one item", []string{"gzip"}, "gzip=1"},
		{"several lines", []string{"gzip, zstd;q=0.5", "br"}, "gzip=1 zstd=0.5 br=1"},
		{"spaces and capitals", []string{" Text/HTML ; Q = 0.25 "}, "text/html=0.25"},
		{"other parameters", []string{"text/plain;charset=utf-8;q=0.1;x=y"}, "text/plain=0.1"},
		{"refused", []string{"gzip;q=0, zstd;q=0.000"}, "gzip=0 zstd=0"},
		{"weights that are none", []string{"a;q=2, b;q=-1, c;q=x, d;q=, e;q=NaN, f;q"}, "a=0 b=0 c=0 d=0 e=0 f=0"},
		{"empty items", []string{",,"}, "=1 =1 =1"},
	}
	for _, tt := range tests {
		var got []string
		for name, q := range Items(tt.values) {
			got = append(got, fmt.Sprintf("%s=%v", name, q))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, s, tt.want)
		}
	}
}

func TestItemsEndsWhenItsReaderDoes(t *testing.T) {
	for name := range Items([]string{"a,b"}) {
		if name != "a" {
			t.Fatalf("went on to %q", name)
		}
		break
	}
}
