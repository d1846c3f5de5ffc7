package encoder

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// byByte is how many bytes from the start are ASCII and stand for themselves, by
// one at a time.
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

func skipped(s string, html bool) int { return charsetFor(html).skip([]byte(s), 0) }

func TestPlainFindsEveryByteAtEveryPlace(t *testing.T) {
	ways := map[string]func(string, bool) int{"by eight": skipped, "while copying": copied}
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

// Pieces that text is made of: of every length, wrong in every way, and what has
// to be escaped.
var textPieces = []string{
	"a", "plain", "0123456789abcdef", "sixteen letters or more, and then a few",
	"\"", "\\", "\n", "\x00", "\x1f", "\x7f", "<", ">", "&", "\b\f",
	"ä", "ß", "߿", "漢字", "\ue000", "\ud7ff", "\uffff", "🚀", "\U0010ffff", "\U00010000",
	"\u2028", "\u2029", "\u2027", "\u202a", "\u20a8", "\ufffd",
	"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xdf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2", "\xe2\x80", "\xe2\x80\xa8\x80",
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xef\xbf", "\xf0", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f", "\xf0\x9f\x9a",
	"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
}

// textWays are all ways to write text.
var textWays = map[string]func(dst []byte, s string, html bool) []byte{
	"wide":     appendWide,
	"by eight": func(dst []byte, s string, html bool) []byte { return appendText(dst, s, 0, html) },
}

// checkText compares what all ways make of s with what encoding/json does. The
// text is put in front of the end of page, behind which nothing can be read.
func checkText(t *testing.T, page []byte, s string) {
	t.Helper()
	for _, html := range []bool{false, true} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		want := b.String()[1 : b.Len()-2]
		for _, behind := range []int{0, 1, 40} {
			place := page[len(page)-len(s)-behind:]
			s := unsafe.String(unsafe.SliceData(place), copy(place, s))
			for name, way := range textWays {
				// Little room, just enough, and plenty.
				for _, room := range []int{0, len(s) + 8, len(want) + wideRoom + 300} {
					if got := string(way(append(make([]byte, 0, room), '"'), s, html)[1:]); got != want {
						t.Fatalf("%s of %q, html %v:\n got %q\nwant %q", name, s, html, got, want)
					}
				}
			}
		}
	}
}

func TestTextIsExactInEveryWay(t *testing.T) {
	page := lastPage(t)
	for n := range 70 {
		for _, p := range textPieces {
			clean := strings.Repeat("z", n)
			checkText(t, page, clean+p)
			checkText(t, page, clean+p+"z")
			checkText(t, page, clean+p+clean)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var b strings.Builder
		for range r.IntN(40) {
			p := textPieces[r.IntN(len(textPieces))]
			b.WriteString(p[:len(p)-max(r.IntN(4*len(p))-3*len(p), 0)])
			if r.IntN(2) == 0 {
				b.WriteString(strings.Repeat([]string{"z", "ä", "漢", "🚀"}[r.IntN(4)], r.IntN(20)))
			}
		}
		checkText(t, page, b.String())
	}
}

func FuzzText(f *testing.F) {
	for i, p := range textPieces {
		f.Add(strings.Repeat("z", i) + p + textPieces[(i+7)%len(textPieces)])
	}
	page := lastPage(f)
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) <= len(page)/2 {
			checkText(t, page, s)
		}
	})
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
