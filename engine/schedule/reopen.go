package schedule

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// reopener is an engine whose device is opened anew when it is lost. It belongs to the scheduler's goroutine.
type reopener struct {
	runner
	door   *door // which is told how often the device was opened, and that it was given up
	losses int   // since a pass, a burst or a copy of a state succeeded
}

// mostLosses is how many losses of the device in a row may be chance.
const mostLosses = 4

// lost reports whether an error means that the device has to be opened anew.
func lost(err error) bool {
	return errors.Is(err, engine.ErrDeviceLost) || errors.Is(err, engine.ErrTimeout)
}

// reopen opens a lost device anew. If the device is lost again meanwhile, it tries again. A device that is lost again
// and again with nothing done between, or that cannot be opened, is given up: all jobs end soon, and no new ones are
// taken. reopen returns the error by which all ends then.
func (r *reopener) reopen(loss error) error {
	broken := r.door.failure()
	for broken == nil {
		if r.losses++; r.losses > mostLosses {
			broken = fmt.Errorf("schedule: the device was lost %d times in a row: %w", r.losses, loss)
			break
		}
		err := r.Reopen(context.Background())
		if err == nil {
			r.door.mu.Lock()
			r.door.stats.Reopened++
			r.door.mu.Unlock()
			return nil
		}
		if !lost(err) {
			broken = errors.Join(loss, err)
		}
		loss = err
	}
	r.door.mu.Lock()
	defer r.door.mu.Unlock()
	r.door.broken, r.door.closing = broken, true
	return broken
}

// save starts the copies of states to the host. If the device is lost meanwhile, it is opened anew for another try.
func (r *reopener) save(seqs []*engine.Seq, dst [][]float32) (waiter, error) {
	t, err := r.runner.save(seqs, dst)
	for lost(err) && r.reopen(err) == nil {
		t, err = r.runner.save(seqs, dst)
	}
	return t, err
}

// saveNow copies a state to the host, and waits until it is there. If the device is lost meanwhile, it is opened anew for
// another try.
func (r *reopener) saveNow(seq *engine.Seq, dst []float32) error {
	try := func() error {
		t, err := r.runner.save([]*engine.Seq{seq}, [][]float32{dst})
		if err == nil {
			err = t.Wait()
		}
		return err
	}
	err := try()
	for range mostLosses {
		if !lost(err) {
			break
		}
		if failed := r.reopen(err); failed != nil {
			return failed
		}
		err = try()
	}
	if err == nil {
		r.succeeded()
	}
	return err
}

// succeeded notes that a pass, a burst or a copy of a state has succeeded: the next loss of the device may be chance.
func (r *reopener) succeeded() { r.losses = 0 }
