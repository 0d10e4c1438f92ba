package bulk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// watched opens a job whose journal is flushed by a function.
func watched(t *testing.T, o Options, flush func() error) *Job {
	t.Helper()
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // whose flush may fail
	j.journal.flush = flush
	return j
}

// No more results are told of than the journal had when it was flushed, the last ones are told of in the end, and what a
// job that is opened again has is no less.
func TestKept(t *testing.T) {
	o := options(file(t, t.TempDir(), some(200)...))
	var flushed, kept atomic.Int64
	o.Kept = func(c Counts) {
		n := c.Completed + c.Failed
		if n > flushed.Load() || n < kept.Load() {
			t.Errorf("%d results are told of after %d, when %d were flushed", n, kept.Load(), flushed.Load())
		}
		kept.Store(n)
	}
	w := &echo{stop: 90, fail: errors.New("enough")}
	var j *Job
	j = watched(t, o, func() error {
		data, err := os.ReadFile(filepath.Join(o.Dir, journalName))
		n := int64(bytes.Count(data, []byte{'\n'}))
		flushed.Store(n)
		for n < 50 && j.Counts().Completed+j.Counts().Failed <= n { // others come meanwhile, and are not flushed
		}
		return err
	})
	w.wait = func(n int) {
		if n == 60 { // until a flush told of some
			for kept.Load() < 10 {
			}
		}
	}
	if err := j.Run(t.Context(), w, NewBudget(8, 1<<14), nil); !errors.Is(err, w.fail) {
		t.Fatal(err)
	}
	c := j.Counts()
	if n := kept.Load(); n != c.Completed+c.Failed || n < 80 {
		t.Errorf("want all results told of in the end, got %d of %+v", n, c)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Counts(); got != c {
		t.Errorf("want %+v, got %+v", c, got)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// Results that a disk does not take are told of to nobody, and the job stops with its error, also where all that is left
// are answers that take long.
func TestKeptFails(t *testing.T) {
	o := options(file(t, t.TempDir(), some(50)...))
	o.Kept = func(c Counts) { t.Errorf("%+v is told of", c) }
	broken := errors.New("the disk is broken")
	var asked sync.WaitGroup
	j := watched(t, o, func() error {
		asked.Wait()
		return broken
	})
	asked.Add(int(j.Input().Items - j.Input().Bad))
	w := worker(func(ctx context.Context, _ *Request) (Answer, error) {
		asked.Done()
		<-ctx.Done()
		return Answer{}, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := j.Run(ctx, w, NewBudget(1<<20, 1<<40), nil); !errors.Is(err, broken) {
		t.Errorf("want %v, got %v", broken, err)
	}
	if err := j.journal.add(0, failed, []byte("{}")); !errors.Is(err, broken) {
		t.Errorf("want nothing added behind what may be lost, got %v", err)
	}
}

// worker answers by a function.
type worker func(ctx context.Context, r *Request) (Answer, error)

func (w worker) Do(ctx context.Context, r *Request) (Answer, error) { return w(ctx, r) }
