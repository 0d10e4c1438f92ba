package schedule

import (
	"errors"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// admit gives slots to waiting jobs, as long as there are free slots or a sequence can be parked. A parked sequence
// joins the queue at the end of admit, so no other is parked for it in the same round. All decoding sequences wait
// meanwhile, so no parking begins after a sixth of the round's time. If somebody else took the slot of a parked
// sequence, the job waits. If there is no memory for more parked states, a parked sequence changes places with a
// resident one, even if other jobs come before it in the queue: these wait for a slot without an owner. A job in the
// background waits for such a slot in any case.
func (s *Scheduler) admit() error {
	start, before := s.now(), len(s.resident)
	defer func() {
		for i, j := range s.lot.arriving {
			s.queue.push(j)
			s.lot.arriving[i] = nil
		}
		s.lot.arriving = s.lot.arriving[:0]
		s.round.admission = s.now().Sub(start)
	}()
	var next *Job // the job for which a sequence was parked
	for s.queue.n > 0 {
		j := next
		if j == nil {
			if j = s.queue.first(); j == nil { // all wait for what others read
				return nil
			}
		}
		err := engine.ErrNoSlot
		if len(s.resident)+s.copies.last < s.size.slots {
			err = s.start(j)
		}
		switch {
		case errors.Is(err, engine.ErrNoSlot) && s.copies.last > 0: // there will be one soon
			return nil
		case errors.Is(err, engine.ErrNoSlot): // our own have them all, or somebody else has some
			some := len(s.resident) > before || len(s.lot.arriving) > 0
			if next != nil || some && s.now().Sub(start) >= s.share()/6 {
				return nil
			}
			if next = s.exchange(); next == nil {
				return nil
			}
			if parked, err := s.park(); !parked || err != nil {
				return err
			}
			continue
		case lost(err):
			return err
		}
		next = nil
		s.queue.take(j)
		if err != nil {
			s.finish(j, err)
		}
	}
	return nil
}

// start gives a job a slot with its state.
func (s *Scheduler) start(j *Job) error {
	seq, tokens, err := j.seat(&s.run)
	if err != nil {
		return err
	}
	j.seq, j.at.turn = seq, 0
	if j.state != nil {
		s.lot.unpark(j)
	}
	if !j.begun {
		if err := j.begin(tokens); err != nil {
			s.run.release(seq)
			j.seq = nil
			return err
		}
		s.door.mu.Lock()
		*s.door.waiting.of(j.Standing)--
		s.door.mu.Unlock()
		j.c = engine.Continuation{Sampler: j.Sampler, Ends: j.Ends, Logprobs: j.Logprobs, Top: j.Top}
		s.lot.joined(j)
	}
	j.c.Seq = seq
	s.resident = append(s.resident, j)
	return nil
}

// begin notes that the state has seen the first tokens of the prompt. They count for penalties too.
func (j *Job) begin(tokens int) error {
	if j.Penal {
		if err := j.Sampler.AcceptPrompt(j.Prompt[:tokens]); err != nil {
			return err
		}
	}
	j.begun, j.at.cached, j.at.fed = true, tokens, tokens
	for j.at.marked < len(j.Marks) && j.Marks[j.at.marked] <= tokens {
		j.at.marked++
	}
	return nil
}

// exchange returns the job for which a sequence may be parked: the first of the queue or, if there is no memory for
// more parked states, the first parked one, whose memory becomes free. It returns nil for none. A user of whom nothing
// is resident or parked does not wait for those who have all the memory, and nobody waits for what is in the background:
// there is some more memory for that.
func (s *Scheduler) exchange() *Job {
	if s.options.Parked < 0 {
		return nil
	}
	most := s.options.Parked + s.lot.extra
	if s.lot.parked < most {
		s.lot.extra = max(s.lot.parked-s.options.Parked, 0)
		most = s.options.Parked + s.lot.extra
	}
	first := s.queue.first()
	switch {
	case first.Background:
		return nil
	case s.lot.parked < most:
		return first
	case s.lot.parked > most:
		return nil // the job parked last has no slot yet
	case s.lot.extra < s.size.slots && (slices.ContainsFunc(s.resident, background) || s.queue.newcomer(first.User, s.resident)):
		s.lot.extra++
		return first
	}
	return s.queue.parked()
}

// background reports whether nobody waits for a job.
func background(j *Job) bool { return j.Background }

// parks returns the resident to be parked for a job that somebody waits for, -1 for none: of those in the background,
// else of those that have had enough tokens since they got their slot, the one that has had the most.
func (s *Scheduler) parks() int {
	at := -1
	for i, j := range s.resident {
		switch {
		case !j.Background && j.at.turn < s.options.Quantum:
		case at >= 0 && s.resident[at].Background && !j.Background:
		case at < 0 || j.Background && !s.resident[at].Background || j.at.turn > s.resident[at].at.turn:
			at = i
		}
	}
	return at
}

// park frees a slot, if there is one to be freed.
func (s *Scheduler) park() (bool, error) {
	at := s.parks()
	if at < 0 {
		return false, nil
	}
	j := s.resident[at]
	state := s.lot.memory(s.run.stateLen())
	if err := s.run.saveNow(j.seq, state); err != nil {
		s.lot.idle = append(s.lot.idle, state)
		if lost(err) {
			return false, err
		}
		return false, nil // no memory for the way, or nothing to save: it stays where it is
	}
	s.run.release(j.seq)
	j.seq, j.state = nil, state
	s.lot.parked++
	s.resident = append(s.resident[:at], s.resident[at+1:]...)
	s.lot.arriving = append(s.lot.arriving, j)
	s.door.mu.Lock()
	s.door.stats.Parkings++
	s.door.mu.Unlock()
	return true, nil
}

// memory returns memory for a state.
func (l *lot) memory(stateLen int) []float32 {
	if n := len(l.idle); n > 0 {
		state := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return state
	}
	return make([]float32, stateLen)
}

// unpark gives back the memory of a job's parked state.
func (l *lot) unpark(j *Job) {
	l.idle = append(l.idle, j.state)
	j.state = nil
	l.parked--
}

// trouble handles an error that is not one job's. A lost device is opened anew, and all jobs go on; if that fails, all
// end. After any other error, for example of memory, the jobs in slots end.
func (s *Scheduler) trouble(err error) {
	if lost(err) {
		if s.run.reopen(err) != nil {
			s.door.arrive(&s.queue)
			s.leave()
		}
		return
	}
	s.retain(func(j *Job) (bool, error) {
		if j.c.Over { // it came to its end before
			return false, j.outcome()
		}
		return false, err
	})
}
