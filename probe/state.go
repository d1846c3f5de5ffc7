package probe

// State is what is known of a check. Its texts are those of the draft for
// application/health+json:
// https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
type State uint8

const (
	// Pass: the check found nothing wrong.
	Pass State = iota
	// Warn: the check is degraded, see [Degraded]. No endpoint fails for it.
	Warn
	// Fail: the endpoints that the check belongs to fail.
	Fail

	states = iota // how many there are
)

// String returns "pass", "warn" or "fail".
func (s State) String() string { return [states]string{"pass", "warn", "fail"}[s] }
