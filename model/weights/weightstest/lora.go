package weightstest

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// changeable reports whether t is a matrix that training tools add to: a linear layer of a time or channel mix.
func changeable(t *tensor.Tensor) bool {
	return strings.HasPrefix(t.Name, "blocks.") && strings.HasSuffix(t.Name, ".weight") && len(t.Shape) == 2
}

// LoRA returns a pair of random tensors lora_A [rank, in] and lora_B [out, rank] for each matrix [out, in] of a model,
// as large together as the matrix.
func LoRA(tensors []*tensor.Tensor, rank int, typ tensor.Type, seed uint64) []*tensor.Tensor {
	return forEach(tensors, typ, seed, func(g *generator, name string, out, in int) {
		g.add(name+"lora_A", 1/math.Sqrt(float64(in)), rank, in)
		g.add(name+"lora_B", 1/math.Sqrt(float64(rank)), out, rank)
	})
}

// Bone returns a random tensor disha [rank, out] for each matrix [out, in] of a model.
func Bone(tensors []*tensor.Tensor, rank int, typ tensor.Type, seed uint64) []*tensor.Tensor {
	return forEach(tensors, typ, seed, func(g *generator, name string, out, in int) {
		g.add(name+"disha", 1/math.Sqrt(float64(in)), rank, out)
	})
}

// Bat returns a random tensor disha [in/block, block, block] for each matrix [out, in] of a model.
func Bat(tensors []*tensor.Tensor, block int, typ tensor.Type, seed uint64) []*tensor.Tensor {
	return forEach(tensors, typ, seed, func(g *generator, name string, _, in int) {
		g.add(name+"disha", 1/math.Sqrt(float64(in)), in/block, block, block)
	})
}

func forEach(tensors []*tensor.Tensor, typ tensor.Type, seed uint64, add func(g *generator, name string, out, in int)) []*tensor.Tensor {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 5)), typ: typ}
	for _, t := range tensors {
		if changeable(t) {
			add(g, strings.TrimSuffix(t.Name, "weight"), t.Shape[0], t.Shape[1])
		}
	}
	return g.tensors
}

// Renamed returns t under another name.
func Renamed(t *tensor.Tensor, name string) *tensor.Tensor { return rename(t, name) }
