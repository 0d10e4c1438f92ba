package schedule

import (
	"slices"
	"testing"
)

// What is left of a request that has ended comes before its user's requests that have not begun, but not before those of
// its own kind, and not before other users' turns.
func TestFollowsInQueue(t *testing.T) {
	var q queue
	job := func(user string, prompt int, follows bool) *Job {
		j := &Job{Request: Request{Prompt: []int{prompt}, Standing: Standing{Follows: follows}}}
		j.User = user
		return j
	}
	for _, j := range []*Job{job("a", 1, false), job("b", 2, false), job("a", 3, true), job("a", 4, false), job("a", 5, true)} {
		q.push(j)
	}
	var got []int
	for q.n > 0 {
		j := q.first()
		q.take(j)
		got = append(got, j.Prompt[0])
	}
	if want := []int{3, 2, 5, 1, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Its prompt is read before the prompts of others.
func TestFollowsRead(t *testing.T) {
	_, s := manual(t, 3, 3, 8, Options{})
	prompt := make([]int, 20)
	before := submit(t, s, Request{Prompt: prompt, Max: 1})
	rest := submit(t, s, Request{Prompt: prompt, Max: 1, Standing: Standing{Follows: true}})
	behind := submit(t, s, Request{Prompt: prompt, Max: 1})
	for !rest.ended() {
		if s.cycle(); before.at.fed+behind.at.fed > 0 && rest.at.fed < len(prompt) {
			t.Fatalf("%d and %d tokens of others were read behind %d of %d", before.at.fed, behind.at.fed, rest.at.fed, len(prompt))
		}
	}
	for !before.ended() || !behind.ended() {
		s.cycle()
	}
}
