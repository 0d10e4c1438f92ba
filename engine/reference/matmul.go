package reference

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// MatMul computes the group's products one after the other. The cores share the output rows of each.
func (e *evaluator) MatMul(o *op.MatMul) error {
	n := e.Batch.Count(o.Parts[0].X.Of.Kind)
	if n == 0 {
		return nil
	}
	for i := range o.Parts {
		if err := e.part(&o.Parts[i], n); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluator) part(p *op.Part, n int) error {
	m, k := p.Y.Len, p.X.Len
	w := e.weight(p.W)
	z := make([]float32, n*m)
	x := blas32.General{Rows: n, Cols: k, Stride: p.X.Of.Stride(), Data: e.From(p.X)}
	e.parallel(m, n*k, func(from, to int) {
		for block := max(cached/k, 1); from < to; from += block {
			multiply(z[from:], x, blas32.General{Rows: min(block, to-from), Cols: k, Stride: k, Data: w[from*k:]}, m)
		}
	})
	return e.finish(p, z)
}

// cached is how many elements of a matrix are multiplied with all tokens before the next elements: so many stay in a
// core's cache.
const cached = 1 << 15

// multiply sets z[t*stride+i] to the inner product of the t-th row of x and the i-th row of w. It multiplies token by
// token, and the order of each sum does not depend on the number of rows (TestRowsAlone). So a token's numbers do not
// depend on the other tokens of its batch.
func multiply(z []float32, x, w blas32.General, stride int) {
	for t := range x.Rows {
		blas32.Gemv(blas.NoTrans, 1, w, blas32.Vector{N: x.Cols, Inc: 1, Data: x.Data[t*x.Stride:]}, 0,
			blas32.Vector{N: w.Rows, Inc: 1, Data: z[t*stride:]})
	}
}

// finish applies the part's bias, activation and combination to the products z, float32[n][M].
func (e *evaluator) finish(p *op.Part, z []float32) error {
	m, bias := p.Y.Len, e.weight(p.Bias)
	if s := p.Factor(); s != 1 {
		blas32.Scal(s, blas32.Vector{N: len(z), Inc: 1, Data: z})
	}
	for t := range len(z) / m {
		row := z[t*m : (t+1)*m]
		if bias != nil {
			blas32.Axpy(1, blas32.Vector{N: m, Inc: 1, Data: bias}, blas32.Vector{N: m, Inc: 1, Data: row})
		}
		if err := activate(p.Act, row); err != nil {
			return err
		}
		if err := e.combine(p, row, t); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluator) combine(p *op.Part, z []float32, t int) error {
	y := e.Vec(p.Y, t)
	switch p.Combine {
	case op.Set:
		copy(y, z)
	case op.Add:
		for i, f := range e.Vec(p.From, t) {
			y[i] = f + z[i]
		}
	case op.Lerp:
		to := e.Vec(p.To, t)
		for i, f := range e.Vec(p.From, t) {
			y[i] = f + (to[i]-f)*z[i]
		}
	case op.Gate:
		to := e.Vec(p.To, t)
		for i, f := range e.Vec(p.From, t) {
			y[i] = f + to[i]*z[i]
		}
	case op.Mul:
		for i, f := range e.Vec(p.From, t) {
			y[i] = f * z[i]
		}
	default:
		return fmt.Errorf("reference: no way to combine by %s", p.Combine)
	}
	return nil
}

func activate(a op.Act, z []float32) error {
	var f func(float64) float64
	switch a {
	case op.Identity:
		return nil
	case op.Tanh:
		f = math.Tanh
	case op.Sigmoid:
		f = sigmoid
	case op.ReLU2:
		f = func(v float64) float64 { v = max(v, 0); return v * v }
	case op.Decay:
		f = func(v float64) float64 { return math.Exp(op.DecayScale * sigmoid(v)) }
	case op.SiLU:
		f = func(v float64) float64 { return v * sigmoid(v) }
	case op.ExpDecay:
		f = func(v float64) float64 { return math.Exp(-math.Exp(v)) }
	default:
		return fmt.Errorf("reference: no activation %s", a)
	}
	for i, v := range z {
		z[i] = float32(f(float64(v)))
	}
	return nil
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
