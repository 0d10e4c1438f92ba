package hostdraw

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel runs a function for some numbers at once, on as many goroutines as there are cores. Starting them allocates
// nothing.
type parallel struct {
	each func(i int)
	work func() // the method take, made once
	n    int
	next atomic.Int64
	wg   sync.WaitGroup
}

// start begins to call each for the numbers below n, in goroutines of their own.
func (p *parallel) start(n int) {
	p.set(n)
	p.spawn(n)
}

// run calls each for the numbers below n, the caller being one of those who do, and returns when that is done.
func (p *parallel) run(n int) {
	p.set(n)
	p.spawn(n - 1)
	p.take()
	p.wait()
}

// wait returns when all that was started is done.
func (p *parallel) wait() { p.wg.Wait() }

func (p *parallel) set(n int) {
	if p.work == nil {
		p.work = func() {
			defer p.wg.Done()
			p.take()
		}
	}
	p.n = n
	p.next.Store(0)
}

// spawn starts goroutines for so many numbers.
func (p *parallel) spawn(n int) {
	for range min(n, runtime.GOMAXPROCS(0)) {
		p.wg.Add(1)
		go p.work()
	}
}

// take calls each for the next numbers until there are no more.
func (p *parallel) take() {
	for i := int(p.next.Add(1)) - 1; i < p.n; i = int(p.next.Add(1)) - 1 {
		p.each(i)
	}
}
