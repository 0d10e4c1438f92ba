package schedule

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// Where there is memory for no more parked states, a request that waits for a slot keeps nobody else from a turn: those
// that are parked change places with those that have slots. It has the next slot that is free.
func TestFullLot(t *testing.T) {
	for _, parked := range []int{1, 3} {
		_, s := manual(t, 2, 2, 8, Options{Quantum: 6, Parked: parked})
		counts := make([]int, 2+parked)
		var jobs []*Job
		ask := func(user string, count *int) *Job {
			return submit(t, s, Request{User: user, Prompt: []int{1}, Max: 1 << 20, Token: func(Token) bool {
				*count++
				return true
			}})
		}
		for i := range counts {
			jobs = append(jobs, ask("all", &counts[i]))
		}
		for s.lot.parked < parked {
			s.cycle()
		}
		var late, later int
		first, second := ask("all", &late), ask("all", &later)
		had := slices.Clone(counts)
		for range 300 {
			s.cycle()
			if s.lot.parked > parked {
				t.Fatalf("%d states are parked, want at most %d", s.lot.parked, parked)
			}
		}
		for i, n := range counts {
			if n < had[i]+100/len(counts) {
				t.Errorf("%d parked: request %d drew %d tokens in 300 rounds; all drew %v after %v", parked, i, n-had[i], counts, had)
			}
		}
		if late+later > 0 {
			t.Errorf("%d parked: requests without a slot drew %d and %d tokens", parked, late, later)
		}
		jobs[0].Cancel()
		s.cycle()
		s.cycle()
		if !first.begun || second.begun {
			t.Errorf("%d parked: a free slot went to the first that waits: %t, to the second: %t", parked, first.begun, second.begun)
		}
	}
}

// A user who comes when others have all slots and all memory for parked states has a turn soon, and keeps nobody from
// theirs.
func TestNewcomers(t *testing.T) {
	const parked = 3
	_, s := manual(t, 2, 2, 8, Options{Quantum: 6, Parked: parked})
	counts := make([]int, 2+parked+3)
	ask := func(user string, i int) {
		submit(t, s, Request{User: user, Prompt: []int{1}, Max: 1 << 20, Token: func(Token) bool {
			counts[i]++
			return true
		}})
	}
	for i := range 2 + parked {
		ask("first", i)
	}
	for s.lot.parked < parked {
		s.cycle()
	}
	for i, user := range []string{"second", "third", "fourth"} {
		ask(user, 2+parked+i)
	}
	had := slices.Clone(counts)
	for range 300 {
		if s.cycle(); s.lot.parked > parked+2 {
			t.Fatalf("%d states are parked", s.lot.parked)
		}
	}
	for i, n := range counts {
		if wants := i < 2+parked+2; wants && n < had[i]+100/len(counts) { // the fourth user waits for a slot
			t.Errorf("request %d drew %d tokens in 300 rounds; all drew %v after %v", i, n-had[i], counts, had)
		}
	}
}

// Where somebody else takes the slot that a parked sequence left for another, no more are parked until that one has a slot.
func TestFullLotAndThief(t *testing.T) {
	f, s := manual(t, 2, 2, 8, Options{Quantum: 6, Parked: 1})
	var counts [3]int
	for i := range counts {
		submit(t, s, Request{User: fmt.Sprint(i), Prompt: []int{1}, Max: 1 << 20, Token: func(Token) bool {
			counts[i]++
			return true
		}})
	}
	for s.lot.parked < 1 {
		s.cycle()
	}
	thief := new(engine.Seq)
	f.thieves = []*engine.Seq{thief, new(engine.Seq)}
	for range 100 {
		if s.cycle(); s.lot.parked > 2 {
			t.Fatalf("%d states are parked", s.lot.parked)
		}
	}
	if len(f.thieves) != 1 || s.lot.parked != 2 || len(s.resident) != 1 {
		t.Errorf("the slot was not taken: %d parked, %d have slots", s.lot.parked, len(s.resident))
	}
	f.thieves = nil
	f.release(thief)
	had := counts
	for range 200 {
		s.cycle()
	}
	for i, n := range counts {
		if n < had[i]+40 || s.lot.parked != 1 {
			t.Errorf("request %d drew %d tokens in 200 rounds; %d are parked", i, n-had[i], s.lot.parked)
		}
	}
}
