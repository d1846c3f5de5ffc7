package encoder

import (
	"reflect"
	"testing"
)

type warmed struct {
	Name   string
	Points []struct{ X, Y float64 }
	Next   *warmed
	Deeper map[string][]*[40]warmedLeaf
	Any    any
}

type warmedLeaf struct{ N [3]int }

func TestWarmPlansAllThatATypeLeadsTo(t *testing.T) {
	known := func(typ reflect.Type) bool {
		_, ok := plans.Load(typ)
		return ok
	}
	leaf := reflect.TypeFor[warmedLeaf]()
	for typ := range plans.Range {
		plans.Delete(typ) // other tests have planned these
	}
	Warm(nil, 1, &warmed{})
	WarmFor[warmed]()
	for _, typ := range []reflect.Type{reflect.TypeFor[warmed](), reflect.TypeFor[*[40]warmedLeaf](), leaf, reflect.TypeFor[[3]int]()} {
		if !known(typ) {
			t.Errorf("%v has no plan", typ)
		}
	}
	v := &warmed{Name: "x", Next: &warmed{Points: make([]struct{ X, Y float64 }, 100)}}
	got, err := made(t).Marshal(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	wantOutput(t, "warmed", got, marshal(t, v))
}

func TestStatsTellWhoWritesNumbers(t *testing.T) {
	want := "strconv"
	if sonicNumbers() {
		want = "sonic"
	}
	if got := made(t).Stats().Numbers; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
