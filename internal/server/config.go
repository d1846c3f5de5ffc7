package server

import (
	"errors"
	"fmt"
	"log"
	"time"
)

// Config is the server's timeouts and limits. Start from Defaults: zero is
// never replaced by a default, it means what each field says.
type Config struct {
	// ReadHeaderTimeout bounds the reading of a request's header. Default
	// 10 s. Zero falls back to ReadTimeout.
	ReadHeaderTimeout time.Duration

	// ReadTimeout bounds the reading of a whole request. Default zero, which
	// is no limit: an upload takes as long as its client's line, see ReadStall.
	ReadTimeout time.Duration

	// WriteStall is how long a client may take nothing of a response before
	// its connection is cut. It takes the place of http.Server.WriteTimeout,
	// which starts with the request and so counts queueing, encoding and the
	// client's line. Some connections live up to three eighths longer.
	// Default 30 s. Zero is no limit.
	WriteStall time.Duration

	// ReadStall is how long a client may send nothing of a request's body while
	// the handler reads it, before the handler's read fails. It takes the place
	// of ReadTimeout, and has no effect on HTTP/1 where an http.Server has one.
	// Default 30 s. Zero is no limit.
	ReadStall time.Duration

	// IdleTimeout is how long a connection is kept between two requests. It
	// has to be longer than the proxy in front keeps its connections: who
	// closes first must not be the server. Default 120 s. Zero falls back to
	// ReadTimeout.
	IdleTimeout time.Duration

	// MaxHeaderBytes bounds a request's header. Default 64 KiB. Zero is
	// net/http's own default of 1 MiB.
	MaxHeaderBytes int

	// DrainTime is how long the server goes on accepting after it was told to
	// end, while the load balancer learns of it. Default 5 s. Zero shuts down
	// at once.
	DrainTime time.Duration

	// ShutdownTimeout is how long responses may take to finish once the
	// listener has closed. Default 20 s; it must be positive. Allow at least
	// 7 s: http.Server.Shutdown gives a connection that never sent a byte 5 s,
	// counts whole seconds, and looks every half second.
	ShutdownTimeout time.Duration

	// OnDrain is called once, when draining begins and before any response
	// says so: the moment to fail readiness. It must not block. Nil is nothing.
	OnDrain func()

	// ErrorLog is http.Server.ErrorLog. Nil is the log package's.
	ErrorLog *log.Logger
}

// Defaults is the configuration for a service behind a proxy in Kubernetes.
func Defaults() Config {
	return Config{
		// A header fits into a few packets; 10 s leave room for two lost ones
		// (retransmitted after 1 s and 3 s) and end a slowloris.
		ReadHeaderTimeout: 10 * time.Second,

		// Linux sends an unacknowledged segment again after 0.2 s, 0.4 s, 0.8 s
		// and so on: within 30 s seven times. A client that is silent longer is
		// gone or does not read. nginx's send_timeout, the same idea, is 60 s.
		WriteStall: 30 * time.Second,

		// The same for the other direction. nginx's client_body_timeout is 60 s.
		ReadStall: 30 * time.Second,

		// nginx, ingress-nginx and AWS ALB keep upstream connections for 60 s,
		// Traefik and Go's own client for 90 s.
		IdleTimeout: 120 * time.Second,

		// What the proxies let through: Envoy 60 KiB (max_request_headers_kb),
		// AWS ALB 64 KiB, nginx 4 buffers of 8 KiB.
		MaxHeaderBytes: 64 << 10,

		// Kubernetes takes a terminating pod out of its endpoints at once, but
		// every node's kube-proxy and every ingress has to hear of it: usually
		// within a second or two.
		DrainTime: 5 * time.Second,

		// Together with DrainTime 25 s of the 30 s a pod has by default
		// (terminationGracePeriodSeconds); 5 s are left for what the program
		// closes afterwards.
		ShutdownTimeout: 20 * time.Second,
	}
}

// Validate reports every field that has no meaning.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		d    time.Duration
	}{
		{"ReadHeaderTimeout", c.ReadHeaderTimeout},
		{"ReadTimeout", c.ReadTimeout},
		{"WriteStall", c.WriteStall},
		{"ReadStall", c.ReadStall},
		{"IdleTimeout", c.IdleTimeout},
		{"DrainTime", c.DrainTime},
	} {
		if f.d < 0 {
			errs = append(errs, fmt.Errorf("server: %s is %v, must not be negative", f.name, f.d))
		}
	}
	if c.ShutdownTimeout <= 0 {
		errs = append(errs, fmt.Errorf("server: ShutdownTimeout is %v, must be positive", c.ShutdownTimeout))
	}
	if c.MaxHeaderBytes < 0 {
		errs = append(errs, fmt.Errorf("server: MaxHeaderBytes is %d, must not be negative", c.MaxHeaderBytes))
	}
	return errors.Join(errs...)
}
