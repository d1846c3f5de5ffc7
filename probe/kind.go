package probe

// Kind says which question a check helps to answer, and names the endpoint
// that asks it.
type Kind uint8

const (
	// Liveness asks whether this process should be restarted: /livez.
	Liveness Kind = iota
	// Readiness asks whether traffic should be sent here now: /readyz.
	Readiness
	// Startup asks whether the process has finished starting: /startupz.
	Startup
	// Health is liveness and readiness together, for load balancers and
	// people: /healthz. It is an endpoint only, no check is of this kind.
	Health

	kinds = iota // how many there are
)

// String returns "liveness", "readiness", "startup" or "health".
func (k Kind) String() string {
	return [kinds]string{"liveness", "readiness", "startup", "health"}[k]
}

// endpoint is the name that kube-apiserver uses for the same question. It
// stands in the last line of an answer, whatever path the endpoint is served
// under.
func (k Kind) endpoint() string {
	return [kinds]string{"livez", "readyz", "startupz", "healthz"}[k]
}

// covers tells whether the endpoint k fails when a check of the given kind
// does. A process that has not started is not ready either: without this, a
// deployment that has startup checks but no startupProbe would get traffic
// too early.
func (k Kind) covers(check Kind) bool {
	switch k {
	case Health:
		return true
	case Readiness:
		return check == Readiness || check == Startup
	default:
		return check == k
	}
}

// fallsToDraining tells whether the endpoint k fails while the process
// drains. Liveness must not: a process that finishes its last requests is
// not to be killed for it.
func (k Kind) fallsToDraining() bool { return k == Readiness || k == Health }
