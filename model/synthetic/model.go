package synthetic

import (
	"fmt"
	"hash/fnv"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Seed is the seed that models are made from unless another is asked for.
const Seed = 1

// New returns a model of that size, stored as typ (one that CanEncode), whose tensors are made from the seed at each
// Load: the same size, type and seed give the same bytes.
func New(s Size, typ tensor.Type, seed uint64) (*weights.File, error) {
	if !typ.CanEncode() {
		return nil, fmt.Errorf("synthetic: want a plain type, got %s", typ)
	}
	if s.Layers < 1 || s.Embed < 1 || s.Head < 1 || s.Embed%s.Head != 0 {
		return nil, fmt.Errorf("synthetic: want at least one layer and a width of whole heads, got %+v", s)
	}
	m := maker{typ: typ, seed: seed}
	m.model(s)
	return weights.FromTensors(fmt.Sprintf("synthetic %s", s.Name), "synthetic", m.list)
}

// maker collects a model's tensors.
type maker struct {
	typ  tensor.Type
	seed uint64
	list []*tensor.Tensor
}

// hiddenShift is how far below zero the channel mix's hidden values lie on average, where each weight alone would give
// them a deviation of 1; the token shift, which averages, leaves 0.83 of that.
const hiddenShift = 0.76

// ffnBias is the mean of ln2's bias, which carries that shift.
const ffnBias = 0.3

// model adds every tensor, under the names and in the shapes of the published files.
func (m *maker) model(s Size) {
	c := s.Embed
	toC, toF := 1/math.Sqrt(float64(c)), 1/math.Sqrt(float64(s.FFN))
	m.add("emb.weight", 0, 0.5, s.Vocab, c)
	for l := range s.Layers {
		b := fmt.Sprintf("blocks.%d.", l)
		if l == 0 {
			m.norm(b+"ln0", 0, c)
		}
		m.norm(b+"ln1", 0, c)
		m.norm(b+"ln2", ffnBias, c)
		for _, x := range []string{"r", "w", "k", "v", "a", "g"} {
			m.add(b+"att.x_"+x, 0.5, 0.2, 1, 1, c)
		}
		m.lowRank(b+"att.w", s.W, c)
		m.add(b+"att.w0", -3, 1.5, 1, 1, c)
		m.lowRank(b+"att.a", s.A, c)
		m.add(b+"att.a0", 0, 0.5, 1, 1, c)
		if l > 0 {
			m.lowRank(b+"att.v", s.V, c)
			m.add(b+"att.v0", 0.5, 0.3, 1, 1, c)
		}
		m.lowRank(b+"att.g", s.G, c)
		m.add(b+"att.k_k", 0.8, 0.1, 1, 1, c)
		m.add(b+"att.k_a", 1, 0.1, 1, 1, c)
		m.add(b+"att.r_k", 0, 0.1, c/s.Head, s.Head)
		for _, name := range []string{"receptance", "key", "value"} {
			m.add(b+"att."+name+".weight", 0, toC, c, c)
		}
		m.add(b+"att.output.weight", 0, 0.5*toC, c, c)
		m.norm(b+"att.ln_x", 0, c)
		m.add(b+"ffn.x_k", 0.5, 0.2, 1, 1, c)
		m.add(b+"ffn.key.weight", -hiddenShift*toC*toC/ffnBias, toC, s.FFN, c)
		m.add(b+"ffn.value.weight", 0, 0.5*toF, c, s.FFN)
	}
	m.norm("ln_out", 0, c)
	m.add("head.weight", 0, 2*toC, s.Vocab, c)
}

// norm adds the weight and bias of a norm.
func (m *maker) norm(name string, bias float64, c int) {
	m.add(name+".weight", 1, 0.1, c)
	m.add(name+".bias", bias, 0.05, c)
}

// lowRank adds the two factors of a low-rank product, as published files have them: [in, rank] and [rank, out].
func (m *maker) lowRank(name string, rank, c int) {
	m.add(name+"1", 0, 1/math.Sqrt(float64(c)), c, rank)
	m.add(name+"2", 0, 0.5/math.Sqrt(float64(max(rank, 1))), rank, c)
}

// add adds a tensor of normal numbers.
func (m *maker) add(name string, mean, deviation float64, shape ...int) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	n := normal{mean: mean, deviation: deviation, key: mix(h.Sum64() ^ mix(m.seed))}
	var t *tensor.Tensor
	typ := m.typ
	t = tensor.New(name, typ, shape, func() ([]byte, error) {
		data := make([]byte, typ.Bytes(t.Len()))
		n.fill(typ, data)
		return data, nil
	})
	m.list = append(m.list, t)
}
