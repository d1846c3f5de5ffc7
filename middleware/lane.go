package middleware

import (
	"net"
	"sync"

	"github.com/probelane/probelane/internal/server"
	"github.com/probelane/probelane/probe"
)

// lanes are those of the listeners that are open.
type lanes struct {
	mu   sync.Mutex
	open []*laneListener // guarded by mu
}

// laneListener is a lane that its guard knows of until it is closed.
type laneListener struct {
	*probe.Lane
	lanes *lanes
}

// lane puts a lane in front of a listener, unless the options speak against it.
func (g *Guard) lane(ln net.Listener) net.Listener {
	if g.cfg.noLane {
		return ln
	}
	l, err := g.probes.Lane(ln, probe.IdleTimeout(g.cfg.server.IdleTimeout), probe.HeartbeatLimit(g.cfg.heartbeat))
	if err != nil {
		panic("probelane/middleware: New has let a setting of the lane pass: " + err.Error())
	}
	if s := l.Stats(); !s.On {
		g.log.Info("probes have no lane of their own", "address", s.Addr, "cause", s.Why)
	}
	return g.lanes.add(l)
}

func (l *lanes) add(lane *probe.Lane) *laneListener {
	l.mu.Lock()
	defer l.mu.Unlock()
	ll := &laneListener{lane, l}
	l.open = append(l.open, ll)
	return ll
}

func (l *lanes) remove(ll *laneListener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.open {
		if l.open[i] == ll {
			l.open = append(l.open[:i:i], l.open[i+1:]...)
			return
		}
	}
}

func (l *lanes) stats() []probe.LaneStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stats []probe.LaneStats
	for _, ll := range l.open {
		stats = append(stats, ll.Stats())
	}
	return stats
}

// Close closes the listener and ends the lane.
func (ll *laneListener) Close() error {
	ll.lanes.remove(ll)
	return ll.Lane.Close()
}

var _ server.AheadListener = (*laneListener)(nil)

// ReadAhead is called in place of Accept. Whoever embeds a lane to have an Accept of
// its own has no such method.
func (ll *laneListener) ReadAhead() (c net.Conn, ahead []byte, err error) {
	return ll.Lane.AcceptAhead()
}

// UnderTLS is called by internal/server.
func (ll *laneListener) UnderTLS() {
	ll.Disable("TLS is spoken on its connections; the handler alone answers probes")
}
