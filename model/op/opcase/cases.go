package opcase

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// ragged are sequences of unequal length.
var ragged = []int{3, 1, 7, 2}

// Cases returns every conformance case.
func Cases() []Case {
	return slices.Concat(embedCases(), layerNormCases(), shiftMixCases(), shiftCommitCases(),
		matMulCases(), blockCases(), matMulFunctionCases(), groupCases(), zeroCases(), wkv4Cases(), wkv6Cases(), wkv7Cases(), deepEmbedCases())
}

func embedCases() []Case {
	var list []Case
	for _, typ := range tensor.Types {
		for _, c := range []int{1, 5, 64, 96, 250} {
			list = append(list, Case{
				Name: fmt.Sprintf("Embed/%s/C%d", typ, c), Seqs: ragged,
				Build: func(g *Gen) op.Op {
					return &op.Embed{Table: g.Matrix(typ, g.normal(0.3), vocab, c), Eps: 1e-5, Y: g.Result(op.Row, c),
						NormW: g.Param(c, g.normal(1)), NormB: g.Param(c, g.normal(1))}
				}})
		}
		list = append(list, Case{Name: fmt.Sprintf("Embed/%s/no norm", typ), Seqs: ragged,
			Build: func(g *Gen) op.Op {
				return &op.Embed{Table: g.Matrix(typ, g.normal(0.3), vocab, 70), Y: g.Result(op.Row, 70)}
			}})
		// A table much larger than the scratch, so that it can be bound in pieces that cut it anywhere.
		list = append(list, Case{Name: fmt.Sprintf("Embed/%s/few rows", typ), Seqs: []int{4, 1},
			Build: func(g *Gen) op.Op {
				return &op.Embed{Table: g.Matrix(typ, g.normal(0.3), vocab, 1000), Eps: 1e-5, Y: g.Result(op.Row, 1000),
					NormW: g.Param(1000, g.normal(1)), NormB: g.Param(1000, g.normal(1))}
			}})
	}
	return list
}

func layerNormCases() []Case {
	build := func(c int, mean float64, eps float32) func(g *Gen) op.Op {
		return func(g *Gen) op.Op {
			return &op.LayerNorm{X: g.In(op.Row, c, g.uniform(mean-1, mean+1)), Eps: eps, Y: g.Result(op.Out, c),
				NormW: g.Param(c, g.normal(1)), NormB: g.Param(c, g.normal(1))}
		}
	}
	list := []Case{
		{Name: "LayerNorm/last", Seqs: ragged, Outs: 1, Build: build(96, 0, 1e-5)},
		{Name: "LayerNorm/some", Seqs: ragged, Outs: 2, Build: build(33, 0, 1e-5)},
		{Name: "LayerNorm/wide", Seqs: []int{2}, Outs: 2, Build: build(4096, 0, 1e-5), Perf: true},
		{Name: "LayerNorm/offset", Seqs: []int{5}, Outs: 5, Build: build(300, 8, 1e-5)},
		{Name: "LayerNorm/eps", Seqs: []int{5}, Outs: 5, Build: build(64, 0, 0.5)},
	}
	return list
}

func shiftMixCases() []Case {
	build := func(c, mixes int) func(g *Gen) op.Op {
		return func(g *Gen) op.Op {
			width, off := 3*op.Stride(c), op.Stride(c)
			o := &op.ShiftMix{X: g.In(op.Row, c, g.normal(2)), Eps: 1e-5, StateOff: off,
				NormW: g.Param(c, g.normal(1)), NormB: g.Param(c, g.normal(1)),
				State: g.In(op.State, width, g.normal(1)), Last: g.In(op.Seq, width, g.normal(1)),
				Y: g.In(op.Row, mixes*op.Stride(c), g.normal(1))}
			for range mixes {
				o.Mix = append(o.Mix, g.Param(c, g.uniform(0, 1)))
			}
			return o
		}
	}
	return []Case{
		{Name: "ShiftMix/one row", Seqs: []int{1}, Build: build(64, 6)},
		{Name: "ShiftMix/odd width", Seqs: ragged, Build: build(5, 3)},
		{Name: "ShiftMix/ragged", Seqs: ragged, Build: build(96, 6)},
		{Name: "ShiftMix/many slots", Seqs: []int{1, 1, 1, 1, 1, 1, 1, 1, 1}, Build: build(40, 1)},
		{Name: "ShiftMix/long", Seqs: []int{70}, Build: build(250, 2)},
		{Name: "ShiftMix/C768 decode", Seqs: []int{1}, Build: build(768, 6), Perf: true},
		{Name: "ShiftMix/C768 prefill", Seqs: []int{64}, Build: build(768, 6), Perf: true},
	}
}

