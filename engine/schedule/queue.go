package schedule

import "slices"

// queue has the jobs without a slot. Each user's jobs are in the order in which they came, and users take turns.
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

// first returns the job whose turn it is, of those that are ready, or nil.
func (q *queue) first() *Job { return q.find((*Job).ready) }

// parked returns the job with a parked state whose turn comes first, or nil.
func (q *queue) parked() *Job { return q.find(func(j *Job) bool { return j.state != nil }) }

// find returns the job whose turn comes first, of those that are good, or nil.
func (q *queue) find(good func(*Job) bool) *Job {
	for _, l := range q.users {
		for _, j := range l.jobs {
			if good(j) {
				return j
			}
		}
	}
	return nil
}

// newcomer reports whether no job of a user has had a slot, beside those that have one.
func (q *queue) newcomer(user string, resident []*Job) bool {
	begun := func(j *Job) bool { return j.User == user && j.begun }
	for _, l := range q.users {
		if l.user == user && slices.ContainsFunc(l.jobs, begun) {
			return false
		}
	}
	return !slices.ContainsFunc(resident, begun)
}

// take removes a job. Its user's next turn comes after the others'.
func (q *queue) take(j *Job) {
	at := slices.IndexFunc(q.users, func(l *line) bool { return l.user == j.User })
	l := q.users[at]
	i := slices.Index(l.jobs, j)
	l.jobs = slices.Delete(l.jobs, i, i+1)
	q.n--
	q.users = slices.Delete(q.users, at, at+1)
	if len(l.jobs) > 0 {
		q.users = append(q.users, l)
	}
}

// remove removes the jobs for which drop returns true.
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
