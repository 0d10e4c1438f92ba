package eval

import (
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

// Result is what a task found. Figures that a task does not have are nil.
type Result struct {
	Task   string `json:"task"`
	N      int    `json:"n"`      // documents, passages or questions
	Tokens int    `json:"tokens"` // that were predicted

	Bytes       int       `json:"bytes,omitempty"` // of these tokens
	NLL         *float64  `json:"nll,omitempty"`   // mean negative log-likelihood of a token, nats
	Perplexity  *float64  `json:"perplexity,omitempty"`
	BitsPerByte *float64  `json:"bits_per_byte,omitempty"`
	Accuracy    *float64  `json:"accuracy,omitempty"`
	Acc         *float64  `json:"acc,omitempty"`      // as lm-evaluation-harness names it
	AccNorm     *float64  `json:"acc_norm,omitempty"` // the same, by log-likelihood per character
	Top1        *float64  `json:"top1,omitempty"`     // share of the tokens that had the largest logit
	KL          *float64  `json:"kl,omitempty"`       // mean divergence of a token's distribution, from that of the model as stored; nats
	Errors      *StdError `json:"stderr,omitempty"`
	Intervals   Intervals `json:"intervals_95"`
}

// StdError has standard errors as lm-evaluation-harness gives them.
type StdError struct {
	Accuracy *float64 `json:"accuracy,omitempty"`
	Acc      *float64 `json:"acc,omitempty"`
	AccNorm  *float64 `json:"acc_norm,omitempty"`
}

// Intervals has 95 % confidence intervals; nil where there is none.
type Intervals struct {
	Method      string    `json:"method"` // how they were found, and over what
	Perplexity  *Interval `json:"perplexity,omitempty"`
	BitsPerByte *Interval `json:"bits_per_byte,omitempty"`
	Accuracy    *Interval `json:"accuracy,omitempty"`
	Acc         *Interval `json:"acc,omitempty"`
	AccNorm     *Interval `json:"acc_norm,omitempty"`
}

// methods of intervals.
const (
	byT      = "Student's t distribution"
	byWilson = "Wilson score"
)

// Task is what is measured.
type Task interface {
	// Items returns what a Scorer is to run.
	Items() []Item
	// Result makes the figures of the items' scores.
	Result(scores [][]Score) *Result
	// Change returns how much the perplexity of now differs from that of before, which are scores of the same items; nil
	// for a task without a perplexity.
	Change(before, now [][]Score) *Change
}

// common sets what every task has: how many tokens were predicted, and KL.
func (r *Result) common(scores [][]Score) {
	var kl float64
	has := false
	for _, ends := range scores {
		for i := range ends {
			r.Tokens += len(ends[i].Loss)
			for _, v := range ends[i].KL {
				kl, has = kl+v, true
			}
		}
	}
	if has {
		kl /= float64(r.Tokens)
		r.KL = &kl
	}
}

// units returns what intervals of figures per token are of: documents, or blocks of so many tokens if there are few
// documents. weigh returns what the i-th token of the d-th document adds to the sum, and to the count.
func units(scores [][]Score, weigh func(d, i int) (sum, count float64)) (list []unit, what string) {
	most, one, of := math.MaxInt, "document", ""
	if len(scores) < fewestDocuments {
		most, one, of = blockTokens, "block", fmt.Sprintf(" of %d tokens", blockTokens)
	}
	for d, ends := range scores {
		for i := range ends[0].Loss {
			if i == 0 || i%most == 0 {
				list = append(list, unit{})
			}
			sum, count := weigh(d, i)
			u := &list[len(list)-1]
			u.sum, u.count = u.sum+sum, u.count+count
		}
	}
	return list, words.Plural(len(list), one) + of
}

// Change is how much a model's loss differs from another's on the same items.
type Change struct {
	Ratio    float64   `json:"ratio"`                 // of the perplexities
	Interval *Interval `json:"interval_95,omitempty"` // of that; from the differences of units, so it is narrow
}

// changeOf returns the change whose units are differences of losses.
func changeOf(list []unit) *Change {
	mean, interval := ratio(list)
	return &Change{exp(mean), interval.through(exp)}
}
