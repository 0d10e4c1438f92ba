package schedule

import (
	"fmt"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// copying is a state to be copied to the host.
type copying struct {
	j      *Job
	to     []float32
	kept   func(error)
	last   bool // reports whether the job ends with the copy; the job keeps its slot until then
	opened int  // Stats.Reopened when the copy was started
	err    error
}

// copies are the states to be copied to the host.
type copies struct {
	wanted   []*copying     // not started yet
	last     int            // jobs that end when their copies are there
	underWay sync.WaitGroup // of the goroutines that wait for transfers or tell jobs
}

// add asks a job whether its state, of so many elements, is to be kept, now or at its end, unless it was asked that of
// this state before. It reports whether a copy will be made.
func (x *copies) add(j *Job, stateLen int, last bool) (bool, error) {
	if j.Keep == nil || j.seq == nil && j.state == nil || j.seen() == j.at.kept {
		return false, nil
	}
	j.at.kept = j.seen()
	ask := j.Keep
	if !last && j.at.kept > len(j.Prompt) && j.Within != nil {
		ask = j.Within
	}
	to, kept := ask(j.at.kept)
	if to == nil {
		return false, nil
	}
	if kept == nil {
		kept = func(error) {}
	}
	if len(to) != stateLen {
		err := fmt.Errorf("schedule: keep: want a state of %d elements, got %d", stateLen, len(to))
		x.tell(j, kept, err)
		return false, err
	}
	if j.seq == nil { // it is parked
		copy(to, j.state)
		x.tell(j, kept, nil)
		return false, nil
	}
	x.wanted = append(x.wanted, &copying{j: j, to: to, kept: kept, last: last})
	if last {
		x.last++
	} else {
		j.holds.Add(1)
	}
	return true, nil
}

// tell tells a job what became of a state. Since the job's function may take its time, a goroutine of its own calls it.
func (x *copies) tell(j *Job, kept func(error), err error) {
	j.holds.Add(1)
	x.underWay.Add(1)
	go func() {
		defer x.underWay.Done()
		kept(err)
		j.let()
	}()
}

// copy starts the wanted copies, in as few transfers as possible: a transfer has each sequence once. No pass waits for
// them.
func (s *Scheduler) copy() {
	for len(s.copies.wanted) > 0 {
		var now, later []*copying
		for _, c := range s.copies.wanted {
			if slices.ContainsFunc(now, func(o *copying) bool { return o.j == c.j }) {
				later = append(later, c)
			} else {
				now = append(now, c)
			}
		}
		s.copies.wanted = later
		s.transfer(now)
	}
}

// transfer starts the copies of some sequences.
func (s *Scheduler) transfer(list []*copying) {
	var seqs []*engine.Seq
	var dst [][]float32
	for _, c := range list {
		seqs, dst = append(seqs, c.j.seq), append(dst, c.to)
	}
	t, err := s.run.save(seqs, dst)
	for _, c := range list {
		c.opened = s.door.opened()
	}
	s.copies.underWay.Add(1)
	go func() {
		defer s.copies.underWay.Done()
		if err == nil {
			err = t.Wait()
		}
		for _, c := range list {
			if c.err = err; !c.last || !lost(err) { // whether one at a job's end is tried again is the scheduler's matter
				s.copies.tell(c.j, c.kept, err)
			}
			if c.last {
				s.door.ended(c)
			} else {
				c.j.let()
			}
		}
		s.door.poke()
	}()
}

// part ends the jobs whose last states are copied, and reports whether there were any. A copy that failed with the
// device is made again when the device is open again.
func (s *Scheduler) part() bool {
	s.door.mu.Lock()
	list := s.door.copied
	s.door.copied = nil
	s.door.mu.Unlock()
	for _, c := range list {
		if lost(c.err) {
			if c.opened == s.door.opened() {
				_ = s.run.reopen(c.err) // by which all end, soon
			}
			if s.door.failure() == nil {
				s.copies.wanted = append(s.copies.wanted, c)
				continue
			}
			s.copies.tell(c.j, c.kept, c.err)
		} else if c.err == nil {
			s.run.succeeded()
		}
		s.copies.last--
		s.end(c.j, c.j.err)
	}
	return len(list) > 0
}
