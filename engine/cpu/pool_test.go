package cpu

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// counted notes how often each unit was done, and whether a unit found one of the task before that was not.
type counted struct {
	times  []atomic.Int32
	before *counted
	passes int32 // with the present one
	err    error // of unit 7
	early  atomic.Bool
}

func (c *counted) do(_ *worker, from, to int) error {
	if c.before != nil {
		for i := range c.before.times {
			if c.before.times[i].Load() != c.passes {
				c.early.Store(true)
			}
		}
	}
	for i := from; i < to; i++ {
		if c.times[i].Add(1); c.err != nil && i == 7 {
			return c.err
		}
	}
	return nil
}

func countedTasks(sizes ...int) (list []*counted, tasks []*task) {
	var before *counted
	for _, n := range sizes {
		c := &counted{times: make([]atomic.Int32, n), before: before}
		list, before = append(list, c), c
		tasks = append(tasks, &task{job: c, units: int32(n)})
	}
	return list, tasks
}

// Every unit is done once in each pass, behind all of the task before, by any number of workers: also by more than there
// are cores.
func TestPool(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 16} {
		p := newPool(threads)
		list, tasks := countedTasks(1, 100, 3, 0, 1, 1000, 17)
		for pass := range 200 {
			for _, c := range list {
				c.passes++
			}
			if err := p.run(t.Context(), tasks); err != nil {
				t.Fatal(err)
			}
			for i, c := range list {
				for unit := range c.times {
					if n := int(c.times[unit].Load()); n != pass+1 {
						t.Fatalf("%d threads: unit %d of task %d was done %d times in %d passes", threads, unit, i, n, pass+1)
					}
				}
				if c.early.Load() {
					t.Fatalf("%d threads: task %d ran beside the one before", threads, i)
				}
			}
		}
		p.close()
	}
}

// calls is a context that is done after so many looks at it.
type calls struct {
	context.Context
	left int
}

func (c *calls) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// An error ends the pass, and so does the context. The next pass runs whole.
func TestPoolEnds(t *testing.T) {
	want := errors.New("enough")
	for _, threads := range []int{1, 2, 9} {
		p := newPool(threads)
		for range 50 {
			list, tasks := countedTasks(20, 20, 20)
			list[1].err = want
			if err := p.run(t.Context(), tasks); !errors.Is(err, want) {
				t.Fatalf("want the unit's error, got %v", err)
			}
			for unit := range list[2].times {
				if list[2].times[unit].Load() != 0 {
					t.Fatal("the task after an error ran")
				}
			}
			_, tasks = countedTasks(20, 20, 20)
			if err := p.run(&calls{t.Context(), 1}, tasks); !errors.Is(err, context.Canceled) {
				t.Fatalf("want the context's error, got %v", err)
			}
			if list, tasks = countedTasks(20, 20); p.run(t.Context(), tasks) != nil || list[1].times[19].Load() != 1 {
				t.Fatal("the pass after it is not whole")
			}
		}
		p.close()
	}
}
