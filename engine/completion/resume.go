package completion

import (
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
)

// Run is what several runs of one request need, of which each goes on where the one before has ended, perhaps on
// another machine.
type Run struct {
	// Drawn are the tokens that earlier runs have drawn. The text begins with them: they go through sampler, constraint
	// and stop strings, pieces tell of them again, and Max counts them. The request has to be the same otherwise, with a
	// prompt that has the same ids ([Completion.Asked]). With a seed, and on an engine with engine.Options.Exact, the text
	// is that of one run.
	Drawn []Token
	// Traced reports whether Piece.Tokens are told, with or without probabilities.
	Traced bool
	// Kept, if not nil, is told of the state that is kept at the end, and of the ids that it has seen, before the
	// completion is done. Both are its own only during the call, which may take its time. It is not told where the request
	// is Fresh or has ended within the prompt.
	Kept func(ids []int, state []float32)
}

// replay takes the tokens that earlier runs have drawn, of a request that is one of so many in a call.
func (c *Completion) replay(r *Request, smp *sample.Sampler, together int) error {
	switch c.left = r.Max; {
	case len(r.Drawn) == 0:
		return nil
	case together > 1:
		return errors.New("completion: drawn: want no other requests in the call")
	case r.Penal:
		return errors.New("completion: drawn: want no penalties for the prompt")
	}
	ended := false
	for i, t := range r.Drawn {
		if ended {
			return fmt.Errorf("completion: drawn: want the %d tokens up to the end of the text, got %d", i, len(r.Drawn))
		}
		if err := smp.Accept(t.ID); err != nil {
			return fmt.Errorf("completion: drawn[%d]: %w", i, err)
		}
		c.earlier = append(c.earlier, t.ID)
		c.left--
		ended = !c.push(t) || c.left == 0 || smp.Done() || t.ID == text.EndOfText
	}
	if ended {
		c.left = 0
	}
	c.drawn, c.unread = len(r.Drawn), false
	c.poke()
	return nil
}

// fed returns which of the drawn tokens the engine is fed before it draws: not the last one of a text that has ended.
func (c *Completion) fed() []int {
	if c.left == 0 && len(c.earlier) > 0 {
		return c.earlier[:len(c.earlier)-1]
	}
	return c.earlier
}

// open has a request of the scheduler begin as b says.
func (c *Completion) open(b *beginning, q *schedule.Request) {
	c.beginning, c.prompted = b, b.ids[:b.asked:b.asked]
	q.Prompt, q.Begin, q.Marks = b.ids, b.begin, b.places()
	if q.Prompted != nil && len(b.ids) > b.asked {
		prompted, most := q.Prompted, b.asked-1
		q.Prompted = func(at int, logits []float32) error {
			if at >= most { // the next token is one that was drawn
				return nil
			}
			return prompted(at, logits)
		}
	}
	if fed := len(b.ids) - b.asked; fed < len(c.earlier) {
		b.ids = append(b.ids[:len(b.ids):len(b.ids)], c.earlier[fed:]...)
	}
}

// Asked returns the ids of the prompt, which are not to be changed.
func (c *Completion) Asked() []int { return c.prompted }

// tell has the owner of the request told of a state, which goes nowhere else if to is nil.
func (b *beginning) tell(tokens int, to []float32, kept func(error)) ([]float32, func(error)) {
	ids := b.ids[:tokens:tokens]
	if to == nil {
		to, kept = make([]float32, b.size), func(error) {}
	}
	return to, func(err error) {
		if err == nil {
			b.kept(ids, to)
		}
		kept(err)
	}
}

// Knows reports whether the cache has the state after all of the ids, in a space, in memory.
func (s *Service) Knows(space string, ids []int) bool {
	hit := s.cache.Space("initial "+space).FindLoaded(ids, len(ids))
	defer hit.Release()
	return hit.Tokens == len(ids)
}

// Learn gives the cache a state that has seen the ids from the initial state on, as Run.Kept was told of it by a
// service with the same [Service.Identity]. It reports whether the cache has it then.
func (s *Service) Learn(space string, ids []int, state []float32) bool {
	if len(ids) == 0 || len(state) != s.size {
		return false
	}
	to := s.cache.Space("initial " + space)
	if d := to.Reserve(ids, statecache.Meta{Kind: statecache.Turn, Pending: -1}); d != nil {
		copy(d.State(), state)
		d.Commit()
	}
	return s.Knows(space, ids)
}

// Identity names what the numbers of states depend on, besides ids: the weights as they are stored, the initial state
// and, where results are exact, the device, its driver, its kernels and the build of the program.
func (s *Service) Identity() (string, error) { return identity(s.engine) }
