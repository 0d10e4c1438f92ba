package local

import (
	"math"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// reading has the tokens of a prompt that clients are told of.
type reading struct {
	tok    tokenizer.Tokenizer
	ids    []int // of the prompt; none where they are not told of
	hidden int   // of these, how many are not the request's own
	top    int   // alternatives of each

	mu   sync.Mutex
	read []api.Token // from the second on, as far as the logits are there
}

// take takes the logits after a token of the prompt, from the scheduler. Those of a prompt that is read again are known.
func (r *reading) take(at int, logits []float32) error {
	if r.known(at) {
		return nil
	}
	id := r.ids[at+1]
	logprob, top, err := sample.Logprobs(logits, id, r.top, nil)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = append(r.read, api.Token{ID: id, Bytes: r.tok.Bytes(id), Logprob: logprob, Top: top, Prompt: true})
	return nil
}

// known reports whether the logits after a token of the prompt are there.
func (r *reading) known(at int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return at < len(r.read)
}

// all returns the tokens, nil until all of them are there. They are the caller's.
func (r *reading) all() []api.Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) == 0 || len(r.read) < len(r.ids)-1 {
		return nil
	}
	id := r.ids[0]
	all := append([]api.Token{{ID: id, Bytes: r.tok.Bytes(id), Logprob: float32(math.NaN()), Prompt: true}}, r.read...)
	for i := range all {
		all[i].Top = slices.Clone(all[i].Top)
	}
	return all[r.hidden:]
}
