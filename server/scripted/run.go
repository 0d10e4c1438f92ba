package scripted

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// replay takes the tokens that earlier runs drew. They have to be those of this answer.
func (s *stream) replay() error {
	if len(s.r.Drawn) == 0 {
		return nil
	}
	s.again = new(api.Piece)
	for i, t := range s.r.Drawn {
		if want := s.drawn[s.at%len(s.drawn)]; t.ID != want || s.done {
			return fmt.Errorf("scripted: drawn[%d]: want %d, got %d (the answer has ended: %t)", i, want, t.ID, s.done)
		}
		s.at++
		more, done := s.w.Push(t.ID)
		s.done = done
		s.pushed, s.text, s.again.Text = append(s.pushed, t.ID), s.text+string(more), s.again.Text+string(more)
		s.again.Drawn = append(s.again.Drawn, s.token(t.ID, false, false))
	}
	if s.r.Logprobs {
		s.again.Tokens = s.again.Drawn
	}
	return nil
}

// earlier returns what comes before what this run draws.
func (s *stream) earlier() (p api.Piece, there bool) {
	switch {
	case s.r.Traced && !s.asked:
		s.asked = true
		return api.Piece{Prompt: append([]int{}, s.prompt...)}, true
	case s.told == nil && s.again != nil:
		p, s.again = *s.again, nil
		return p, true
	}
	return p, false
}

// kept tells of the state at the end: the ids that were fed.
func (s *stream) kept() {
	if s.r.Kept == nil || len(s.pushed) == 0 {
		return
	}
	ids := append(append([]int{}, s.prompt...), s.pushed[:len(s.pushed)-1]...)
	state := make([]float32, len(ids))
	for i, id := range ids {
		state[i] = float32(id)
	}
	s.r.Kept(ids, state)
}
