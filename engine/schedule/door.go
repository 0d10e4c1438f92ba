package schedule

import "sync"

// door is where requests come in, and where their counts are read.
type door struct {
	wake    chan struct{} // full when there is something to look at
	stopped chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex
	incoming []*Job
	waiting  waiting
	closing  bool  // no new requests
	aborting bool  // the ones there are end too
	broken   error // after which nothing goes on
	stats    Stats
	copied   []*copying // that are there, or failed, and were the last of their jobs
}

// waiting counts requests without a turn yet.
type waiting struct{ front, background int }

// of returns the count to which a request belongs.
func (w *waiting) of(s Standing) *int {
	if s.Background {
		return &w.background
	}
	return &w.front
}

// poke makes the goroutine look again.
func (d *door) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// opened returns how often the device was opened anew.
func (d *door) opened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats.Reopened
}

// failure returns by what nothing goes on, or nil.
func (d *door) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.broken
}

// arrive puts the new requests into the queue, and reports whether no more will come.
func (d *door) arrive(q *queue) (closing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, j := range d.incoming {
		q.push(j)
		d.incoming[i] = nil
	}
	d.incoming = d.incoming[:0]
	return d.closing
}

// ended hands over a copy at a job's end that is there or failed.
func (d *door) ended(c *copying) {
	d.mu.Lock()
	d.copied = append(d.copied, c)
	d.mu.Unlock()
}

// note updates Stats by the jobs in slots and the number of parked states.
func (d *door) note(residents []*Job, parked int) {
	drawn := 0
	for _, j := range residents {
		drawn += j.at.drawn - j.at.counted
		j.at.counted = j.at.drawn
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Resident, d.stats.Parked = len(residents), parked
	d.stats.Drawn += drawn
}
