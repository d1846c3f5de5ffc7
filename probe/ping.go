package probe

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Pinger is what [Ping] asks: *sql.DB, *sql.Conn and many clients of databases.
type Pinger interface {
	PingContext(ctx context.Context) error
}

// pingTries: database/sql does not repeat a ping that met a connection which its
// server has closed, as it does for queries, but drops the connection. It keeps
// two idle ones unless told otherwise; the third ping makes a new one.
const pingTries = 3

// Ping returns a check that passes if PingContext does. Up to two pings that met
// a connection which was closed while it was idle, as after the database's
// restart, are repeated.
//
// A *sql.DB takes a connection of its pool for it and gives it back. Two things
// to know: while all of MaxOpenConns are in use the ping waits for one, and a
// service that is merely busy may fail for it, so give the check a
// [FailureThreshold]. And a driver without driver.Pinger says no more than that
// there is a connection; then check with a query of your own.
func Ping(p Pinger) func(context.Context) error {
	if p == nil {
		return mistaken(errors.New("probe: Ping(nil): pass what is to be asked, a *sql.DB for instance"))
	}
	return func(ctx context.Context) error {
		var err error
		for range pingTries {
			if err = p.PingContext(ctx); err == nil {
				return nil
			}
			if !errors.Is(err, driver.ErrBadConn) {
				break
			}
		}
		return fmt.Errorf("probe: ping: %w", err)
	}
}
