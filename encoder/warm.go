package encoder

import "reflect"

// Warm prepares to encode values of the types of these, and of all types that
// they lead to: what takes some 10 µs for each type, once in a process, is then
// not part of the first response. What interfaces will hold cannot be known;
// name it too.
func Warm(values ...any) {
	for _, v := range values {
		if v != nil {
			planFor(reflect.TypeOf(v))
		}
	}
}

// WarmFor is Warm for a type.
func WarmFor[T any]() { planFor(reflect.TypeFor[T]()) }
