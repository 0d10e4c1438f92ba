package model

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// version7a is RWKV-7a: RWKV-7 with DeepEmbed, after BlinkDL's RWKV-LM, rwkv_v7a_demo.py.
var version7a = &version{
	name: "v7a", stateLayout: valueMajor,
	has: []string{"blocks.0.ffn.s_emb.weight"},
	tensors: slices.Concat(version7.tensors,
		layer("V S", "ffn.s_emb.weight"),
		[]spec{{name: "ffn.s_emb_x.weight", shape: "S C", layer: true, optional: true}},
		layer("C D1", "ffn.s1"), layer("D2 F", "ffn.s2"), layer("1 1 F", "ffn.s0"),
	),
	idle:       idle7,
	derive:     derive7a,
	timeMix:    timeMix7,
	channelMix: channelMix7a,
}

func derive7a(c *Config, d dims) *weights.Error {
	fail := func(name, want string, got int) *weights.Error {
		return &weights.Error{Tensor: name, Field: "shape", Want: want, Got: fmt.Sprint(got)}
	}
	if d["S"] != d["D1"]*d["D2"] {
		return fail("blocks.0.ffn.s_emb.weight", fmt.Sprintf("rows of %d * %d elements, for s1 and s2", d["D1"], d["D2"]), d["S"])
	}
	if d["D2"]%4 != 0 {
		return fail("blocks.0.ffn.s2", "a number of rows that is a multiple of 4", d["D2"])
	}
	return derive7(c, d)
}

func channelMix7a(b *block) {
	mix := b.shiftMix("ffn", "ln2", []*op.Operand{b.w("ffn.x_k"), b.constant(0)})
	s1, s2 := b.wT("ffn.s1"), b.wT("ffn.s2")
	k, h, e := b.row("ffn.k", b.cfg.FFN), b.row("ffn.deep_h", s1.Shape[0]), b.row("ffn.deep_e", s2.Shape[1])
	b.emit("ffn.key", &op.MatMul{Parts: []op.Part{
		{W: b.w("ffn.key.weight"), X: mix.Mixed(0), Act: op.ReLU2, Y: k.All()},
		{W: s1, X: mix.Mixed(1), Y: h.All()},
	}})
	b.emit("ffn.deep_embed", &op.DeepEmbed{H: h, Table: b.weightOf(b.deepTable()), Y: e})
	b.emit("ffn.deep_scale", &op.MatMul{Parts: []op.Part{
		{W: s2, X: e.All(), Bias: b.w("ffn.s0"), Combine: op.Mul, From: k.All(), Y: k.All()}}})
	b.emit("ffn.value", &op.MatMul{Parts: []op.Part{b.residual("ffn.value.weight", k)}})
}

// deepTable returns the layer's table of DeepEmbed, with what it takes from the model's own embedding merged in:
//
//	s_emb + layer_norm(emb; ln0) * transposed(s_emb_x)
//
// It is computed in float32 at each Load, some rows at a time.
func (b *block) deepTable() *tensor.Tensor {
	table := op.Finite(b.t("ffn.s_emb.weight"))
	if b.t("ffn.s_emb_x.weight") == nil {
		return table
	}
	sources := []*tensor.Tensor{table, op.Finite(b.tensors["emb.weight"]), op.Finite(b.t("ffn.s_emb_x.weight"))}
	norm := func([]float32) {}
	if !b.file.EmbeddingNormed {
		sources = append(sources, op.Finite(b.tensors["blocks.0.ln0.weight"]), op.Finite(b.tensors["blocks.0.ln0.bias"]))
	}
	eps := float64(b.cfg.NormEps)
	return tensor.New(table.Name, tensor.F32, table.Shape, func() ([]byte, error) {
		f := make([][]float32, len(sources))
		for i, t := range sources {
			var err error
			if f[i], err = t.Floats(); err != nil {
				return nil, err
			}
		}
		if len(f) > 3 {
			norm = func(x []float32) { layerNorm(x, f[3], f[4], eps) }
		}
		mergeDeep(f[0], f[1], f[2], b.cfg.Embed, norm)
		data := make([]byte, tensor.F32.Bytes(len(f[0])))
		tensor.F32.Encode(data, f[0])
		return data, nil
	})
}

// mergeDeep adds norm(emb [V, c]) * transposed(project [S, c]) to table [V, S]. It overwrites emb.
func mergeDeep(table, emb, project []float32, c int, norm func(row []float32)) {
	s, v := len(project)/c, len(emb)/c
	p := blas32.General{Rows: s, Cols: c, Stride: c, Data: project}
	const most = 1024 // rows at a time
	for first := 0; first < v; first += most {
		n := min(most, v-first)
		rows := emb[first*c : (first+n)*c]
		for at := 0; at < len(rows); at += c {
			norm(rows[at : at+c])
		}
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, blas32.General{Rows: n, Cols: c, Stride: c, Data: rows}, p, 1,
			blas32.General{Rows: n, Cols: s, Stride: s, Data: table[first*s:]})
	}
}

// layerNorm normalises x in place, with the population variance.
func layerNorm(x, w, b []float32, eps float64) {
	var sum, sq float64
	for _, v := range x {
		sum += float64(v)
	}
	mean := sum / float64(len(x))
	for _, v := range x {
		d := float64(v) - mean
		sq += d * d
	}
	rstd := 1 / math.Sqrt(sq/float64(len(x))+eps)
	for i, v := range x {
		x[i] = float32((float64(v)-mean)*rstd)*w[i] + b[i]
	}
}
