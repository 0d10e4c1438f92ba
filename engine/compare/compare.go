package compare

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Drift is how far one op's results differ from the reference's on the reference's own inputs. It has the worst of all
// passes.
type Drift struct {
	Layer   int      `json:"layer"` // -1 outside the layers
	Op      string   `json:"op"`
	MaxAbs  float64  `json:"max_abs"`
	NMSE    float64  `json:"nmse"` // mean square of the difference over that of the reference
	OK      bool     `json:"ok"`
	Stray   bool     `json:"stray,omitempty"` // reports whether the op wrote where it must not
	Pass    string   `json:"pass"`            // the first pass out of tolerance, or else the worst
	Kernels []string `json:"kernels,omitempty"`
}

// Report compares a device with the reference.
type Report struct {
	Verdict   string  `json:"verdict"` // pass or fail
	Device    string  `json:"device"`
	Reference string  `json:"reference"`
	MaxAbs    float64 `json:"max_abs"`    // of all logits, both running on their own
	NMSE      float64 `json:"nmse"`       // of all logits
	Top1Agree float64 `json:"top1_agree"` // share of tokens after which both have the same likeliest token
	KL        float64 `json:"kl"`         // mean divergence of the token distributions, in nats
	FirstBad  *string `json:"first_bad"`  // the first op out of tolerance, in order; every failure has one
	Ops       []Drift `json:"ops"`        // one for each step of the program, and the draw if the device draws
}

// logitTolerance is how far the logits of a whole model may differ if both sides run on their own, as a normalised mean
// square error. It is some orders of magnitude more than for an op, and less than what a wrong constant costs.
const logitTolerance = 1e-6

// pass is a batch in which ops are compared. It has so many tokens of sequences in some slots, which go on from what
// the passes before left.
type pass struct {
	name  string
	slots []int
	rows  []int // of each sequence; 0 for the whole prompt
}

// passes are the batches that text generation and servers run. Ragged batches in unordered slots come first, from the
// initial state. A prompt follows, then numbers of rows around those that kernels take at once, and single tokens of
// one sequence and of several.
var passes = []pass{
	{"ragged", []int{3, 1, 4, 2}, []int{3, 1, 7, 2}},
	{"prompt", []int{2}, []int{0}},
	{"long", []int{4, 2, 1}, []int{35, 1, 18}},
	{"decode", []int{3}, []int{1}},
	{"decode 2", []int{1, 4}, []int{1, 1}},
	{"decode 5", []int{4, 2, 0, 3, 1}, []int{1, 1, 1, 1, 1}},
}

// Sizes returns the sizes of executors with which Run can run so many tokens. One slot is never used.
func Sizes(tokens int) op.Sizes {
	s := op.Sizes{Rows: tokens}
	for _, p := range passes {
		rows := 0
		for _, n := range p.rows {
			rows += n
		}
		s.Rows, s.Seqs, s.Slots = max(s.Rows, rows), max(s.Seqs, len(p.slots)), max(s.Slots, slices.Max(p.slots)+2)
	}
	s.Outs = s.Seqs
	return s
}

// comparer is a comparison under way.
type comparer struct {
	report   *Report
	prog     *op.Program
	ref, dev op.Prober
	tokens   []int
	next     int // the next of tokens, for passes that take some of them

	scratch, state []float32 // the device's arenas, as a step finds them
	mayWrite       []bool    // elements of both that the step may write
}

// Run runs tokens through the reference and a device, until ctx is done. First it runs op by op, always on the
// reference's inputs, in the batches of passes. The device also runs each batch as a whole, in the kernels that it
// chooses for that. Then both run on their own, token by token. If the device draws tokens, its draws are compared too,
// from its own logits. Both executors run m's program, have the sizes of Sizes, and lose the content of their slots.
func Run(ctx context.Context, m *model.Model, ref, dev op.Prober, tokens []int) (*Report, error) {
	r := &Report{Verdict: "pass", Device: dev.Device(), Reference: ref.Device()}
	c := &comparer{report: r, prog: m.Program, ref: ref, dev: dev, tokens: tokens}
	for _, s := range m.Program.Steps {
		r.Ops = append(r.Ops, Drift{Layer: s.Layer, Op: s.Name, OK: true})
	}
	if err := c.reset(); err != nil {
		return nil, err
	}
	for i := range passes {
		if err := c.pass(ctx, &passes[i]); err != nil {
			return nil, err
		}
	}
	if err := c.logits(ctx); err != nil {
		return nil, err
	}
	if r.FirstBad == nil { // else the logits are wrong, and draws from them tell nothing
		if err := c.draws(ctx); err != nil {
			return nil, err
		}
	}
	if r.FirstBad != nil {
		r.Verdict = "fail"
	}
	return r, nil
}

// reset gives all slots the initial state.
func (c *comparer) reset() error {
	for slot := range Sizes(0).Slots {
		for _, e := range []op.Prober{c.ref, c.dev} {
			if err := e.ResetState(slot); err != nil {
				return err
			}
		}
	}
	return nil
}

// blame names the first op that is out of tolerance.
func (c *comparer) blame(step int) {
	if c.report.FirstBad == nil {
		c.report.FirstBad = &c.prog.Steps[step].Name
	}
}

// batch returns the batch of a pass, which asks for the logits of each sequence's last token.
func (c *comparer) batch(p *pass) *op.Batch {
	b := new(op.Batch)
	for i, slot := range p.slots {
		if p.rows[i] == 0 {
			b.Add(slot, c.tokens, 1)
			continue
		}
		var list []int
		for range p.rows[i] {
			if len(c.tokens) > 0 {
				list = append(list, c.tokens[c.next%len(c.tokens)])
			}
			c.next++
		}
		b.Add(slot, list, 1)
	}
	return b
}

// logits compares the logits after every token, with each executor on its own.
func (c *comparer) logits(ctx context.Context) error {
	r := c.report
	var b op.Batch
	var all, allRef []float32
	agree := 0
	if err := c.reset(); err != nil {
		return err
	}
	for i := range c.tokens {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, err := c.states(c.ref)
		if err != nil {
			return err
		}
		b.Reset()
		b.Add(0, c.tokens[i:i+1], 1)
		if err := c.ref.Forward(&b); err != nil {
			return err
		}
		if err := c.dev.Forward(&b); err != nil {
			return err
		}
		want, got := c.ref.Logits(0), c.dev.Logits(0)
		all, allRef = append(all, got...), append(allRef, want...)
		if argMax(want) == argMax(got) {
			agree++
		}
		r.KL += divergence(want, got) / float64(len(c.tokens))
		if _, nmse := difference(got, want); !(nmse <= logitTolerance) && r.FirstBad == nil {
			if err := c.find(&b, before); err != nil {
				return err
			}
		}
	}
	r.MaxAbs, r.NMSE = difference(all, allRef)
	r.Top1Agree = float64(agree) / float64(len(c.tokens))
	if math.IsNaN(r.KL) || math.IsInf(r.KL, 0) {
		r.KL = math.MaxFloat64
	}
	return nil
}

// String describes the report in a line.
func (r *Report) String() string {
	s := fmt.Sprintf("%s: %s against %s: logits differ by at most %.3g (normalised mean square error %.2g), top-1 agreement %.1f %%",
		r.Verdict, r.Device, r.Reference, r.MaxAbs, r.NMSE, 100*r.Top1Agree)
	if r.FirstBad != nil {
		s += ", first op out of tolerance: " + *r.FirstBad
	}
	return s
}
