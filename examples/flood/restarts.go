package flood

import "time"

// Kubelet's defaults for a liveness probe.
const (
	kubeletPeriod    = 10 * time.Second
	kubeletThreshold = 3
)

// TimeScale is how many times longer a flood a short run stands for when its
// restarts are counted. A run of ten seconds is one period of kubelet's, too
// short to fail three times; looked at as a hundred seconds it has ten periods.
const TimeScale = 10

// Restarts tells how often kubelet would have restarted the server, had the
// flood lasted TimeScale times as long: it takes one probe per scaled period
// (10 s / TimeScale), counts a restart for every three failures in a row, and
// begins anew after each. Which probe of a period kubelet would have sent is
// chance, so all choices are counted and their average is returned.
func Restarts(probes []Probe, every time.Duration) float64 {
	if every <= 0 || len(probes) == 0 {
		return 0
	}
	stride := max(int(kubeletPeriod/TimeScale/every), 1)
	total := 0
	for phase := range stride {
		failed := 0
		for i := phase; i < len(probes); i += stride {
			if probes[i].OK() {
				failed = 0
			} else if failed++; failed == kubeletThreshold {
				total++
				failed = 0
			}
		}
	}
	return float64(total) / float64(stride)
}
