package schedule

import "slices"

// queue has the jobs without a slot. Each user's jobs are in the order in which they came, and users take turns. Those in
// the background are lines of their own, which come after the others.
type queue struct {
	users []*line // that have jobs, the next in turn first
	n     int
}

// line is one user's jobs of a class.
type line struct {
	user       string
	background bool
	jobs       []*Job
}

// has reports whether a job belongs to the line.
func (l *line) has(j *Job) bool { return l.user == j.User && l.background == j.Background }

func (q *queue) push(j *Job) {
	q.n++
	for _, l := range q.users {
		if l.has(j) {
			l.jobs = append(l.jobs, j)
			return
		}
	}
	q.users = append(q.users, &line{j.User, j.Background, []*Job{j}})
}

// first returns the job whose turn it is, of those that are ready, or nil. In the background it is one that has begun, if
// there is any: so no more of them have begun than have ever had slots at once.
func (q *queue) first() *Job {
	j := q.find((*Job).ready)
	if j == nil || !j.Background {
		return j
	}
	if parked := q.find(func(j *Job) bool { return j.state != nil }); parked != nil {
		return parked
	}
	return j
}

// parked returns the job with a parked state whose turn comes first, of those that somebody waits for, or nil.
func (q *queue) parked() *Job {
	return q.find(func(j *Job) bool { return j.state != nil && !j.Background })
}

// find returns the job whose turn comes first, of those that are good, or nil.
func (q *queue) find(good func(*Job) bool) *Job {
	for _, behind := range classes {
		for _, l := range q.users {
			if l.background != behind {
				continue
			}
			for _, j := range l.jobs {
				if good(j) {
					return j
				}
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
	at := slices.IndexFunc(q.users, func(l *line) bool { return l.has(j) })
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
