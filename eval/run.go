package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// run is one call of Run.
type run struct {
	engines  []*engine.Engine
	items    []Item
	scores   [][]Score
	progress func(done, all int64)

	next    int      // the first item that has not begun
	pending []branch // ends that wait for a place, the next one last
	active  []*job

	vocab, chunk, seqs int
	done, all          int64
	rows               [][]engine.Row // by engine
	outs               []out          // of a step
	logits             [][]float32    // [engine][out * vocab]
}

// out says which token a row of logits is to predict.
type out struct {
	job *job
	at  int // among the end's tokens
}

// job is a sequence that reads an item's context, one of its ends, or both.
type job struct {
	item, end int
	seqs      []*engine.Seq // by engine
	tokens    []int         // to feed
	at        int           // how many were fed
	first     int           // the index in tokens of the first one after which logits are wanted
}

// contextOnly is a job.end without an end: other jobs read the ends, from forks of this one.
const contextOnly = -1

// held is a context that was read.
type held struct {
	seqs []*engine.Seq
	left int // ends that have not begun
}

// branch is an end behind a context that was read.
type branch struct {
	item, end int
	from      *held
}

// prepare checks the items and makes room.
func (r *run) prepare() error {
	e := r.engines[0]
	r.vocab, r.chunk, r.seqs = e.Model.Vocab, e.Chunk(), e.Seqs()
	for i := range r.items {
		it := &r.items[i]
		if len(it.Context) == 0 || len(it.Ends) == 0 {
			return fmt.Errorf("eval: item %d: want a context and an end, got %d ids and %d ends", i, len(it.Context), len(it.Ends))
		}
		r.all += int64(it.tokens())
		r.scores[i] = make([]Score, len(it.Ends))
		for j, end := range it.Ends {
			if len(end) == 0 {
				return fmt.Errorf("eval: item %d: end %d: want ids, got none", i, j)
			}
			for _, id := range end {
				if id < 0 || id >= r.vocab {
					return fmt.Errorf("eval: item %d: end %d: want ids below %d, got %d", i, j, r.vocab, id)
				}
			}
			s := Score{Loss: make([]float64, len(end)), Likeliest: make([]bool, len(end))}
			if len(r.engines) > 1 {
				s.KL = make([]float64, len(end))
			}
			r.scores[i][j] = s
		}
	}
	r.rows, r.logits = make([][]engine.Row, len(r.engines)), make([][]float32, len(r.engines))
	return nil
}

// release frees all slots.
func (r *run) release() {
	for _, j := range r.active {
		releaseAll(j.seqs)
	}
	for _, b := range r.pending {
		releaseAll(b.from.seqs) // releasing again does nothing
	}
}

func releaseAll(seqs []*engine.Seq) {
	for _, s := range seqs {
		s.Release()
	}
}

// fill lets jobs begin until all sequences of a pass are in use.
func (r *run) fill() error {
	for len(r.active) < r.seqs {
		j, err := r.start()
		if err != nil || j == nil {
			return err
		}
		r.active = append(r.active, j)
	}
	return nil
}

// start returns the next job, or nil if all have begun. Ends of contexts that were read come first, so no more contexts
// wait than there are sequences in a pass.
func (r *run) start() (*job, error) {
	for {
		if n := len(r.pending); n > 0 {
			b := r.pending[n-1]
			r.pending = r.pending[:n-1]
			return r.branch(b)
		}
		if r.next == len(r.items) {
			return nil, nil
		}
		i, it := r.next, &r.items[r.next]
		seqs, err := each(r.engines, func(_ int, e *engine.Engine) (*engine.Seq, error) { return e.NewSeq(nil) })
		if err != nil {
			return nil, err
		}
		r.next++
		last := len(it.Context) - 1
		switch {
		case len(it.Ends) == 1:
			return newJob(i, 0, seqs, it.Context, it.Ends[0]), nil
		case last > 0:
			return &job{item: i, end: contextOnly, seqs: seqs, tokens: it.Context[:last], first: math.MaxInt}, nil
		}
		r.hold(i, seqs)
	}
}

