package schedule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// fork is the reading of a prompt that several jobs have. One of them, the reader, reads all of it but the last token,
// and the others begin with its state there. The last token is fed to each job, since each draws behind it.
//
// The others get copies of the reader's slot while there are free slots. If there are not enough, the state is copied to
// the host, and the rest begin with that when their turn comes. A reader that ends before its time, or a copy that fails,
// makes the next job the reader.
type fork struct {
	reader *Job       // nil where nobody reads for others
	rest   int        // jobs that have not begun and have not ended
	state  []float32  // before the last token, on the host; nil for none
	moved  chan error // receives what came of the copy to the host; nil unless it is on its way
}

// there reports whether the reader's state is the one that the others begin with.
func (f *fork) there() bool { return f.reader != nil && f.reader.at.fed == len(f.reader.Prompt)-1 }

// ready reports whether a job may have a slot. One that waits for what another reads may not.
func (j *Job) ready() bool {
	f := j.fork
	return f == nil || j.begun || f.moved == nil && (f.reader == nil || f.there())
}

// forks returns how many tokens the job may feed before others begin with its state; 0 if none wait for that.
func (j *Job) forks() int {
	if f := j.fork; f != nil && f.reader == j && f.rest > 0 {
		return len(j.Prompt) - 1 - j.at.fed
	}
	return 0
}

// seat takes a slot for a job, with the state that the job begins or goes on with. Of a job that begins, it returns how
// many tokens of the prompt that state has seen.
func (j *Job) seat(run runner) (seq *engine.Seq, tokens int, err error) {
	f := j.fork
	switch {
	case j.state != nil:
		seq, err = run.NewSeq(j.state)
		return seq, 0, err
	case f != nil && f.there():
		seq, err = f.copy(run)
		if err == nil || lost(err) || errors.Is(err, engine.ErrNoSlot) {
			return seq, len(j.Prompt) - 1, err
		}
		f.reader = nil // which has lost its state, as its own next pass will find
	case f != nil && f.state != nil:
		seq, err = run.NewSeq(f.state)
		return seq, len(j.Prompt) - 1, err
	}
	begin := Beginning{State: j.State}
	if j.Begin != nil {
		if begin = j.Begin(); begin.Done != nil {
			defer begin.Done()
		}
		if begin.Tokens < 0 || begin.Tokens >= len(j.Prompt) {
			return nil, 0, fmt.Errorf("schedule: beginning: want 0 to %d tokens, got %d", len(j.Prompt)-1, begin.Tokens)
		}
	}
	seq, err = run.NewSeq(begin.State)
	return seq, begin.Tokens, err
}

// copy takes a slot with the reader's state.
func (f *fork) copy(run runner) (*engine.Seq, error) {
	if f.reader.state != nil { // it is parked
		return run.NewSeq(f.reader.state)
	}
	return run.Fork(f.reader.seq)
}

// joined notes that a job that has others of the same prompt has begun.
func (l *lot) joined(j *Job) {
	f := j.fork
	if f == nil {
		return
	}
	if f.rest--; f.reader == nil && f.state == nil {
		f.reader = j
	}
	l.forget(f)
}

// parted notes that a job has ended, before it began or later.
func (l *lot) parted(j *Job) {
	f := j.fork
	if f == nil {
		return
	}
	if !j.begun {
		f.rest--
	}
	if f.reader == j {
		f.reader = nil
	}
	l.forget(f)
}

// forget gives back the memory of a state that nobody waits for.
func (l *lot) forget(f *fork) {
	if f.rest == 0 && f.state != nil && f.moved == nil {
		l.idle = append(l.idle, f.state)
		f.state = nil
		l.forked--
	}
}

// lend has the readers go on whose state others begin with, and who have none left to give a slot to. If some others are
// left, the state is copied to the host for them. Without memory for it, the next of them reads the prompt anew.
func (s *Scheduler) lend() {
	for _, j := range s.resident {
		f := j.fork
		if f == nil || f.reader != j || !f.there() {
			continue
		}
		if f.reader = nil; f.rest == 0 || s.lot.forked >= s.options.Parked {
			continue
		}
		moved := make(chan error, 1)
		f.state, f.moved = s.lot.memory(s.run.stateLen()), moved
		s.lot.forked++
		s.lot.moving = append(s.lot.moving, f)
		j.holds.Add(1)
		s.copies.wanted = append(s.copies.wanted, &copying{j: j, to: f.state, kept: func(err error) {
			moved <- err
			s.door.poke()
		}})
	}
}

// receive takes in the states of lend that have come to the host, or failed.
func (l *lot) receive() {
	l.moving = slices.DeleteFunc(l.moving, func(f *fork) bool {
		select {
		case err := <-f.moved:
			f.moved = nil
			if err != nil {
				l.idle = append(l.idle, f.state)
				f.state = nil
				l.forked--
			}
			l.forget(f)
			return true
		default:
			return false
		}
	})
}
