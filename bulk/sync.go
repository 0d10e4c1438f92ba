package bulk

import "time"

// Between two syncs is a pause of so many times what the last one took, within these bounds. So a slow disk is left to
// others, and results are in the system's memory alone, which a loss of power empties, for about a second at most.
const (
	pauses     = 20
	leastPause = 100 * time.Millisecond
	mostPause  = time.Second
)

// startSync begins to bring results to the disk as they come. The function that it returns stops that, once all are there.
// If the disk fails, cancel is told.
func (j *Job) startSync(cancel func(error)) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for j.nextSync(ended) {
			begin := time.Now()
			if err := j.sync(); err != nil {
				cancel(err)
				return
			}
			select {
			case <-time.After(min(max(pauses*time.Since(begin), leastPause), mostPause)):
			case <-ended:
			}
		}
		if err := j.sync(); err != nil {
			cancel(err)
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// nextSync waits for results, and reports whether there can be more after these.
func (j *Job) nextSync(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return false
	case <-j.journal.dirty:
		return true
	}
}

// sync waits until the results are on the disk that were counted before, and tells of them.
func (j *Job) sync() error {
	c := j.Counts() // a result is in the journal before it is counted
	if err := j.journal.sync(); err != nil {
		return err
	}
	if j.o.Kept != nil {
		j.o.Kept(c)
	}
	return nil
}
