package flood

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestPacedReaderKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := bytes.NewReader(make([]byte, 1_000_000))
		start := time.Now()
		n, err := io.Copy(io.Discard, struct{ io.Reader }{newPacedReader(t.Context(), src, 500_000)})
		if n != 1_000_000 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
		if got := time.Since(start); got < 1900*time.Millisecond || got > 2100*time.Millisecond {
			t.Errorf("1 MB at 0.5 MB/s took %v, want 2s", got)
		}
	})
}

func TestPacedReaderDoesNotMakeUpForTheServersDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			time.Sleep(time.Minute) // the fake clock's
			w.Write(make([]byte, 500_000))
			w.Close()
		}()
		start := time.Now()
		io.Copy(io.Discard, struct{ io.Reader }{newPacedReader(t.Context(), r, 500_000)})
		if got := time.Since(start) - time.Minute; got < 900*time.Millisecond {
			t.Errorf("after the wait 0.5 MB took %v, want about 1s", got)
		}
	})
}
