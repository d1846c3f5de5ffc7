package encoder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/probelane/probelane/encoder"
)

// corpusDocument is a JSON text from somewhere.
type corpusDocument struct {
	name string
	text []byte
}

// goroot is where Go is installed, with its sources, or empty.
var goroot = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})

// ownDocuments are those in testdata, and what is too deep to be kept there.
func ownDocuments(t testing.TB) []corpusDocument {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/corpus has no documents: %v", err)
	}
	var docs []corpusDocument
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, corpusDocument{filepath.Base(f), text})
	}
	const deepest = 10_000 // that encoding/json decodes
	open, end := strings.Repeat(`[{"<":`, deepest/2-1), strings.Repeat("}]", deepest/2-1)
	return append(docs,
		corpusDocument{"arrays, 10,000 deep", []byte(strings.Repeat("[", deepest) + strings.Repeat("]", deepest))},
		corpusDocument{"arrays and objects, 9,998 deep", []byte(open + `"\b"` + end)},
	)
}

// goDocuments are the JSON files that come with Go: those by which
// encoding/json is measured, and whatever else its tests are made of.
func goDocuments(t testing.TB) []corpusDocument {
	t.Helper()
	if goroot() == "" {
		t.Skip("no go command, or no sources of Go")
	}
	var docs []corpusDocument
	known := filepath.Join(goroot(), "src", "encoding", "json", "internal", "jsontest", "testdata")
	compressed, err := filepath.Glob(filepath.Join(known, "*.json.zst"))
	if err != nil || len(compressed) == 0 {
		t.Skipf("this Go has no documents in %s", known)
	}
	for _, f := range compressed {
		docs = append(docs, corpusDocument{strings.TrimSuffix(filepath.Base(f), ".json.zst"), decompressed(t, f)})
	}
	if !*long {
		return docs
	}
	err = filepath.WalkDir(filepath.Join(goroot(), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		docs = append(docs, corpusDocument{filepath.Base(path), text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func decompressed(t testing.TB, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// decode reads a document, which may be several values one after the other.
func decode(d corpusDocument, useNumber bool) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(d.text))
	if useNumber {
		dec.UseNumber()
	}
	var values []any
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if len(values) == 1 {
		return values[0], nil
	}
	return values, nil
}

// readings are the Go values that a document can become.
func readings(t testing.TB, d corpusDocument) []sample {
	t.Helper()
	plain, err := decode(d, false)
	if err != nil {
		return nil // a document of a test for errors
	}
	numbers, err := decode(d, true)
	if err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	out := []sample{
		{"any", plain},
		{"any with Numbers", numbers},
		{"any with broken UTF-8", spoiled(plain)},
	}
	target := reflect.New(inferred(plain, 0))
	if err := json.Unmarshal(d.text, target.Interface()); err == nil {
		out = append(out, sample{"a type made for it", target.Elem().Interface()}, sample{"a pointer to such a type", target.Interface()})
	}
	for _, v := range []any{new(map[string]json.RawMessage), new([]json.RawMessage)} {
		if err := json.Unmarshal(d.text, v); err == nil {
			out = append(out, sample{"raw messages", reflect.ValueOf(v).Elem().Interface()})
		}
	}
	if v := corpusTypes[d.name]; v != nil {
		v := v()
		if err := json.Unmarshal(d.text, v); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		out = append(out, sample{"its type", v}, sample{"its type by value", reflect.ValueOf(v).Elem().Interface()})
	}
	return out
}

// spoiled is a tree with strings that no document can hold: cut inside a rune,
// or with a byte of a surrogate or of nothing at all.
func spoiled(v any) any {
	switch v := v.(type) {
	case string:
		_, size := utf8.DecodeLastRuneInString(v)
		if size > 1 {
			return v[:len(v)-1]
		}
		return v + []string{"\xff", "\xed\xa0\x80", "", "\xc3"}[len(v)%4]
	case []any:
		return mapTo(v, spoiled)
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k+"\xfe"] = spoiled(e)
		}
		return m
	}
	return v
}

const (
	// maxFields bounds the structs that are made: more keys are a map's.
	maxFields = 60
	// maxInferred bounds how deep they go: each is compiled.
	maxInferred = 8
)

// inferred is a type for a decoded tree: structs for objects, slices for
// arrays of values alike, the kinds of their own for the rest. How far down a
// struct is decides whether it is a pointer, and what may be left out.
func inferred(v any, depth int) reflect.Type {
	switch v := v.(type) {
	case string:
		return reflect.TypeFor[string]()
	case bool:
		return reflect.TypeFor[bool]()
	case float64:
		if v == float64(int32(v)) {
			return reflect.TypeFor[float32]()
		}
		return reflect.TypeFor[float64]()
	case []any:
		if depth > maxInferred {
			break
		}
		var elem reflect.Type
		for _, e := range v[:min(3, len(v))] {
			t := inferred(e, depth+1)
			if elem == nil {
				elem = t
			}
			if t != elem {
				return reflect.TypeFor[[]any]()
			}
		}
		if elem != nil {
			return reflect.SliceOf(elem)
		}
	case map[string]any:
		if len(v) > maxFields || depth > maxInferred {
			return reflect.TypeFor[map[string]any]()
		}
		var fields []reflect.StructField
		for _, k := range sortedKeys(v) {
			tag := k
			if depth%2 == 1 {
				tag += ",omitempty"
			}
			fields = append(fields, reflect.StructField{
				Name: fmt.Sprintf("F%d", len(fields)),
				Type: inferred(v[k], depth+1),
				Tag:  reflect.StructTag(fmt.Sprintf("json:%q", tag)),
			})
		}
		t := reflect.StructOf(fields)
		if depth%3 == 2 {
			t = reflect.PointerTo(t)
		}
		return t
	}
	return reflect.TypeFor[any]()
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// slow reports whether a document is better not cut at every byte.
func (d corpusDocument) slow() bool {
	return len(d.text) > 100<<10 || strings.Contains(d.name, "deep") && !*long
}

func checkDocuments(t *testing.T, docs []corpusDocument) {
	every := newVariants(t)
	large := []variant{newVariant(t, "quantum 3000", encoder.WithQuantum(3000), encoder.WithWriteSize(10_000), encoder.WithHold(0)), every[2]}
	for i, d := range docs {
		if hurried() && d.slow() && i%4 > 0 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			vs := every
			if d.slow() {
				vs = large
			}
			for i, r := range readings(t, d) {
				if hurried() && d.slow() && i%3 > 0 {
					continue
				}
				want := jsonOutcome(r.value)
				if want.err != nil {
					t.Fatalf("encoding/json: %v", want.err)
				}
				for _, vt := range vs {
					vt.check(t, r.name, r.value, want)
				}
				for j, f := range formats[1:] {
					if vt := vs[(i+j)%len(vs)]; *long || (i+j)%2 == 0 {
						vt.checkFormat(t, r.name, r.value, f)
					}
				}
			}
		})
	}
}

func TestExactCorpus(t *testing.T) { checkDocuments(t, ownDocuments(t)) }

func TestExactCorpusOfGo(t *testing.T) { checkDocuments(t, goDocuments(t)) }

// corpusTypes are types as one would write them for some of the documents.
// They leave out parts, as such types do.
var corpusTypes = map[string]func() any{
	"api.json":        func() any { return new(apiAnswer) },
	"canada_geometry": func() any { return new(featureCollection) },
	"citm_catalog":    func() any { return new(catalog) },
	"golang_source":   func() any { return new(sourceTree) },
	"string_escaped":  func() any { return new(map[string]textString) },
	"string_unicode":  func() any { return new(map[textString]string) },
	"synthea_fhir":    func() any { return new(bundle) },
	"twitter_status":  func() any { return new(timeline) },
}

type (
	apiAnswer struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Total uint16 `json:"total"`
			Next  string `json:"next,omitempty"`
			Items []*struct {
				ID      int64       `json:"id"`
				Name    string      `json:"name,omitempty"`
				Balance json.Number `json:"balance"`
				Active  *bool       `json:"active"`
				Tags    []string    `json:"tags"`
				Address *struct {
					Street, ZIP string
					Geo         []float32 `json:"geo,omitempty"`
				} `json:"address,omitempty"`
				At   time.Time `json:"at,omitzero"`
				Note *string   `json:"note"`
			} `json:"items"`
		} `json:"data"`
		Meta struct {
			Counts map[string]int  `json:"counts"`
			Bytes  []byte          `json:"bytes"`
			Raw    json.RawMessage `json:"raw"`
		} `json:"meta"`
	}

	featureCollection struct {
		Type     string `json:"type"`
		Features []struct {
			Type       string            `json:"type"`
			Properties map[string]string `json:"properties"`
			Geometry   *struct {
				Type        string         `json:"type"`
				Coordinates [][][2]float64 `json:"coordinates"`
			} `json:"geometry"`
		} `json:"features"`
	}

	catalog struct {
		AreaNames    map[int64]string        `json:"areaNames"`
		BlockNames   map[string]string       `json:"blockNames,omitempty"`
		Events       map[uint32]catalogEvent `json:"events"`
		Performances []struct {
			Event int `json:"eventId"`
			ID    int `json:"id"`
			Logo  any `json:"logo,omitempty"`
			Price []struct {
				Amount   float64 `json:"amount"`
				Audience int64   `json:"audienceSubCategoryId"`
			} `json:"prices"`
			Seats []map[string]any `json:"seatCategories"`
			Start int64            `json:"start"`
			Venue *string          `json:"venueCode"`
		} `json:"performances"`
		Topics   map[uint64][]uint64        `json:"topicSubTopics"`
		Subjects map[string]json.RawMessage `json:"subjectNames"`
		Venues   any                        `json:"venueNames"`
	}
	catalogEvent struct {
		Description *string `json:"description"`
		ID          int     `json:"id"`
		Logo        *string `json:"logo"`
		Name        string  `json:"name"`
		SubTopics   []int   `json:"subTopicIds"`
		Topics      any     `json:"topicIds"`
	}

	sourceTree struct {
		Tree *sourceNode `json:"tree"`
		User string      `json:"username"`
	}
	sourceNode struct {
		Name    string       `json:"name"`
		Kids    []sourceNode `json:"kids,omitempty"`
		Weight  float64      `json:"cl_weight"`
		Touches int          `json:"touches"`
		MinT    uint64       `json:"min_t"`
		MaxT    int64        `json:"max_t"`
		MeanT   float64      `json:"mean_t"`
	}

	bundle struct {
		ResourceType string        `json:"resourceType"`
		Type         string        `json:"type"`
		Entry        []bundleEntry `json:"entry"`
	}
	bundleEntry struct {
		FullURL  string `json:"fullUrl"`
		Resource struct {
			coded
			ID        string                    `json:"id"`
			Status    string                    `json:"status,omitempty"`
			Active    bool                      `json:"active,omitempty"`
			Recorded  time.Time                 `json:"recordedDate,omitzero"`
			Effective *time.Time                `json:"effectiveDateTime"`
			Category  []coded                   `json:"category"`
			Subject   map[string]textString     `json:"subject,omitempty"`
			Extension []bundleExtension         `json:"extension"`
			Quantity  *struct{ Value float64 }  `json:"valueQuantity,omitempty"`
			Telecom   []map[string]string       `json:"telecom"`
			Text      map[myString]string       `json:"text,omitempty"`
			Item      []map[string]any          `json:"item,omitempty"`
			Total     json.RawMessage           `json:"total,omitempty"`
			Period    *map[string]time.Time     `json:"period"`
			Contained []map[string]*interface{} `json:"contained"`
		} `json:"resource"`
		Request map[string]string `json:"request"`
	}
	coded struct {
		Coding []struct {
			System  string `json:"system"`
			Code    string `json:"code"`
			Display string `json:"display"`
		} `json:"coding,omitempty"`
		Text any `json:"text,omitempty"`
	}
	bundleExtension struct {
		URL     string            `json:"url"`
		Decimal *float64          `json:"valueDecimal,omitempty"`
		Text    *string           `json:"valueString,omitempty"`
		More    []bundleExtension `json:"extension,omitempty"`
	}

	timeline struct {
		Statuses []status       `json:"statuses"`
		Search   map[string]any `json:"search_metadata"`
	}
	status struct {
		Metadata  map[string]string   `json:"metadata"`
		CreatedAt string              `json:"created_at"`
		ID        uint64              `json:"id"`
		Text      string              `json:"text"`
		Source    string              `json:"source"`
		ReplyTo   *int64              `json:"in_reply_to_status_id"`
		User      *user               `json:"user"`
		Geo       any                 `json:"geo"`
		Retweeted *status             `json:"retweeted_status,omitempty"`
		Retweets  int                 `json:"retweet_count"`
		Entities  map[string][]entity `json:"entities"`
		Sensitive *bool               `json:"possibly_sensitive,omitempty"`
		Lang      string              `json:"lang"`
	}
	user struct {
		ID          int64           `json:"id"`
		Name        string          `json:"name"`
		ScreenName  string          `json:"screen_name"`
		Location    string          `json:"location,omitempty"`
		Description string          `json:"description"`
		URL         *string         `json:"url"`
		Entities    json.RawMessage `json:"entities"`
		Followers   uint32          `json:"followers_count"`
		Offset      *float32        `json:"utc_offset"`
		Colour      textString      `json:"profile_link_color"`
		Default     bool            `json:"default_profile"`
	}
	entity struct {
		Text    string `json:"text,omitempty"`
		Indices [2]int `json:"indices"`
		URL     string `json:"url,omitempty"`
		Media   any    `json:"sizes,omitempty"`
	}
)
