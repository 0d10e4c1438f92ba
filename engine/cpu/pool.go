package cpu

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
)

// job is a number of units of work that workers share, in any order.
type job interface {
	// do works on the units [from, to).
	do(w *worker, from, to int) error
}

// worker is a goroutine that does units, with what it needs for that: kernels' descriptions and memory of its own.
type worker struct {
	work  []float32
	shift kernel.ShiftMix
	wkv4  kernel.WKV4
	wkv6  kernel.WKV6
	wkv7  kernel.WKV7

	wake chan struct{}
}

// task is a job under way.
type task struct {
	job   job
	units int32

	next     atomic.Int32 // unit that nobody has taken
	finished atomic.Int32
	_        [32]byte // another task's counters lie in another line of the cache
}

// take returns units that the caller is to do, none if all are taken. First it gives many at once, and few at the end,
// so that workers become ready at the same time.
func (t *task) take(workers int) (from, to int) {
	for {
		next := t.next.Load()
		left := t.units - next
		if left <= 0 {
			return 0, 0
		}
		n := max(left/int32(2*workers), 1)
		if t.next.CompareAndSwap(next, next+n) {
			return int(next), int(next + n)
		}
	}
}

// pool has the workers of an Exec. The first one is whoever calls run.
type pool struct {
	workers []*worker
	ended   sync.WaitGroup

	tasks  []*task // of the pass
	failed atomic.Bool
	mu     sync.Mutex
	err    error // the first one

	// inside is how many of the other workers are in the pass, and closed while they may not enter.
	inside atomic.Int32
}

const closed = 1 << 30

// newPool starts the goroutines of all workers but the first.
func newPool(threads int) *pool {
	p := &pool{workers: make([]*worker, threads)}
	p.inside.Store(closed)
	for i := range p.workers {
		p.workers[i] = &worker{wake: make(chan struct{}, 1)}
		if i > 0 {
			p.ended.Add(1)
			go p.serve(p.workers[i])
		}
	}
	return p
}

// close ends the workers.
func (p *pool) close() {
	for _, w := range p.workers {
		close(w.wake)
	}
	p.ended.Wait()
}

// serve does a worker's part of each pass for which it is awake in time.
func (p *pool) serve(w *worker) {
	defer p.ended.Done()
	for range w.wake {
		if p.enter() {
			for _, t := range p.tasks {
				if !p.part(w, t) {
					break
				}
			}
			p.inside.Add(-1)
		}
	}
}

// enter reports whether a pass is under way, which the caller is then in.
func (p *pool) enter() bool {
	for {
		n := p.inside.Load()
		if n >= closed {
			return false
		}
		if p.inside.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// run does all tasks, one after the other. It looks at ctx before each. It returns when no worker is in the pass.
func (p *pool) run(ctx context.Context, tasks []*task) error {
	shared := false
	for _, t := range tasks {
		t.next.Store(0)
		t.finished.Store(0)
		shared = shared || t.units > 1
	}
	p.tasks, p.err = tasks, nil
	p.failed.Store(false)
	if shared {
		p.inside.Store(0)
		for _, w := range p.workers[1:] {
			select {
			case w.wake <- struct{}{}:
			default: // it has yet to wake for an earlier pass
			}
		}
	}
	for _, t := range tasks {
		if err := ctx.Err(); err != nil {
			p.fail(err)
		}
		if !p.part(p.workers[0], t) {
			break
		}
	}
	if shared {
		for i, n := 0, p.inside.Add(closed); n != closed; i, n = i+1, p.inside.Load() {
			pause(i) // they leave: nothing is left to do but the units of a pass that failed
		}
	}
	return p.err
}

// part does units of a task until there are none, and waits until all are done. It reports whether the pass goes on.
func (p *pool) part(w *worker, t *task) bool {
	for !p.failed.Load() {
		from, to := t.take(len(p.workers))
		if from == to {
			return p.wait(t)
		}
		if err := t.job.do(w, from, to); err != nil {
			p.fail(err)
			return false
		}
		t.finished.Add(int32(to - from))
	}
	return false
}

// fail ends the pass.
func (p *pool) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	p.failed.Store(true)
}

const (
	spins  = 1 << 13 // some microseconds: longer than most units take
	yields = 1 << 10
)

// pause passes the time before the next look at what others do; i looks were in vain. Most work is done at once. Who
// waits long leaves the core to whoever needs it: perhaps to the worker that is waited for.
func pause(i int) {
	switch {
	case i < spins:
	case i < spins+yields:
		runtime.Gosched()
	default:
		time.Sleep(50 * time.Microsecond)
	}
}

// wait waits for the units of a task that others do. It reports whether the pass goes on.
func (p *pool) wait(t *task) bool {
	for i := 0; t.finished.Load() < t.units; i++ {
		if p.failed.Load() {
			return false
		}
		pause(i)
	}
	return true
}
