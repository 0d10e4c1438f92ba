package weightstest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Size is the shape of a synthetic RWKV-7 model.
type Size struct {
	Vocab, Embed, Layers, Head, FFN int // Head is the head size and divides Embed
	W, A, V, G                      int // low-rank widths
}

// Tiny is a model of about 20 thousand weights, with all ranks different.
var Tiny = Size{Vocab: 67, Embed: 32, Layers: 2, Head: 16, FFN: 96, W: 8, A: 12, V: 4, G: 20}

// Blocks256 is a model whose products have rows of whole blocks of any type, and heads as published models have them.
var Blocks256 = Size{Vocab: 300, Embed: 256, Layers: 2, Head: 64, FFN: 512, W: 32, A: 32, V: 16, G: 64}

// RWKV7 returns the tensors of an RWKV-7 model of that size, under the original names and with the shapes of the
// published files ([1, 1, C] vectors, no v0 v1 v2 in layer 0), in order, filled with seeded random numbers of a size
// that keeps the model's arithmetic finite.
func RWKV7(s Size, typ tensor.Type, seed uint64) []*tensor.Tensor {
	g := generator{typ: typ, rng: rand.New(rand.NewPCG(seed, 7))}
	c := s.Embed
	g.add("emb.weight", 1, s.Vocab, c)
	for i := range s.Layers {
		b := fmt.Sprintf("blocks.%d.", i)
		if i == 0 {
			g.norm(b+"ln0", c)
		}
		g.norm(b+"ln1", c)
		g.norm(b+"ln2", c)
		for _, x := range []string{"r", "w", "k", "v", "a", "g"} {
			g.add(b+"att.x_"+x, 0.5, 1, 1, c)
		}
		g.lowRank(b+"att.w", s.W, c, true)
		g.lowRank(b+"att.a", s.A, c, true)
		if i > 0 {
			g.lowRank(b+"att.v", s.V, c, true)
		}
		g.lowRank(b+"att.g", s.G, c, false)
		g.add(b+"att.k_k", 1, 1, 1, c)
		g.add(b+"att.k_a", 1, 1, 1, c)
		g.add(b+"att.r_k", 0.3, c/s.Head, s.Head)
		for _, m := range []string{"receptance", "key", "value", "output"} {
			g.matrix(b+"att."+m+".weight", c, c)
		}
		g.norm(b+"att.ln_x", c)
		g.add(b+"ffn.x_k", 0.5, 1, 1, c)
		g.matrix(b+"ffn.key.weight", s.FFN, c)
		g.matrix(b+"ffn.value.weight", c, s.FFN)
	}
	g.norm("ln_out", c)
	g.matrix("head.weight", s.Vocab, c)
	return g.tensors
}

type generator struct {
	typ     tensor.Type
	rng     *rand.Rand
	tensors []*tensor.Tensor
}

// add appends a tensor of normal numbers with that standard deviation.
func (g *generator) add(name string, deviation float64, shape ...int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	f := make([]float32, n)
	for i := range f {
		f[i] = float32(deviation * g.rng.NormFloat64())
	}
	b := make([]byte, g.typ.Bytes(n))
	g.typ.Encode(b, f)
	g.tensors = append(g.tensors, tensor.FromBytes(name, g.typ, shape, b))
}

func (g *generator) norm(name string, c int) {
	g.add(name+".weight", 1, c)
	g.add(name+".bias", 0.1, c)
}

// matrix appends an [out, in] matrix that keeps the size of what it multiplies.
func (g *generator) matrix(name string, out, in int) {
	g.add(name, 1/math.Sqrt(float64(in)), out, in)
}

// lowRank appends name0 [1, 1, C] if biased, name1 [C, rank] and name2 [rank, C].
func (g *generator) lowRank(name string, rank, c int, biased bool) {
	if biased {
		g.add(name+"0", 0.5, 1, 1, c)
	}
	g.add(name+"1", 1/math.Sqrt(float64(c)), c, rank)
	g.add(name+"2", 1/math.Sqrt(float64(rank)), rank, c)
}

// WebRWKV returns RWKV-7 tensors as the web-rwkv layout stores them: in F16, sorted by name, the low-rank matrices
// transposed.
func WebRWKV(tensors []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(tensors))
	for i, t := range tensors {
		f, err := t.Floats()
		if err != nil {
			panic("weightstest: " + err.Error())
		}
		shape := slices.Clone(t.Shape)
		if part := t.Name[strings.LastIndexByte(t.Name, '.')+1:]; len(part) == 2 && strings.Contains("wavg", part[:1]) && strings.Contains("12", part[1:]) {
			rows, cols := shape[0], shape[1]
			swapped := make([]float32, len(f))
			for r := range rows {
				for c := range cols {
					swapped[c*rows+r] = f[r*cols+c]
				}
			}
			f, shape = swapped, []int{cols, rows}
		}
		b := make([]byte, tensor.F16.Bytes(len(f)))
		tensor.F16.Encode(b, f)
		out[i] = tensor.FromBytes(t.Name, tensor.F16, shape, b)
	}
	slices.SortFunc(out, func(a, b *tensor.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return out
}
