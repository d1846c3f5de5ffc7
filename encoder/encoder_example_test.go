package encoder_test

import (
	"context"
	"fmt"
	"os"

	"github.com/probelane/probelane/encoder"
)

func ExampleNew() {
	e, err := encoder.New(encoder.WithWorkers(2))
	if err != nil {
		panic(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			panic(err)
		}
	}()

	n, err := e.Encode(context.Background(), os.Stdout, map[string]any{"name": "Ada & Grace", "year": 1952})
	fmt.Println()
	fmt.Println(n, err)
	// Output:
	// {"name":"Ada \u0026 Grace","year":1952}
	// 39 <nil>
}

// A sequence may be a field of an envelope. Its elements are written while they
// are produced.
func ExampleRows() {
	e, err := encoder.New()
	if err != nil {
		panic(err)
	}
	defer e.Close(context.Background())

	squares := func(yield func(int) bool) {
		for i := range 5 {
			if !yield(i * i) {
				return // the writer has failed, or the context has ended
			}
		}
	}
	page := struct {
		Items encoder.Sequence `json:"items"`
		Next  string           `json:"next"`
	}{encoder.Rows(squares), "/squares?from=5"}
	_, err = e.Encode(context.Background(), os.Stdout, page)
	fmt.Println()
	fmt.Println(err)
	// Output:
	// {"items":[0,1,4,9,16],"next":"/squares?from=5"}
	// <nil>
}

func ExampleLines() {
	e, err := encoder.New()
	if err != nil {
		panic(err)
	}
	defer e.Close(context.Background())

	rows := []map[string]any{{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}}
	n, err := e.Encode(context.Background(), os.Stdout, rows, encoder.Lines())
	fmt.Println(n, err)
	// Output:
	// {"id":1,"name":"Ada"}
	// {"id":2,"name":"Grace"}
	// 46 <nil>
}

func ExampleEncoder_Marshal() {
	e, err := encoder.New()
	if err != nil {
		panic(err)
	}
	defer e.Close(context.Background())

	b, err := e.Marshal(context.Background(), []string{"one", "two"})
	fmt.Println(string(b), err)

	_, err = e.Marshal(context.Background(), make(chan int))
	fmt.Println(err)
	// Output:
	// ["one","two"] <nil>
	// json: unsupported type: chan int
}
