package completion

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
)

// beginning is a prompt on its way, with what the cache has of it and is to have. After Submit, its methods are called
// by the scheduler's goroutine.
type beginning struct {
	space *statecache.Space
	state []float32 // where the prompt begins; nil for the initial state
	fresh bool      // reports whether all of the prompt is fed
	ids   []int     // of the prompt, and then also those drawn
	asked int       // of ids, those of the prompt alone
	most  int       // ids that a state may have seen before the request begins: one at least is fed
	marks []statecache.Mark
	hit   *statecache.Hit // what was found first, until the first token is fed
	size  int             // elements of a state
	kept  func(ids []int, state []float32)
}

// begin chooses ids for the prompt of a request, behind which fed comes, looks for the longest state, and chooses what is
// kept.
func (s *Service) begin(r *Request, fed []int) (*beginning, error) {
	name := r.Space
	switch { // what follows another state than the initial one is another text
	case r.State == nil:
		name = "initial " + name
	case len(r.State) != s.size:
		return nil, fmt.Errorf("completion: state: want %d elements, got %d", s.size, len(r.State))
	case r.Origin != "":
		name = fmt.Sprintf("origin %q %s", r.Origin, name)
	default:
		name = fmt.Sprintf("%x %s", digest(r.State), name)
	}
	b := &beginning{space: s.cache.Space(name), state: r.State, fresh: r.Fresh || r.Prompted != nil, hit: new(statecache.Hit),
		size: s.size}
	p, err := b.space.Prompt(s.tok, r.Prompt)
	if err != nil {
		return nil, err
	}
	if b.ids = p.IDs; len(b.ids) == 0 {
		return nil, errors.New("completion: prompt: want at least one token, got none")
	}
	b.asked, b.ids = len(b.ids), append(b.ids, fed...)
	if b.most = len(b.ids) - 1; !b.fresh {
		b.hit = b.space.Find(b.ids, b.most)
	}
	if !r.Fresh {
		b.marks = statecache.Plan(b.hit.Tokens, len(b.ids), s.options.Every, b.hit, p.Ends)
	}
	return b, nil
}

// again returns the beginning of another request with the prompt, by which no states on the way are kept.
func (b *beginning) again() *beginning {
	return &beginning{space: b.space, state: b.state, fresh: b.fresh, ids: slices.Clone(b.ids), asked: b.asked, most: b.most, hit: new(statecache.Hit), size: b.size}
}

// places returns how many tokens the states that are kept have seen.
func (b *beginning) places() []int {
	list := make([]int, len(b.marks))
	for i, m := range b.marks {
		list[i] = m.Tokens
	}
	return list
}

// begin says where the prompt begins: perhaps with a longer state than the one that was found first.
func (b *beginning) begin() schedule.Beginning {
	if !b.fresh {
		later := b.space.FindLoaded(b.ids, b.most)
		if later.Tokens > b.hit.Tokens {
			return schedule.Beginning{State: later.State, Tokens: later.Tokens, Done: later.Release}
		}
		later.Release()
	}
	if b.hit.Tokens > 0 {
		return schedule.Beginning{State: b.hit.State, Tokens: b.hit.Tokens}
	}
	return schedule.Beginning{State: b.state}
}

// keepCopy gives the cache a copy of the state after the whole prompt, if a state is to be kept there.
func (b *beginning) keepCopy(state []float32) {
	if n := len(b.marks); n == 0 || b.marks[n-1].Tokens < len(b.ids) {
		return
	}
	if to, kept := b.keep(len(b.ids)); to != nil {
		copy(to, state)
		kept(nil)
	}
}

// keep makes room in the cache for the state after the first of the ids: at a mark, or the last one.
func (b *beginning) keep(tokens int) (to []float32, kept func(error)) {
	i := sort.Search(len(b.marks), func(i int) bool { return b.marks[i].Tokens >= tokens })
	kind := statecache.Passing
	switch {
	case i < len(b.marks) && b.marks[i].Tokens == tokens:
		kind = b.marks[i].Kind
	case tokens > b.most:
		kind = statecache.Turn
	}
	to, kept = b.reserve(tokens, kind)
	if b.kept == nil || tokens <= b.most {
		return to, kept
	}
	return b.tell(tokens, to, kept)
}

// keepWithin makes room in the cache for a state within the answer, which need not be there when the last one is.
func (b *beginning) keepWithin(tokens int) (to []float32, kept func(error)) {
	return b.reserve(tokens, statecache.Passing)
}

// reserve makes room in the cache for the state after the first of the ids.
func (b *beginning) reserve(tokens int, kind statecache.Kind) (to []float32, kept func(error)) {
	b.hit.Release()
	d := b.space.Reserve(b.ids[:tokens], statecache.Meta{Kind: kind, Pending: -1})
	if d == nil {
		return nil, nil
	}
	return d.State(), func(err error) {
		if err != nil {
			d.Abort()
			return
		}
		d.Commit()
	}
}
