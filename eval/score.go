package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Item is a context and what may follow it. Each of Ends is scored alone, behind the whole context.
type Item struct {
	Context []int   // ids, at least one
	Ends    [][]int // at least one, each of at least one id
}

// tokens returns how many tokens are fed for the item: the context once, and each end but for its last token.
func (it *Item) tokens() int {
	n := len(it.Context) - 1
	for _, end := range it.Ends {
		n += len(end)
	}
	return n
}

// Score is what a model says of one of an item's Ends.
type Score struct {
	Loss      []float64 // of each token: its negative log-probability, in nats
	Likeliest []bool    // reports whether each token has the largest logit
	KL        []float64 // of each token's distribution from that of Scorer.Stored, in nats; nil without Stored
}

// sum returns the loss of all tokens.
func (s *Score) sum() (nats float64) {
	for _, l := range s.Loss {
		nats += l
	}
	return nats
}

// greedy reports whether each token is the likeliest one.
func (s *Score) greedy() bool {
	for _, yes := range s.Likeliest {
		if !yes {
			return false
		}
	}
	return true
}

// Scorer runs items on engines, which EngineOptions are for.
type Scorer struct {
	Engine   *engine.Engine
	Stored   *engine.Engine        // the model that Score.KL is from; nil for none
	Progress func(done, all int64) // of tokens; may be nil
}

// EngineOptions returns the options of an engine that scores items, so many at once and so many tokens in a pass at
// most.
func EngineOptions(items []Item, sequences, chunk int) engine.Options {
	ends, held := 0, 0
	for i := range items {
		ends += len(items[i].Ends)
		held = max(held, len(items[i].Ends)-1)
	}
	n := max(min(sequences, ends), 1)
	o := engine.Options{Slots: n, Seqs: n, Chunk: max(chunk, n), Outs: max(chunk, n)}
	if held > 0 {
		o.Slots = 2 * n // contexts that wait for their ends
	}
	return o
}

// Run scores items. Its result has a list for each item, with a Score for each of the item's Ends.
func (s *Scorer) Run(ctx context.Context, items []Item) ([][]Score, error) {
	r := &run{items: items, scores: make([][]Score, len(items)), progress: s.Progress, engines: []*engine.Engine{s.Engine}}
	if s.Stored != nil {
		r.engines = append(r.engines, s.Stored)
		if a, b := s.Engine.Model.Vocab, s.Stored.Model.Vocab; a != b {
			return nil, fmt.Errorf("eval: want models of one vocabulary, got %d and %d ids", a, b)
		}
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	defer r.release()
	for {
		if err := r.fill(); err != nil {
			return nil, err
		}
		if len(r.active) == 0 {
			return r.scores, nil
		}
		if err := r.step(ctx); err != nil {
			return nil, err
		}
	}
}

// measure scores the outs of a step, on all cores.
func (r *run) measure() error {
	workers := min(runtime.GOMAXPROCS(0), len(r.outs))
	faults := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := w; i < len(r.outs) && faults[w] == nil; i += workers {
				faults[w] = r.score(i)
			}
		}()
	}
	group.Wait()
	return errors.Join(faults...)
}

// score scores one out.
func (r *run) score(i int) error {
	o := r.outs[i]
	s := &r.scores[o.job.item][o.job.end]
	id := r.items[o.job.item].Ends[o.job.end][o.at]
	logits := r.logits[0][i*r.vocab:][:r.vocab]
	norm, best, err := sample.LogSum(logits)
	if err != nil {
		return fmt.Errorf("item %d, token %d: %w", o.job.item, o.at, err)
	}
	if math.IsInf(float64(logits[id]), -1) {
		return fmt.Errorf("item %d, token %d: logits[%d]: want a finite number, got -Inf: %w", o.job.item, o.at, id, engine.ErrLogits)
	}
	s.Loss[o.at], s.Likeliest[o.at] = norm-float64(logits[id]), best == id
	if s.KL == nil {
		return nil
	}
	stored := r.logits[1][i*r.vocab:][:r.vocab]
	before, _, err := sample.LogSum(stored)
	if err != nil {
		return fmt.Errorf("item %d, token %d, as stored: %w", o.job.item, o.at, err)
	}
	s.KL[o.at] = divergence(stored, before, logits, norm)
	return nil
}

// divergence returns the Kullback-Leibler divergence of the softmax of q from that of p, in nats: sum p (log p - log q).
// pNorm and qNorm are the logarithms of the sums of the exponentials.
func divergence(p []float32, pNorm float64, q []float32, qNorm float64) (kl float64) {
	for i, v := range p {
		l := float64(v) - pNorm
		if w := math.Exp(l); w > 0 {
			kl += w * (l - (float64(q[i]) - qNorm))
		}
	}
	return kl
}
