package encoder_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// published are the files of encoding/json with its own tests that have to do
// with encoding, or hold what those need.
var published = []string{
	"encode_test.go", "decode_test.go", "stream_test.go", "scanner_test.go", "tagkey_test.go", "number_test.go",
}

// replaced are declarations of encoding/json that onTheEncoder has anew.
var replaced = map[string]bool{
	"Marshal": true, "Encoder.Encode": true,
	"Number": true, "Number.String": true, "Number.Float64": true, "Number.Int64": true,
	"UnsupportedTypeError": true, "UnsupportedTypeError.Error": true,
	"UnsupportedValueError": true, "UnsupportedValueError.Error": true,
}

// onTheEncoder lets a copy of encoding/json encode with the Encoder. The types
// that it looks for have to be those of the original.
const onTheEncoder = `package json

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/probelane/probelane/encoder"
)

type (
	Number                = json.Number
	UnsupportedTypeError  = json.UnsupportedTypeError
	UnsupportedValueError = json.UnsupportedValueError
)

var small, _ = encoder.New(encoder.WithQuantum(1))

func Marshal(v any) ([]byte, error) { return small.Marshal(context.Background(), v) }

func (enc *Encoder) Encode(v any) error {
	opts := []encoder.EncodeOption{encoder.TrailingNewline()}
	if !enc.escapeHTML {
		opts = append(opts, encoder.PlainHTML())
	}
	var out bytes.Buffer
	if _, err := small.Encode(context.Background(), &out, v, opts...); err != nil {
		return err
	}
	b := out.Bytes()
	if enc.indentPrefix != "" || enc.indentValue != "" {
		indented, err := appendIndent(nil, b, enc.indentPrefix, enc.indentValue)
		if err != nil {
			return err
		}
		b = indented
	}
	_, err := enc.w.Write(b)
	return err
}
`

// encoding/json's own tests, as they come with Go, pass with Marshal and
// Encoder.Encode done by this package. They are built in a copy of
// encoding/json that exists only for the go command.
func TestPublished(t *testing.T) {
	if !*long {
		t.Skip("builds and runs another test: go test -long")
	}
	original := filepath.Join(goroot(), "src", "encoding", "json")
	if _, err := os.Stat(original); err != nil {
		t.Skipf("this machine has no source of encoding/json: %v", err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	overlay := map[string]string{}
	add := func(name string, content []byte) {
		file := filepath.Join(scratch, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(here, "published", name)] = file
	}
	for _, name := range []string{"encode.go", "decode.go", "stream.go", "indent.go", "scanner.go", "fold.go", "tables.go", "tags.go"} {
		add(name, withoutReplaced(t, filepath.Join(original, name)))
	}
	add("on_the_encoder.go", []byte(onTheEncoder))
	for _, name := range published {
		overlay[filepath.Join(here, "published", name)] = filepath.Join(original, name)
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(config, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(scratch, "published.test")
	if out, err := exec.Command("go", "test", "-vet=off", "-c", "-o", program, "-overlay", config, "./published").CombinedOutput(); err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	// In a bubble of synctest the time of a wait for a worker outside of it is
	// over at once.
	out, err := exec.Command(program, "-test.v", "-test.skip=^TestSynctestMarshal$").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, failures(out))
	}
	if n := bytes.Count(out, []byte("--- PASS")); n < 100 {
		t.Errorf("only %d tests have run:\n%s", n, out)
	}
}

// withoutReplaced is a Go file without what is declared elsewhere.
func withoutReplaced(t *testing.T, path string) []byte {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var kept []ast.Decl
	for _, d := range f.Decls {
		if !replaced[nameOf(d)] {
			kept = append(kept, d)
		}
	}
	f.Decls = kept
	var b bytes.Buffer
	if err := printer.Fprint(&b, fset, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nameOf is the name of a function, a method with its receiver, or a type.
func nameOf(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return d.Name.Name
		}
		receiver := d.Recv.List[0].Type
		if star, ok := receiver.(*ast.StarExpr); ok {
			receiver = star.X
		}
		if id, ok := receiver.(*ast.Ident); ok {
			return id.Name + "." + d.Name.Name
		}
	case *ast.GenDecl:
		if spec, ok := d.Specs[0].(*ast.TypeSpec); ok {
			return spec.Name.Name
		}
	}
	return ""
}

// failures leaves out the tests that have passed.
func failures(out []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "=== ") && !strings.Contains(line, "--- PASS") {
			b.WriteString(line)
		}
	}
	return b.String()
}
