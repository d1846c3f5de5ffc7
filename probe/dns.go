package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// DNS returns a check that passes if the resolver finds at least one address of
// the host. A nil resolver is net.DefaultResolver, and so what the service
// itself resolves names with: /etc/hosts and the search domains included,
// unless the name ends in a dot. A lookup ends with the check's [Timeout]; that
// its context is cancelled before, Go's resolver does not notice.
func DNS(resolver *net.Resolver, host string) func(context.Context) error {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return mistaken(fmt.Errorf("probe: DNS(%q): use a name; nobody needs to be asked for this", host))
	}
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	return func(ctx context.Context) error {
		if _, err := resolver.LookupHost(ctx, host); err != nil {
			return fmt.Errorf("probe: %w", err) // it says "lookup", the name and the server
		}
		return nil
	}
}
