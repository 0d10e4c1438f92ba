package schedule

// queue holds jobs without a slot: those of each user in the order in which they came, and the users take turns.
type queue struct {
	users []*line // that have jobs, the next in turn first
	n     int
}

// line is one user's jobs.
type line struct {
	user string
	jobs []*Job
}

func (q *queue) push(j *Job) {
	q.n++
	for _, l := range q.users {
		if l.user == j.User {
			l.jobs = append(l.jobs, j)
			return
		}
	}
	q.users = append(q.users, &line{j.User, []*Job{j}})
}

// first returns the job whose turn it is.
func (q *queue) first() *Job { return q.users[0].jobs[0] }

// pop takes it out. Its user's turn comes again after the others'.
func (q *queue) pop() *Job {
	l := q.users[0]
	j := l.jobs[0]
	l.jobs[0] = nil
	l.jobs = l.jobs[1:]
	q.n--
	q.users = append(q.users[:0], q.users[1:]...)
	if len(l.jobs) > 0 {
		q.users = append(q.users, l)
	}
	return j
}

// remove takes out the jobs that drop wants out.
func (q *queue) remove(drop func(*Job) bool) {
	users := q.users[:0]
	for _, l := range q.users {
		jobs := l.jobs[:0]
		for _, j := range l.jobs {
			if drop(j) {
				q.n--
				continue
			}
			jobs = append(jobs, j)
		}
		clear(l.jobs[len(jobs):])
		if l.jobs = jobs; len(jobs) > 0 {
			users = append(users, l)
		}
	}
	clear(q.users[len(users):])
	q.users = users
}
