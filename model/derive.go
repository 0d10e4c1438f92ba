package model

import (
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Some weights are computed from tensors of the file when they are loaded. They are computed in float64 and stored as
// F32.

// mapped returns a tensor with f of each element of t.
func mapped(t *tensor.Tensor, f func(float64) float64) *tensor.Tensor {
	return tensor.Computed(op.Finite(t), t.Shape, func(x []float32) []float32 {
		y := make([]float32, len(x))
		for i, v := range x {
			y[i] = float32(f(float64(v)))
		}
		return y
	})
}

// mapped returns a tensor of the layer under the function that form names. The file may store the function's values
// already.
func (b *block) mapped(name string, form weights.Function) *tensor.Tensor {
	if b.file.Functions[b.full(name)] == form {
		return b.t(name)
	}
	return mapped(b.t(name), form.Of)
}

// perChannel returns t with one number for each of n channels. t has one for each head or one for each channel.
func perChannel(t *tensor.Tensor, n int) *tensor.Tensor {
	return tensor.Computed(op.Finite(t), []int{n}, func(x []float32) []float32 {
		y := make([]float32, n)
		for i := range y {
			y[i] = x[i/(n/len(x))]
		}
		return y
	})
}

// part returns the n-th of the equal parts of t along its first dimension.
func part(t *tensor.Tensor, n int) *tensor.Tensor {
	shape := t.Shape[1:]
	return t.Part(t.Name, shape, func() ([]byte, error) {
		data, err := t.Load()
		if err != nil {
			return nil, err
		}
		size := len(data) / t.Shape[0]
		return data[n*size : (n+1)*size], nil
	})
}

func oneMinus(x float64) float64 { return 1 - x }

// weightOf returns a weight of the layer.
func (b *block) weightOf(t *tensor.Tensor) *op.Operand { return b.Weight(t, t.Shape...) }

// constant returns a weight of the width of the residual stream whose elements are all value.
func (b *block) constant(value float32) *op.Operand {
	if o, ok := b.constants[value]; ok {
		return o
	}
	x := make([]float32, b.cfg.Embed)
	name := "zeros"
	for i := range x {
		x[i] = value
	}
	if value == 1 {
		name = "ones"
	}
	o := b.weightOf(tensor.FromFloats(name, []int{len(x)}, x))
	b.constants[value] = o
	return o
}
