package engine

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Drift is how far one op's results lie from the reference's, on the reference's own inputs.
type Drift struct {
	Layer  int     `json:"layer"` // -1 outside the layers
	Op     string  `json:"op"`
	MaxAbs float64 `json:"max_abs"`
	NMSE   float64 `json:"nmse"` // mean square of the difference over that of the reference
	OK     bool    `json:"ok"`
}

// Report compares a device with the reference.
type Report struct {
	Verdict   string  `json:"verdict"` // pass or fail
	Device    string  `json:"device"`
	MaxAbs    float64 `json:"max_abs"`    // of all logits, both running on their own
	NMSE      float64 `json:"nmse"`       // of all logits
	Top1Agree float64 `json:"top1_agree"` // share of tokens after which both hold the same token likeliest
	KL        float64 `json:"kl"`         // mean divergence of the token distributions, in nats
	FirstBad  *string `json:"first_bad"`  // the first op out of tolerance
	Ops       []Drift `json:"ops"`
}

// Tolerances of Compare, as normalised mean square errors. Rounding in another order costs an op about 1e-13 and a
// whole model some orders more; a wrong constant costs far more than either limit.
const (
	opTolerance    = 1e-9
	logitTolerance = 1e-6
)

// Compare runs tokens through the reference and a device: op by op, the device always on the reference's inputs, and
// then freely, until ctx is done. Executors must be of m's program and have a slot 0, which is overwritten.
func Compare(ctx context.Context, m *model.Model, ref, dev op.Prober, tokens []int) (*Report, error) {
	r := &Report{Verdict: "pass", Device: dev.Device()}
	for _, e := range []op.Prober{ref, dev} {
		if err := e.ResetState(0); err != nil {
			return nil, err
		}
	}
	if err := r.ops(ctx, m.Program, ref, dev, tokens); err != nil {
		return nil, err
	}
	if err := r.logits(ctx, ref, dev, tokens); err != nil {
		return nil, err
	}
	if !(r.NMSE <= logitTolerance) || r.FirstBad != nil {
		r.Verdict = "fail"
	}
	return r, nil
}

// ops compares each op of a pass over tokens.
func (r *Report) ops(ctx context.Context, prog *op.Program, ref, dev op.Prober, tokens []int) error {
	var b op.Batch
	b.Add(0, tokens, 1)
	for _, e := range []op.Prober{ref, dev} {
		if err := e.Stage(&b); err != nil {
			return err
		}
	}
	for i := range prog.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &prog.Steps[i]
		if err := copyInputs(s.Op, ref, dev); err != nil {
			return err
		}
		if err := ref.RunStep(i); err != nil {
			return err
		}
		if err := dev.RunStep(i); err != nil {
			return err
		}
		d := Drift{Layer: s.Layer, Op: s.Name, OK: true}
		if err := d.measure(s.Op, ref, dev); err != nil {
			return err
		}
		if !d.OK && r.FirstBad == nil {
			r.FirstBad = &s.Name
		}
		r.Ops = append(r.Ops, d)
	}
	return nil
}

// operands returns the op's scratch and state that it accesses in one of the ways of mask, each once.
func operands(o op.Op, mask op.Access) []*op.Operand {
	var list []*op.Operand
	o.Operands(func(_ string, v op.View, a op.Access) {
		if v.Of.Kind != op.Weight && a&mask != 0 && !slices.Contains(list, v.Of) {
			list = append(list, v.Of)
		}
	})
	return list
}

// copyInputs gives dev the reference's values of all that the op touches.
func copyInputs(o op.Op, ref, dev op.Prober) error {
	for _, x := range operands(o, op.Update) {
		data, err := ref.Read(x)
		if err != nil {
			return err
		}
		if err := dev.Write(x, data); err != nil {
			return err
		}
	}
	return nil
}

func (d *Drift) measure(o op.Op, ref, dev op.Prober) error {
	for _, x := range operands(o, op.Write) {
		want, err := ref.Read(x)
		if err != nil {
			return err
		}
		got, err := dev.Read(x)
		if err != nil {
			return err
		}
		maxAbs, nmse := difference(got, want)
		d.MaxAbs, d.NMSE = max(d.MaxAbs, maxAbs), max(d.NMSE, nmse)
	}
	d.OK = d.NMSE <= opTolerance
	return nil
}

// difference returns the largest difference and the normalised mean square error. A value that is not finite, on either
// side, makes both the largest number there is.
func difference(got, want []float32) (maxAbs, nmse float64) {
	var sum, errSum float64
	for i, w := range want {
		if !tensor.IsFinite(got[i]) || !tensor.IsFinite(w) {
			return math.MaxFloat64, math.MaxFloat64
		}
		d := float64(got[i]) - float64(w)
		maxAbs = max(maxAbs, math.Abs(d))
		sum += float64(w) * float64(w)
		errSum += d * d
	}
	if errSum == 0 {
		return 0, 0
	}
	return maxAbs, errSum / max(sum, 1e-30)
}

// logits compares the logits after every token, each executor on its own.
func (r *Report) logits(ctx context.Context, ref, dev op.Prober, tokens []int) error {
	var b op.Batch
	var all, allRef []float32
	agree := 0
	for _, e := range []op.Prober{ref, dev} {
		if err := e.ResetState(0); err != nil {
			return err
		}
	}
	for i := range tokens {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.Reset()
		b.Add(0, tokens[i:i+1], 1)
		if err := ref.Forward(&b); err != nil {
			return err
		}
		if err := dev.Forward(&b); err != nil {
			return err
		}
		want, got := ref.Logits(0), dev.Logits(0)
		all, allRef = append(all, got...), append(allRef, want...)
		if argMax(want) == argMax(got) {
			agree++
		}
		r.KL += divergence(want, got) / float64(len(tokens))
	}
	r.MaxAbs, r.NMSE = difference(all, allRef)
	r.Top1Agree = float64(agree) / float64(len(tokens))
	if math.IsNaN(r.KL) || math.IsInf(r.KL, 0) {
		r.KL = math.MaxFloat64
	}
	return nil
}

func argMax(f []float32) int {
	best := 0
	for i, v := range f {
		if v > f[best] {
			best = i
		}
	}
	return best
}

// divergence returns KL(softmax(want) || softmax(got)) in nats.
func divergence(want, got []float32) float64 {
	lw, lg := logSum(want), logSum(got)
	var kl float64
	for i := range want {
		p := float64(want[i]) - lw
		kl += math.Exp(p) * (p - (float64(got[i]) - lg))
	}
	return max(kl, 0)
}

// logSum returns log(sum(exp(f))).
func logSum(f []float32) float64 {
	m := float64(f[argMax(f)])
	var sum float64
	for _, v := range f {
		sum += math.Exp(float64(v) - m)
	}
	return m + math.Log(sum)
}

// String describes the report in a line.
func (r *Report) String() string {
	s := fmt.Sprintf("%s: %s: logits differ by at most %.3g (normalised mean square error %.2g), top-1 agreement %.1f %%",
		r.Verdict, r.Device, r.MaxAbs, r.NMSE, 100*r.Top1Agree)
	if r.FirstBad != nil {
		s += ", first op out of tolerance: " + *r.FirstBad
	}
	return s
}
