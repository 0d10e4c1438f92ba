package schedule

// forced has the ids that the constraint of a job has forced. They were told, and are still to be fed behind the token
// drawn before them, in one piece if they fit one.
type forced struct {
	ids  []int
	fed  int
	last bool // reports whether the sequence ends when they are fed
}

// left returns the ids that are still to be fed.
func (f *forced) left() []int { return f.ids[f.fed:] }

// unfed returns how many of the told ids the state has not seen.
func (f *forced) unfed() int {
	if f.last { // the last one told is not among ids
		return len(f.left()) + 1
	}
	return len(f.left())
}

// forces reports whether the constraint forces an id now that can be fed without a draw. If log-probabilities are asked
// for, each id is drawn.
func (j *Job) forces() bool {
	return j.Max > 0 && !j.Logprobs && j.Top == 0 && len(j.Sampler.Forced()) > 0
}

// force tells of the ids that the constraint of a job forces, if the job goes on. They are fed behind the ids that are
// not fed yet.
func (j *Job) force(pending ...int) {
	if j.c.Over || !j.forces() {
		return
	}
	j.forced = forced{ids: append(j.forced.ids[:0], pending...)}
	for more := true; more && j.forces(); j.forced.last = !more {
		id := j.Sampler.Forced()[0]
		if err := j.Sampler.Accept(id); err != nil {
			j.c.Err, j.c.Over = err, true
			return
		}
		if more = j.tell(Token{ID: id}); more {
			j.forced.ids = append(j.forced.ids, id)
		}
	}
	j.c.Over = j.forced.last && !j.reading() // nothing is to be fed
}
