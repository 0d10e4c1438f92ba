package reference

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// ggmlExec multiplies matrices of blocks as ggml does on a processor. That is not exact: it rounds the vector too. For
// each 32 elements of the vector it keeps q, integers up to 127, with d = max|x| / 127 and s = d * sum(q), both as
// binary16. Then
//
//	y = sum over blocks of  dW d sum(qW q) + mW s
//
// with the matrix's scales dW and minima mW. All else it does as Exec.
type ggmlExec struct {
	*Exec
	ggmlEvaluator
}

// ggmlEvaluator is its op.Backend.
type ggmlEvaluator struct {
	*evaluator
	matrices map[*op.Operand]blockMatrix
}

// blockMatrix is dW qW for each element and mW for each block.
type blockMatrix struct{ scaled, minima []float32 }

func (g *ggmlExec) Forward(b *op.Batch) error {
	if err := g.Stage(b); err != nil {
		return err
	}
	for i := range g.prog.Steps {
		if err := g.prog.Steps[i].Op.Apply(&g.ggmlEvaluator); err != nil {
			return err
		}
	}
	return nil
}

func (g *ggmlEvaluator) MatMul(o *op.MatMul) error {
	n := g.Batch.Count(o.Parts[0].X.Of.Kind)
	for i := range o.Parts {
		p := &o.Parts[i]
		if !p.W.Source.Type.IsBlock() {
			if err := g.part(p, n); err != nil {
				return err
			}
			continue
		}
		w, err := g.matrix(p.W)
		if err != nil {
			return err
		}
		var z []float32
		for t := range n {
			z = append(z, w.times(g.Vec(p.X, t), p.Y.Len)...)
		}
		if err := g.finish(p, z); err != nil {
			return err
		}
	}
	return nil
}

func (g *ggmlEvaluator) matrix(o *op.Operand) (blockMatrix, error) {
	if w, ok := g.matrices[o]; ok {
		return w, nil
	}
	data, err := o.Source.Load()
	if err != nil {
		return blockMatrix{}, err
	}
	var w blockMatrix
	_, size := o.Source.Type.Block()
	for b := 0; b < len(data); b += size {
		var m float32
		if t := o.Source.Type; t == tensor.Q4_1 || t == tensor.Q5_1 {
			m = tensor.F16ToFloat(binary.LittleEndian.Uint16(data[b+2:])) // after the scale
		}
		w.minima = append(w.minima, m)
	}
	for i, v := range g.weight(o) {
		w.scaled = append(w.scaled, v-w.minima[i/32])
	}
	g.matrices[o] = w
	return w, nil
}

// times returns the m products with x.
func (w *blockMatrix) times(x []float32, m int) []float32 {
	k := len(x)
	q, d, s := make([]float32, k), make([]float32, k/32), make([]float32, k/32)
	half := func(v float32) float32 { return tensor.F16ToFloat(tensor.FloatToF16(v)) }
	for b := range d {
		var most, sum float32
		for _, v := range x[32*b:][:32] {
			most = max(most, float32(math.Abs(float64(v))))
		}
		for i := 32 * b; i < 32*b+32 && most > 0; i++ {
			q[i] = float32(math.RoundToEven(float64(x[i] * (127 / most))))
			sum += q[i]
		}
		d[b], s[b] = half(most/127), half(most/127*sum)
	}
	z := make([]float32, m)
	for r := range z {
		var total float64
		for b := range d {
			var dot float64
			for i := 32 * b; i < 32*b+32; i++ {
				dot += float64(w.scaled[r*k+i]) * float64(q[i])
			}
			total += dot*float64(d[b]) + float64(w.minima[r*k/32+b]*s[b])
		}
		z[r] = float32(total)
	}
	return z
}

// With ggml's arithmetic our reading of rwkv.cpp's files passes rwkv.cpp's own test.
func TestRWKVCppRule(t *testing.T) {
	golden.RunRWKVCppRule(t, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		e, err := New(m.Program, Options{Sizes: s})
		if err != nil {
			tb.Fatal(err)
		}
		return &ggmlExec{e, ggmlEvaluator{&e.run, make(map[*op.Operand]blockMatrix)}}
	})
}