// newJob returns a job that reads ids and then an end, but for its last token.
func newJob(item, end int, seqs []*engine.Seq, ids, tokens []int) *job {
	all := append(append(make([]int, 0, len(ids)+len(tokens)-1), ids...), tokens[:len(tokens)-1]...)
	return &job{item: item, end: end, seqs: seqs, tokens: all, first: len(ids) - 1}
}

// hold keeps a context that was read, but for its last token, until its ends begin.
func (r *run) hold(item int, seqs []*engine.Seq) {
	h := &held{seqs, len(r.items[item].Ends)}
	for end := h.left - 1; end >= 0; end-- {
		r.pending = append(r.pending, branch{item, end, h})
	}
}

// branch returns the job of an end. The last of a context's ends takes the context's own sequence, the others a fork.
func (r *run) branch(b branch) (*job, error) {
	seqs := b.from.seqs
	if b.from.left--; b.from.left > 0 {
		var err error
		seqs, err = each(r.engines, func(k int, e *engine.Engine) (*engine.Seq, error) { return e.Fork(b.from.seqs[k]) })
		if err != nil {
			releaseAll(b.from.seqs)
			return nil, err
		}
	}
	it := &r.items[b.item]
	return newJob(b.item, b.end, seqs, it.Context[len(it.Context)-1:], it.Ends[b.end]), nil
}

// each makes a sequence on each engine, or on none.
func each(engines []*engine.Engine, make func(k int, e *engine.Engine) (*engine.Seq, error)) (seqs []*engine.Seq, err error) {
	for k, e := range engines {
		s, err := make(k, e)
		if err != nil {
			releaseAll(seqs)
			return nil, err
		}
		seqs = append(seqs, s)
	}
	return seqs, nil
}

// step feeds a share of the tokens of each active job to all engines, and scores what they predict.
func (r *run) step(ctx context.Context) error {
	fed := r.share()
	for k, e := range r.engines {
		if err := e.Feed(ctx, r.rows[k]); err != nil {
			return err
		}
		for i := range r.rows[k] {
			if err := r.rows[k][i].Err; err != nil {
				return fmt.Errorf("item %d: %w", r.active[i].item, err)
			}
		}
	}
	if err := r.measure(); err != nil {
		return err
	}
	kept := r.active[:0]
	for _, j := range r.active {
		switch {
		case j.at < len(j.tokens):
			kept = append(kept, j)
		case j.end == contextOnly:
			r.hold(j.item, j.seqs)
		default:
			releaseAll(j.seqs)
		}
	}
	r.active = kept
	if r.done += int64(fed); r.progress != nil {
		r.progress(r.done, r.all)
	}
	return nil
}

// share makes the rows of a step, in which each job has as many tokens as any other, and notes what they predict. It
// returns how many tokens they have.
func (r *run) share() (fed int) {
	most := max(r.chunk/len(r.active), 1)
	r.outs = r.outs[:0]
	for k := range r.rows {
		r.rows[k] = r.rows[k][:0]
	}
	for _, j := range r.active {
		n := min(most, len(j.tokens)-j.at)
		from := max(j.first-j.at, 0) // the first token after which logits are wanted
		wanted := max(n-from, 0)
		base := len(r.outs)
		for i := range wanted {
			r.outs = append(r.outs, out{j, j.at + n - wanted + i - j.first})
		}
		for k := range r.engines {
			row := engine.Row{Seq: j.seqs[k], Tokens: j.tokens[j.at : j.at+n]}
			if wanted > 0 {
				row.Want, row.Last = engine.WantLogits, wanted
				row.Each = func(pos int, logits []float32) error {
					copy(r.logits[k][(base+pos-(n-wanted))*r.vocab:], logits)
					return nil
				}
			}
			r.rows[k] = append(r.rows[k], row)
		}
		j.at += n
		fed += n
	}
	for k := range r.logits {
		if need := len(r.outs) * r.vocab; cap(r.logits[k]) < need {
			r.logits[k] = make([]float32, need)
		} else {
			r.logits[k] = r.logits[k][:need]
		}
	}
	return fed
}
