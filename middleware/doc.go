// Package middleware keeps the health probes of a Gin service answering while
// the service is flooded with large JSON responses.
//
//	middleware.Run(r, ":8080") // in place of r.Run(":8080")
//
// Run answers the probes before anything else, on Linux by a thread that does not
// wait for Go's scheduler, admits requests while there is
// room for them, encodes large JSON in short pieces, gives the server timeouts
// that suit keep-alive clients and proxies, and on SIGTERM drains without losing
// a request. Handlers need no change: c.JSON is encoded on the handler's
// goroutine, which gives way after each piece, and c.PureJSON is streamed from a
// bounded pool. With JSON in place of c.JSON such a response is streamed too,
// and a large one then takes about a megabyte of memory instead of its whole
// length.
//
// Stream sends what an iter.Seq produces, rows of a database for instance, while
// it is produced, as an array or as newline-delimited JSON:
//
//	middleware.Stream(c, 200, encoder.RowsErr(rows))
//
// WithCompression has JSON and Stream compress what they send, in the same
// pieces.
//
// An app that keeps its own server uses the parts:
//
//	g, err := middleware.New(middleware.WithMemoryBudget(512 << 20))
//	r.Use(g.Handler())       // admission and probes, inside the router
//	srv := g.Server(r)       // or a *http.Server with all of it
//	err = g.Run(ctx, r)      // or all of it, until ctx ends
//
// What it costs: a request to a small handler takes about half a microsecond
// more, and a new connection a dozen system calls. A Guard has no goroutine of
// its own while nobody waits, except for those of its checks, one that tells a
// logger or hooks of them and, while it serves on Linux, for the lane's: two that
// wake once a second, and a thread.
package middleware
