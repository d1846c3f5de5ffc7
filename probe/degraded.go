package probe

// Degraded marks what a check returns as a warning: the check's state is
// [Warn], which [Status], the verbose page and change hooks show, and no
// endpoint fails for it. Thresholds count it as a success.
//
// The mark holds through errors that wrap it. Joined with an error that has no
// mark it is a failure, and so it is in a panic. Degraded(nil) is nil.
func Degraded(err error) error {
	if err == nil {
		return nil
	}
	return &degraded{err}
}

type degraded struct{ err error }

func (d *degraded) Error() string { return d.err.Error() }

func (d *degraded) Unwrap() error { return d.err }

// isDegraded tells whether an error is no worse than a warning. errors.As
// would do, were it not for joined errors and panics.
func isDegraded(err error) bool {
	switch e := err.(type) {
	case *degraded:
		return true
	case *PanicError:
		return false
	case interface{ Unwrap() error }:
		return isDegraded(e.Unwrap())
	case interface{ Unwrap() []error }:
		all := e.Unwrap()
		for _, err := range all {
			if !isDegraded(err) {
				return false
			}
		}
		return len(all) > 0
	}
	return false
}
