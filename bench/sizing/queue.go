package main

import "container/heap"

// clock plays events in the order of their times.
type clock struct {
	now    float64
	events events
	n      int
}

type event struct {
	at float64
	n  int // of events at the same time the first that was set is the first
	do func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	(*e)[len(*e)-1].do = nil
	*e = (*e)[:len(*e)-1]
	return last
}

// after has something happen in some seconds.
func (c *clock) after(seconds float64, do func()) {
	c.n++
	heap.Push(&c.events, event{c.now + seconds, c.n, do})
}

// run plays events until none is left or a time has come.
func (c *clock) run(until float64) {
	for len(c.events) > 0 && c.events[0].at <= until {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.do()
	}
}

// station is a queue with some servers, who take jobs in their order. A share of the time of all servers may be taken by
// work that is always there.
type station struct {
	clock  *clock
	free   []float64 // when each server has done its last job
	always float64   // share of the servers' time that other work takes; what is left serves jobs
	busy   float64   // seconds of servers in jobs
}

func newStation(c *clock, servers int) *station {
	return &station{clock: c, free: make([]float64, servers)}
}

// serve takes a job of some seconds and returns how long it takes from now, with the wait.
func (s *station) serve(seconds float64) float64 {
	i := 0
	for k := range s.free {
		if s.free[k] < s.free[i] {
			i = k
		}
	}
	s.busy += seconds
	s.free[i] = max(s.free[i], s.clock.now) + seconds/max(1-s.always, 1e-3)
	return s.free[i] - s.clock.now
}

// use is the share of the servers' time in jobs and in other work.
func (s *station) use(seconds float64) float64 {
	return s.busy/(seconds*float64(len(s.free))) + s.always
}
