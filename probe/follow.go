package probe

import "time"

// follow has c told of every change of the answers or of the paths, until the
// function returned is called. c should have room for one: who has not taken
// the last notice yet needs no other.
func (r *Registry) follow(c chan<- struct{}) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.followers == nil {
		r.followers = make(map[chan<- struct{}]struct{})
	}
	r.followers[c] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.followers, c)
	}
}

// notify tells the followers. mu is held, except in New.
func (r *Registry) notify() {
	for c := range r.followers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// changesIn is how long the answers stay as they are if nothing happens.
func (r *Registry) changesIn() time.Duration {
	return max(r.published.Load().until-r.clock(), 0)
}

func (r *Registry) drains() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}
