package schedule

import (
	"context"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// mostSteps is the most steps of a burst for which nobody waits.
const mostSteps = 32

// slotsLookedAt is how often the scheduler looks for a free slot if there is nothing else to do.
const slotsLookedAt = 10 * time.Millisecond

// loop is the scheduler's goroutine.
func (s *Scheduler) loop() {
	defer close(s.door.stopped)
	for s.cycle() {
	}
	s.copies.underWay.Wait()
}

// cycle does one round, and reports whether there is another.
func (s *Scheduler) cycle() (more bool) {
	closing := s.door.arrive(&s.queue)
	parted := s.part()
	s.lot.receive()
	s.leave()
	err := s.admit()
	if err != nil {
		s.trouble(err)
	}
	s.lend()
	s.copy()
	s.door.note(s.resident, s.lot.parked)
	if len(s.resident) == 0 {
		switch {
		case s.queue.n > 0 && err == nil: // somebody else has all slots, and tells nobody when one is free
			select {
			case <-s.door.wake:
			case <-time.After(slotsLookedAt):
			}
		case s.queue.n > 0: // the device is there again
		case closing && s.copies.last == 0:
			return false
		case parted: // who waits for that looks again
		default:
			<-s.door.wake
		}
		return true
	}
	s.draw()
	if err := s.read(); err != nil {
		s.trouble(err)
	}
	s.copy()
	return true
}

// leave ends the jobs that have to end before their time.
func (s *Scheduler) leave() {
	s.door.mu.Lock()
	all := s.door.broken
	if all == nil && s.door.aborting {
		all = ErrClosed
	}
	s.door.mu.Unlock()
	why := func(j *Job) error {
		if all != nil {
			return all
		}
		return j.over()
	}
	s.queue.remove(func(j *Job) bool {
		err := why(j)
		if err != nil {
			s.finish(j, err)
		}
		return err != nil
	})
	s.retain(func(j *Job) (bool, error) {
		if j.c.Over { // it came to its end before
			return false, j.outcome()
		}
		err := why(j)
		return err == nil, err
	})
}

// retain keeps the residents for which keep returns true, and ends the others with keep's error.
func (s *Scheduler) retain(keep func(*Job) (bool, error)) {
	kept := s.resident[:0]
	for _, j := range s.resident {
		if stays, err := keep(j); !stays {
			s.finish(j, err)
			continue
		}
		kept = append(kept, j)
	}
	clear(s.resident[len(kept):])
	s.resident = kept
}

// finish ends a job, wherever it is. If its last state is to be kept, the job ends when that is copied.
func (s *Scheduler) finish(j *Job, err error) {
	if err == nil || err == j.over() || err == ErrClosed { //nolint:errorlint // what the scheduler itself ends a job by
		if copying, failed := s.copies.add(j, s.run.stateLen(), true); copying {
			j.err = err
			return
		} else if failed != nil {
			err = failed
		}
	}
	s.end(j, err)
}

// end gives back the job's slot and memory, and tells that the job is done.
func (s *Scheduler) end(j *Job, err error) {
	if j.seq != nil {
		s.run.release(j.seq)
		j.seq = nil
	}
	if j.state != nil {
		s.lot.unpark(j)
	}
	s.lot.parted(j)
	s.door.mu.Lock()
	if !j.begun {
		*s.door.waiting.of(j.Standing)--
	}
	s.door.stats.Done++
	s.door.stats.Drawn += j.at.drawn - j.at.counted
	s.door.mu.Unlock()
	j.unwatch()
	j.err = err
	j.let()
}

// classes are the values of Standing.Background, in the order of their turns.
var classes = [...]bool{false, true}

// draw draws the next tokens of the decoding sequences, as many of them as fit a pass.
func (s *Scheduler) draw() {
	s.round.list, s.round.drawing = s.round.list[:0], s.round.drawing[:0]
	reading := false
	for _, behind := range classes {
		for _, j := range s.resident {
			switch {
			case j.Background != behind:
			case j.reading():
				reading = true
			case len(s.round.list) < s.size.seqs:
				s.round.list, s.round.drawing = append(s.round.list, j.c), append(s.round.drawing, j)
			}
		}
	}
	if len(s.round.list) == 0 {
		return
	}
	s.resident = s.round.behind(s.resident, s.round.drawing)
	most := mostSteps
	if reading || s.queue.n > 0 {
		most = s.round.pace.Steps(s.share())
	}
	for _, j := range s.round.drawing { // what is drawn past an end costs passes that take it back
		most = min(most, j.Max-j.at.drawn)
	}
	start := s.now()
	steps, err := s.burst(most)
	took := s.now().Sub(start)
	if s.round.burst = took; steps > 0 {
		s.run.succeeded()
		s.round.pace.Burst(len(s.round.list), steps, took)
	}
	for i, j := range s.round.drawing {
		j.c = s.round.list[i]
		if len(j.forced.left()) == 0 { // else the draft left some unfed
			j.force(j.c.Token)
		}
	}
	s.door.mu.Lock()
	s.door.stats.LongestBurst = max(s.door.stats.LongestBurst, took)
	s.door.mu.Unlock()
	if err != nil { // what was drawn before counts
		s.trouble(err)
	}
	for _, j := range s.round.drawing {
		j.keepDrawn()
	}
	s.copy() // before what is forced is fed
	s.retain(func(j *Job) (bool, error) { return !j.c.Over, j.outcome() })
}

// keepDrawn asks the job whether its state is to be kept, if enough tokens were drawn since the last time.
func (j *Job) keepDrawn() {
	since := j.seen() - max(j.at.kept, len(j.Prompt))
	if j.Every == 0 || since < j.Every || j.c.Over || j.seq == nil {
		return
	}
	if _, err := j.s.copies.add(j, j.s.run.stateLen(), false); err != nil {
		j.c.Err, j.c.Over = err, true
	}
}

// share returns how long a round, a burst and a piece of prompts, may take, so that all decoding sequences have their
// turn in time.
func (s *Scheduler) share() time.Duration {
	drawing := 0
	for _, j := range s.resident {
		if !j.reading() {
			drawing++
		}
	}
	return s.options.Latency / time.Duration(max((drawing+s.size.seqs-1)/s.size.seqs, 1))
}

// outcome returns the error of a sequence that is over.
func (j *Job) outcome() error {
	if j.c.Err != nil {
		return j.c.Err
	}
	return j.over()
}

// drawn tells a job of its token.
func (r *round) drawn(i, id int) (more bool) {
	c := &r.list[i]
	return r.drawing[i].tell(Token{id, c.Logprob, c.Alternatives})
}

// read feeds a piece of the prompts, in the time for which tokens of others may wait.
func (s *Scheduler) read() error {
	s.round.rows, s.round.feeding = s.round.rows[:0], s.round.feeding[:0]
	front, readers := 0, 0 // the first are those that somebody waits for
	for _, j := range s.resident {
		if j.reading() {
			if readers++; !j.Background {
				front++
			}
		}
	}
	if readers == 0 {
		return nil
	}
	beside := readers < len(s.resident)
	tokens := s.size.chunk
	if beside {
		round := s.share()
		tokens = s.round.pace.Tokens(min(round/3, round-s.round.admission-s.round.burst-round/6), s.size.chunk)
	}
	left := tokens
	for _, behind := range classes {
		these := front
		if behind {
			these = readers - front
		}
		share := max((left+these-1)/max(these, 1), 1)
		for _, j := range s.resident {
			if j.Background != behind || !j.reading() || left == 0 || len(s.round.rows) == s.size.seqs {
				continue
			}
			n := j.piece(min(share, left))
			s.round.rows, s.round.feeding = append(s.round.rows, j.row(n)), append(s.round.feeding, j)
			left -= n
		}
	}
	start := s.now()
	if err := s.run.Pass(context.Background(), s.round.rows); err != nil {
		return err
	}
	s.run.succeeded()
	took, fed := s.now().Sub(start), 0
	for i := range s.round.rows {
		fed += s.round.rows[i].Taken
		s.round.feeding[i].took(&s.round.rows[i])
	}
	if fed == tokens {
		s.round.pace.Learn(fed, took)
	}
	s.door.mu.Lock()
	if s.door.stats.Fed += fed; beside {
		s.door.stats.LongestPiece = max(s.door.stats.LongestPiece, took)
	}
	s.door.mu.Unlock()
	s.resident = s.round.behind(s.resident, s.round.feeding)
	s.copy() // before a job ends at a mark, which gives its slot to another
	s.retain(func(j *Job) (bool, error) { return !j.c.Over, j.outcome() })
	return nil
}

// took notes what became of a piece of the job's prompt, or of what was forced.
func (j *Job) took(r *engine.Row) {
	if j.prompting() {
		j.at.fed += r.Taken
		j.at.turn += r.Taken
	} else {
		j.forced.fed += r.Taken
	}
	if j.c.Err = r.Err; r.Err != nil {
		j.c.Over = true
		return
	}
	j.goOn(r)
	if j.at.marked == len(j.Marks) || j.Marks[j.at.marked] != j.at.fed || j.c.Over && j.c.Err == nil {
		return // the state at the job's end is asked for when it ends
	}
	j.at.marked++
	if _, err := j.s.copies.add(j, j.s.run.stateLen(), false); err != nil && j.c.Err == nil {
		j.c.Err, j.c.Over = err, true
	}
}

// goOn goes on behind a piece of the job's prompt, or of what was forced.
func (j *Job) goOn(r *engine.Row) {
	switch {
	case j.reading():
	case j.forced.last || j.Max == 0:
		j.c.Over = true
	case r.ID < 0: // the first token is forced
		j.force()
	default:
		j.c.Token, j.c.Alternatives = r.ID, r.Alternatives
		j.c.Over = !j.tell(Token{r.ID, r.Logprob, r.Alternatives})
		j.force(r.ID)
	}
}

// behind returns the residents with some of them moved, in their order, behind the others, who have the next turn. It
// reuses the memory of residents.
func (r *round) behind(residents, list []*Job) []*Job {
	r.number++
	for _, j := range list {
		j.at.served = r.number
	}
	rest := residents[:0]
	for _, j := range residents {
		if j.at.served != r.number {
			rest = append(rest, j)
		}
	}
	return append(rest, list...)
}
