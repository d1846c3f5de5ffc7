package middleware

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
)

// failures remembers on which goroutines one of gin's calls could not encode
// its value. gin answers that with an empty 200, and the handler's gin.Context,
// which has the error, is out of reach for a server around the engine. A handler
// runs on one goroutine, so its number leads from one to the other. Nothing is
// paid for it while nothing fails.
//
// A handler that answers from a goroutine of its own is not found this way.
var failures failed

type failed struct {
	any atomic.Bool // whether there are any
	mu  sync.Mutex
	on  map[uint64]struct{} // numbers of goroutines; guarded by mu
}

// note remembers an error of the calling goroutine, if that is answering a
// request: nobody would ask for the others.
func (f *failed) note(err error) {
	if err == nil {
		return
	}
	stack := debug.Stack()
	if !bytes.Contains(stack, admitting) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil {
		f.on = map[uint64]struct{}{}
	}
	f.on[goroutine(stack)] = struct{}{}
	f.any.Store(true)
}

// admitting is in the stack of all that Guard.admit runs. The runtime leaves out
// the middle of a deep stack, but neither of its ends.
var admitting = []byte("probelane/middleware.(*Guard).admit(")

// take reports whether this goroutine has failed since it was last asked.
func (f *failed) take() bool {
	if !f.any.Load() {
		return false
	}
	var buf [64]byte
	number := goroutine(buf[:runtime.Stack(buf[:], false)])
	f.mu.Lock()
	defer f.mu.Unlock()
	_, was := f.on[number]
	delete(f.on, number)
	f.any.Store(len(f.on) > 0)
	return was
}

// goroutine is the number of a goroutine, as its stack trace begins:
// "goroutine 18 [running]:".
func goroutine(stack []byte) uint64 {
	b := bytes.TrimPrefix(stack, []byte("goroutine "))
	b, _, _ = bytes.Cut(b, []byte(" "))
	n, _ := strconv.ParseUint(string(b), 10, 64)
	return n
}
