// Package server makes an http.Server that suits clients and proxies which
// keep their connections, read slowly, or are still sending when the process
// is told to end. It knows net/http and nothing above it.
//
//	s, err := server.New(server.Defaults())
//	srv := s.HTTP(handler)             // a plain *http.Server, yours to adjust
//	err = s.Serve(ctx, srv, listener)  // until ctx ends, then a soft shutdown
//
// Four things differ from a bare http.Server:
//
//   - Writes have no total limit and yet none waits for ever: a response may
//     take as long as its client keeps taking bytes (conn.go).
//   - Bodies of requests have no total limit either, and fail once nothing more
//     of them comes (body.go).
//   - The end comes in steps: readiness fails, every response says
//     "Connection: close" while new connections are still served, and only
//     then the listener closes (drain.go).
//   - A response that cannot be completed is cut so that every client and
//     proxy sees it broken, never short and whole (cut.go).
//
// On a kept connection a small request costs one allocation of 32 bytes, a few
// atomic operations and an uncontended lock, but neither a clock nor a system
// call. One with a body costs two allocations more, and a clock for each read
// from the connection that the body takes after the header.
// The package starts no goroutine of its own except one for each Serve.
package server
