package optest

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// wkv4Cases: keys are fill functions, since it is their size that decides the arithmetic.
func wkv4Cases() []Case {
	build := func(c int, keys, seen func(*Gen) func() float32) func(g *Gen) op.Op {
		return func(g *Gen) op.Op {
			return &op.WKV4{R: g.In(op.Row, c, g.uniform(0, 1)), K: g.In(op.Row, c, keys(g)), V: g.In(op.Row, c, g.normal(1)),
				W: g.Param(c, g.uniform(-5, -0.001)), U: g.Param(c, g.normal(1)),
				AA: g.In(op.State, c, g.normal(1)), BB: g.In(op.State, c, g.uniform(0.1, 2)),
				PP: g.In(op.State, c, seen(g)), Y: g.Result(op.Row, c)}
		}
	}
	normal := func(scale float64) func(g *Gen) func() float32 {
		return func(g *Gen) func() float32 { return g.normal(scale) }
	}
	fresh := func(*Gen) func() float32 { return func() float32 { return op.MinExponent } }
	extreme := func(g *Gen) func() float32 {
		return func() float32 { return []float32{-80, 80, 0, -80, 79.5}[g.rng.IntN(5)] }
	}
	// A slot that holds nothing: no past, whatever aa and bb are multiplied with.
	empty := func(c int) func(g *Gen) op.Op {
		return func(g *Gen) op.Op {
			zero := func() float32 { return 0 }
			o := build(c, extreme, fresh)(g).(*op.WKV4)
			g.fill[o.AA.ID], g.fill[o.BB.ID] = zero, zero
			return o
		}
	}
	return []Case{
		{Name: "WKV4/one row", Seqs: []int{1}, Build: build(96, normal(1), normal(1))},
		{Name: "WKV4/odd width", Seqs: ragged, Build: build(5, normal(1), normal(1))},
		{Name: "WKV4/ragged", Seqs: ragged, Build: build(250, normal(3), normal(3))},
		{Name: "WKV4/many slots", Seqs: []int{1, 1, 1, 1, 1, 1, 1, 1, 1}, Build: build(40, normal(2), normal(2))},
		{Name: "WKV4/long", Seqs: []int{70}, Build: build(67, normal(2), normal(2))},
		{Name: "WKV4/fresh", Seqs: ragged, Build: empty(130)},
		{Name: "WKV4/extreme keys", Seqs: ragged, Build: build(64, extreme, extreme)},
		{Name: "WKV4/extreme keys, nothing seen", Seqs: []int{1, 5}, Build: build(64, extreme, fresh)},
		{Name: "WKV4/C768 decode", Seqs: []int{1}, Build: build(768, normal(1), normal(1)), Perf: true},
		{Name: "WKV4/C768 prefill", Seqs: []int{64}, Build: build(768, normal(1), normal(1)), Perf: true},
	}
}
