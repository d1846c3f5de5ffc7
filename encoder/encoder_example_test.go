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
