package middleware

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	ginjson "github.com/gin-gonic/gin/codec/json"
)

// installed guards gin's codec, which is one variable for the whole process.
var installed struct {
	sync.Mutex
	codecs []*codec // in the order of their coming, those that serve nothing too
}

// current is the guard whose codec was installed last.
var current atomic.Pointer[Guard]

// InstallCodec makes the guard's encoder serve gin's own calls for JSON, in
// every engine of the process. Call it before serving: gin reads the codec
// without a lock. Run and Default call it.
//
// A codec of the app's own stays where it is, and so does what c.JSON and the
// others make of it. Only JSON uses the guard's encoder then. Which of gin's
// codecs a build tag has chosen (sonic, jsoniter, go_json) does not matter: the
// responses are those of encoding/json.
//
// The function returned puts back what was there before, and so does Close. It
// does nothing the second time, and leaves a codec alone that somebody has
// installed since. Guards may go in any order.
func (g *Guard) InstallCodec() (restore func()) {
	installed.Lock()
	defer installed.Unlock()
	c := &codec{Core: ginjson.API, guard: g, before: ginjson.API}
	if ours, ok := c.before.(*codec); ok {
		c.Core = ours.Core
	}
	installed.codecs = append(installed.codecs, c)
	current.Store(g)
	if gins(c.Core) {
		ginjson.API = c
	} else {
		g.log.Info("the app has a JSON codec of its own for gin, which stays", "codec", fmt.Sprintf("%T", c.Core))
	}
	return func() { uninstall(func(other *codec) bool { return other == c }) }
}

// gins reports whether a codec is one of those that gin brings.
func gins(c ginjson.Core) bool {
	t := reflect.TypeOf(c)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == reflect.TypeFor[ginjson.Core]().PkgPath()
}

// uninstall takes those codecs away that are gone.
func uninstall(gone func(*codec) bool) {
	installed.Lock()
	defer installed.Unlock()
	installed.codecs = slices.DeleteFunc(installed.codecs, gone)
	var last *Guard
	if n := len(installed.codecs); n > 0 {
		last = installed.codecs[n-1].guard
	}
	current.Store(last)
	c, ours := ginjson.API.(*codec)
	if !ours || !gone(c) {
		return
	}
	for ours && !slices.Contains(installed.codecs, c) {
		ginjson.API = c.before
		c, ours = c.before.(*codec)
	}
}
