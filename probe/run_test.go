package probe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestALateResultIsATimeoutWhateverItIs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // its time is over before it returns
	r := &run{ctx: ctx, began: time.Now(), returned: make(chan struct{})}
	r.call(pass)
	if err := r.outcome().err; !errors.Is(err, ErrTimeout) {
		t.Errorf("outcome %v, want ErrTimeout", err)
	}
}

func TestATimelyResultCountsThoughItIsLookedAtLate(t *testing.T) {
	for range 100 { // outcome has two ways to go
		ctx, cancel := context.WithCancel(context.Background())
		r := &run{ctx: ctx, began: time.Now(), returned: make(chan struct{})}
		r.call(pass)
		cancel()
		if err := r.outcome().err; err != nil {
			t.Fatalf("outcome %v, want nil", err)
		}
	}
}

func TestTheContextOfARunEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := checkDefaults(Readiness)
		s.fn = pass
		r := begin(context.Background(), &s)
		synctest.Wait()
		if r.ctx.Err() != context.Canceled {
			t.Errorf("after the run its context says %v, want it canceled: its timer would stay", r.ctx.Err())
		}
	})
}