func shiftCommitCases() []Case {
	var list []Case
	for _, width := range []int{3, 64, 1000} {
		list = append(list, Case{Name: fmt.Sprintf("ShiftCommit/%d", width), Seqs: ragged,
			Build: func(g *Gen) op.Op {
				return &op.ShiftCommit{Last: g.In(op.Seq, width, g.normal(1)), State: g.In(op.State, width, g.normal(1))}
			}})
	}
	return list
}

// matMulCases are single products of many shapes, for every type and for row counts on both sides of every kernel's
// bounds.
func matMulCases() []Case {
	var list []Case
	for _, typ := range tensor.Types {
		for _, s := range []struct{ m, k int }{{1, 1}, {7, 13}, {24, 96}, {100, 130}, {67, 512}} {
			for _, rows := range []int{1, 2, 3, 8, 9, 33} {
				list = append(list, product(typ, s.m, s.k, rows, false))
			}
		}
		list = append(list, product(typ, 768, 768, 1, true), product(typ, 3072, 768, 1, true),
			product(typ, 768, 3072, 1, true), product(typ, 768, 768, 64, true))
	}
	return list
}

// blockCases are products and tables of the block types: rows of one block, of whole and of cut superblocks.
func blockCases() []Case {
	var list []Case
	for _, typ := range tensor.BlockTypes {
		n, _ := typ.Block()
		for _, s := range []struct{ m, k, rows int }{{7, n, 1}, {7, n, 9}, {100, 7 * n, 3}, {100, 7 * n, 33}} {
			list = append(list, product(typ, s.m, s.k, s.rows, false))
		}
		list = append(list, product(typ, 3072, 768, 1, true), product(typ, 768, 3072, 64, true))
		embed := func(c int, seqs []int) Case {
			return Case{Name: fmt.Sprintf("Embed/%s/C%d", typ, c), Seqs: seqs,
				Build: func(g *Gen) op.Op {
					return &op.Embed{Table: g.Matrix(typ, g.uniform(-0.02, 0.02), vocab, c), Eps: 1e-5, Y: g.Result(op.Row, c),
						NormW: g.Param(c, g.normal(1)), NormB: g.Param(c, g.normal(1))}
				}}
		}
		// The last two have weights much larger than the scratch, as above.
		list = append(list, embed(n, ragged), embed(3*n, ragged), embed(2304, []int{1}), product(typ, 512, 512, 1, false))
	}
	return list
}

func product(typ tensor.Type, m, k, rows int, perf bool) Case {
	return Case{Name: fmt.Sprintf("MatMul/%s/%dx%d/rows%d", typ, m, k, rows), Seqs: []int{rows}, Perf: perf,
		Build: func(g *Gen) op.Op {
			return &op.MatMul{Parts: []op.Part{{W: g.Matrix(typ, g.normal(0.1), m, k),
				X: g.In(op.Row, k, g.normal(1)).All(), Y: g.Result(op.Row, m).All()}}}
		}}
}

// matMulFunctionCases are the epilogues, and products of outs.
func matMulFunctionCases() []Case {
	const m, k = 45, 136
	var list []Case
	for _, rows := range []int{1, 2, 3, 20} {
		add := func(name string, scale float64, part func(g *Gen, p *op.Part)) {
			list = append(list, Case{Name: fmt.Sprintf("MatMul/%s/rows%d", name, rows), Seqs: []int{rows},
				Build: func(g *Gen) op.Op {
					p := op.Part{W: g.Matrix(tensor.F16, g.normal(scale), m, k),
						X: g.In(op.Row, k, g.normal(1)).All(), Y: g.Result(op.Row, m).All()}
					part(g, &p)
					return &op.MatMul{Parts: []op.Part{p}}
				}})
		}
		for _, act := range []op.Act{op.Identity, op.Tanh, op.Sigmoid, op.ReLU2, op.Decay, op.SiLU, op.ExpDecay} {
			add(act.String(), 0.2, func(g *Gen, p *op.Part) { p.Act, p.Bias = act, g.Param(m, g.normal(1)) })
			add(act.String()+" large", 0.2, func(g *Gen, p *op.Part) { p.Act, p.Bias = act, g.Param(m, g.uniform(-120, 120)) })
		}
		add("add", 0.2, func(g *Gen, p *op.Part) {
			p.Combine, p.From = op.Add, g.In(op.Row, m, g.normal(1)).All()
		})
		add("add in place", 0.2, func(g *Gen, p *op.Part) {
			p.Combine, p.Y = op.Add, g.In(op.Row, m, g.normal(1)).All()
			p.From = p.Y
		})
		add("lerp in place", 0.2, func(g *Gen, p *op.Part) {
			p.Combine, p.Act, p.Bias = op.Lerp, op.Sigmoid, g.Param(m, g.normal(1))
			p.Y, p.To = g.In(op.Row, m, g.normal(1)).All(), g.In(op.Row, m, g.normal(1)).All()
			p.From = p.Y
		})
		add("gate in place", 0.2, func(g *Gen, p *op.Part) {
			p.Combine, p.Scale = op.Gate, 4
			p.Y, p.To = g.In(op.Row, m, g.normal(1)).All(), g.In(op.Row, m, g.uniform(0, 1)).All()
			p.From = p.Y
		})
		add("mul", 0.2, func(g *Gen, p *op.Part) {
			p.Combine, p.Bias, p.From = op.Mul, g.Param(m, g.normal(1)), g.In(op.Row, m, g.normal(1)).All()
		})
		add("mul in place", 0.2, func(g *Gen, p *op.Part) {
			p.Combine, p.Y = op.Mul, g.In(op.Row, m, g.normal(1)).All()
			p.From = p.Y
		})
		add("scale before bias and act", 0.2, func(g *Gen, p *op.Part) {
			p.Scale, p.Bias, p.Act = 0.25, g.Param(m, g.normal(1)), op.Sigmoid
		})
	}
	// More tokens, and rows, than any kernel takes at once.
	list = append(list, product(tensor.F16, 40, 136, 300, false), product(tensor.F16, 1100, 40, 130, false))
	return append(list, Case{Name: "MatMul/outs", Seqs: ragged, Outs: 1, Build: func(g *Gen) op.Op {
		return &op.MatMul{Parts: []op.Part{{W: g.Matrix(tensor.BF16, g.normal(0.2), 257, k),
			X: g.In(op.Out, k, g.normal(1)).All(), Y: g.Result(op.Out, 257).All()}}}
	}})
}

