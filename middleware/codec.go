package middleware

import (
	"bytes"
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	ginjson "github.com/gin-gonic/gin/codec/json"

	"github.com/probelane/probelane/encoder"
)

// codec puts the encoder behind gin's c.JSON. Everything but Marshal is left
// to the codec that was there before.
type codec struct {
	ginjson.Core
	enc *encoder.Encoder
}

// Marshal never sheds: it has neither a response to refuse nor a context to
// watch. It encodes on the handler's goroutine, in quanta that give way.
func (c codec) Marshal(v any) ([]byte, error) {
	b, err := c.enc.MarshalInline(context.Background(), v)
	if err != nil {
		failures.note()
	}
	return b, err
}

// installed guards gin's codec, which is one variable for the whole process.
var installed sync.Mutex

// InstallCodec makes the guard's encoder serve gin's own c.JSON, in every
// engine of the process. Call it before serving: gin reads the codec without a
// lock. The function returned puts the former codec back, unless another one
// has been installed since. Run and Default call it.
func (g *Guard) InstallCodec() (restore func()) {
	installed.Lock()
	defer installed.Unlock()
	former, before := ginjson.API, current.Load()
	ours := &codec{former, g.enc}
	ginjson.API = ours
	current.Store(g)
	return sync.OnceFunc(func() {
		installed.Lock()
		defer installed.Unlock()
		if ginjson.API == ginjson.Core(ours) {
			ginjson.API = former
			current.Store(before)
		}
	})
}

// current is the guard whose codec is installed.
var current atomic.Pointer[Guard]

// failures remembers on which goroutines c.JSON could not encode its value.
// gin answers that with an empty 200, and the handler's gin.Context, which has
// the error, is out of reach for a server around the engine. A handler runs on
// one goroutine, so its number leads from one to the other. Nothing is paid for
// it while nothing fails.
var failures failed

type failed struct {
	any atomic.Bool // whether there are any
	mu  sync.Mutex
	on  map[uint64]struct{} // numbers of goroutines; guarded by mu
}

// maxFailures bounds what is remembered of failures outside of any request,
// for which nobody asks.
const maxFailures = 1024

func (f *failed) note() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil || len(f.on) >= maxFailures {
		f.on = map[uint64]struct{}{}
	}
	f.on[goroutine()] = struct{}{}
	f.any.Store(true)
}

// take reports whether this goroutine has failed since it was last asked.
func (f *failed) take() bool {
	if !f.any.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	number := goroutine()
	_, was := f.on[number]
	delete(f.on, number)
	f.any.Store(len(f.on) > 0)
	return was
}

// goroutine is the number of the calling goroutine, as its stack trace begins:
// "goroutine 18 [running]:".
func goroutine() uint64 {
	var buf [64]byte
	b := buf[:runtime.Stack(buf[:], false)]
	b = bytes.TrimPrefix(b, []byte("goroutine "))
	b, _, _ = bytes.Cut(b, []byte(" "))
	n, _ := strconv.ParseUint(string(b), 10, 64)
	return n
}
