package encoder

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// byByte is plain without any of its ways to look at many bytes at once.
func byByte(s string, html bool) int {
	for i := range len(s) {
		b := s[i]
		if b < ' ' || b == '"' || b == '\\' || b >= 0x80 || html && strings.IndexByte("<>&", b) >= 0 {
			return i
		}
	}
	return len(s)
}

// copied is copyPlain, and says what it has copied wrong.
func copied(s string, html bool) int {
	dst := make([]byte, len(s))
	n := copyPlain(dst, s, html)
	if string(dst[:n]) != s[:n] {
		return -1
	}
	return n
}

func TestPlainFindsEveryByteAtEveryPlace(t *testing.T) {
	ways := map[string]func(string, bool) int{"wide": plain, "words": plainWords, "while copying": copied}
	check := func(s string) {
		for _, html := range []bool{false, true} {
			want := byByte(s, html)
			for name, way := range ways {
				if got := way(s, html); got != want {
					t.Fatalf("%s of %q, html %v: %d, want %d", name, s, html, got, want)
				}
			}
		}
	}
	for n := range 70 {
		clean := strings.Repeat("a", n)
		check(clean)
		for at := range n {
			for b := range 256 {
				check(clean[:at] + string([]byte{byte(b)}) + clean[at+1:])
			}
		}
	}
	// Two at a time: what a borrow does to a neighbour.
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(4) > 0 {
				b[i] = 'z'
			}
		}
		check(string(b))
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	texts := map[string]string{
		"ASCII":                  strings.Repeat("plain text, ", 1000),
		"two bytes":              strings.Repeat("äöüß", 1000),
		"three":                  strings.Repeat("漢字", 1000),
		"four":                   strings.Repeat("🙂🚀", 1000),
		"separators":             strings.Repeat("a\u2028\u2029", 1000),
		"nothing but escapes":    strings.Repeat("\"\\\n\x01<>&", 1000),
		"broken characters":      strings.Repeat("\xe6\xbc\xf0\x9f", 1000),
		"continuation bytes":     strings.Repeat("\xbc", 5000),
		"surrogates in disguise": strings.Repeat("\xed\xa0\x80", 1000),
	}
	for name, s := range texts {
		for from := range 5 {
			s := s[from:]
			want, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			for _, quantum := range []int{1, 2, 3, 7, 100, 2048} {
				c := cursor{root: s, quantum: quantum}
				wantOutput(t, name, drain(t, &c, quantum), want)
			}
		}
	}
}

// drain is all that a cursor gives. No quantum may be much longer than asked
// for.
func drain(t testing.TB, c *cursor, quantum int) []byte {
	t.Helper()
	var out []byte
	for {
		before := len(out)
		var done bool
		var err error
		if out, done, err = c.next(out); err != nil {
			t.Fatal(err)
		}
		if n := len(out) - before; n > quantum+slack {
			t.Errorf("a quantum of %d bytes has %d", quantum, n)
		}
		if done {
			return out
		}
	}
}

// slack is what a quantum may exceed by: a piece of a string, of which every
// byte may take six.
const slack = 6*textPiece + 100