// groupCases are groups as RWKV-7 has them: parts of different heights, depths, types and functions, on slices.
func groupCases() []Case {
	var list []Case
	for _, types := range [][2]tensor.Type{{tensor.F16, tensor.F16}, {tensor.BF16, tensor.F32}} {
		for _, rows := range []int{1, 5, 40} {
			list = append(list, Case{Name: fmt.Sprintf("MatMul/group/%s+%s/rows%d", types[0], types[1], rows), Seqs: []int{rows},
				Build: func(g *Gen) op.Op { return group(g, types) }},
				Case{Name: fmt.Sprintf("MatMul/group up/%s+%s/rows%d", types[0], types[1], rows), Seqs: []int{rows},
					Build: func(g *Gen) op.Op { return groupUp(g, types) }})
		}
	}
	for _, rows := range []int{1, 20} {
		list = append(list, Case{Name: fmt.Sprintf("MatMul/most parts/rows%d", rows), Seqs: []int{rows}, Build: mostParts})
	}
	return list
}

// mostParts is a group of as many parts as there may be.
func mostParts(g *Gen) op.Op {
	const c = 48
	x := g.In(op.Row, c, g.normal(1))
	o := &op.MatMul{}
	for i := range op.MaxParts {
		m := 8 + 17*i
		o.Parts = append(o.Parts, op.Part{W: g.Matrix(tensor.F16, g.normal(0.1), m, c), X: x.All(), Bias: g.Param(m, g.normal(1)), Y: g.Result(op.Row, m).All()})
	}
	return o
}

func group(g *Gen, types [2]tensor.Type) op.Op {
	const c = 160
	mixed := g.In(op.Row, 6*c, g.normal(1))
	o := &op.MatMul{}
	for i, m := range []int{c, c, c, 24, 40, 9, 56} {
		typ := types[0]
		if i >= 3 {
			typ = types[1]
		}
		o.Parts = append(o.Parts, op.Part{W: g.Matrix(typ, g.normal(0.1), m, c), X: mixed.Slice(i%6*c, c),
			Act: []op.Act{op.Identity, op.Tanh, op.Sigmoid}[i%3], Y: g.Result(op.Row, m).All()})
	}
	return o
}

func groupUp(g *Gen, types [2]tensor.Type) op.Op {
	const c = 96
	v, first := g.In(op.Row, c, g.normal(1)), g.In(op.Row, c, g.normal(1))
	o := &op.MatMul{}
	for i, k := range []int{24, 40, 9, 56} {
		p := op.Part{W: g.Matrix(types[i%2], g.normal(0.2), c, k), X: g.In(op.Row, k, g.normal(1)).All(),
			Bias: g.Param(c, g.normal(1)), Act: op.Sigmoid}
		if i == 2 {
			p.Combine, p.From, p.To, p.Y = op.Lerp, v.All(), first.All(), v.All()
		} else {
			p.Y = g.Result(op.Row, c).All()
		}
		o.Parts = append(o.Parts, p)
	}
	return o
}
