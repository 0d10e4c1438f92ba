package opcase

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

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

// wkv6Cases: RWKV-6 has a decay for each token, RWKV-5 one for all, its first version no gate.
func wkv6Cases() []Case {
	type kind struct{ perToken, gated bool }
	v6, v52, v50 := kind{true, true}, kind{false, true}, kind{false, false}
	build := func(heads, n int, k kind, decay func(*Gen) func() float32) func(g *Gen) op.Op {
		return func(g *Gen) op.Op {
			c := heads * n
			o := &op.WKV6{Heads: heads, N: n, Eps: 64e-5,
				R: g.In(op.Row, c, g.normal(1)), K: g.In(op.Row, c, g.normal(1)), V: g.In(op.Row, c, g.normal(1)),
				U: g.Param(c, g.normal(1)), NormW: g.Param(c, g.normal(1)), NormB: g.Param(c, g.normal(1)),
				State: g.In(op.State, heads*n*n, g.normal(0.5)), Y: g.Result(op.Row, c)}
			if k.perToken {
				o.W = g.In(op.Row, c, decay(g))
			} else {
				o.W = g.Param(c, decay(g))
			}
			if k.gated {
				o.G = g.In(op.Row, c, g.normal(1))
			}
			return o
		}
	}
	usual := func(g *Gen) func() float32 { return g.uniform(0.3, 1) }
	extreme := func(g *Gen) func() float32 {
		return func() float32 { return []float32{0, 1, 1e-30, 0.9999999}[g.rng.IntN(4)] }
	}
	return []Case{
		{Name: "WKV6/one row", Seqs: []int{1}, Build: build(3, 64, v6, usual)},
		{Name: "WKV6/N4", Seqs: ragged, Build: build(5, 4, v6, usual)},
		{Name: "WKV6/N20", Seqs: ragged, Build: build(2, 20, v6, usual)},
		{Name: "WKV6/N32, one decay", Seqs: ragged, Build: build(3, 32, v52, usual)},
		{Name: "WKV6/N12, one decay, no gate", Seqs: ragged, Build: build(3, 12, v50, usual)},
		{Name: "WKV6/N36", Seqs: ragged, Build: build(2, 36, v6, usual)},
		{Name: "WKV6/N128", Seqs: []int{4}, Build: build(1, 128, v6, usual)},
		{Name: "WKV6/N132", Seqs: []int{3, 1}, Build: build(2, 132, v6, usual)},
		{Name: "WKV6/N256", Seqs: []int{3, 1}, Build: build(1, 256, v52, usual)},
		{Name: "WKV6/long", Seqs: []int{50}, Build: build(2, 64, v6, usual)},
		{Name: "WKV6/many slots", Seqs: []int{1, 1, 1, 1, 1, 1}, Build: build(2, 64, v52, usual)},
		{Name: "WKV6/extreme decay", Seqs: ragged, Build: build(2, 64, v6, extreme)},
		{Name: "WKV6/extreme decay for all", Seqs: ragged, Build: build(2, 32, v50, extreme)},
		{Name: "WKV6/H12 decode", Seqs: []int{1}, Build: build(12, 64, v6, usual), Perf: true},
		{Name: "WKV6/H12 prefill", Seqs: []int{64}, Build: build(12, 64, v6, usual), Perf: true},
	}
}

// wkv7Cases: decays lie between exp(-exp(-0.5)) and 1, and sequences are shorter and longer than some chunks of tokens.
func wkv7Cases() []Case {
	const least = 0.54523921
	usual := func(g *Gen) func() float32 { return g.uniform(0.55, 1) }
	type fills struct{ w, k, a func(*Gen) func() float32 }
	keys := func(scale float64) fills {
		return fills{usual, func(g *Gen) func() float32 { return g.normal(scale) },
			func(g *Gen) func() float32 { return g.uniform(0, 1) }}
	}
	one := func(values ...float32) func(*Gen) func() float32 {
		return func(g *Gen) func() float32 {
			return func() float32 { return values[g.rng.IntN(len(values))] }
		}
	}
	build := func(heads, n int, f fills) func(g *Gen) op.Op {
		return func(g *Gen) op.Op {
			c := heads * n
			return &op.WKV7{Heads: heads, N: n, Eps: 64e-5,
				R: g.In(op.Row, c, g.normal(1)), W: g.In(op.Row, c, f.w(g)), K: g.In(op.Row, c, f.k(g)),
				V: g.In(op.Row, c, g.normal(1)), A: g.In(op.Row, c, f.a(g)), G: g.In(op.Row, c, g.normal(1)),
				KK: g.Param(c, g.normal(1)), KA: g.Param(c, g.normal(1)), RK: g.Param(c, g.normal(0.5)),
				NormW: g.Param(c, g.normal(1)), NormB: g.Param(c, g.normal(1)),
				State: g.In(op.State, heads*n*n, g.normal(0.5)), Y: g.Result(op.Row, c)}
		}
	}
	long := []int{33, 1, 16, 50, 15, 2, 17}
	return []Case{
		{Name: "WKV7/one row", Seqs: []int{1}, Build: build(3, 64, keys(1))},
		{Name: "WKV7/N4", Seqs: ragged, Build: build(5, 4, keys(1))},
		{Name: "WKV7/N20", Seqs: ragged, Build: build(2, 20, keys(1))},
		{Name: "WKV7/N32", Seqs: ragged, Build: build(3, 32, keys(1))},
		{Name: "WKV7/N68", Seqs: ragged, Build: build(2, 68, keys(1))},
		{Name: "WKV7/N128", Seqs: []int{4}, Build: build(1, 128, keys(1))},
		{Name: "WKV7/N132", Seqs: []int{3, 1}, Build: build(2, 132, keys(1))},
		{Name: "WKV7/N256", Seqs: []int{3}, Build: build(1, 256, keys(1))},
		{Name: "WKV7/long", Seqs: []int{50}, Build: build(2, 64, keys(1))},
		{Name: "WKV7/long, ragged", Seqs: long, Build: build(2, 64, keys(1))},
		{Name: "WKV7/long, ragged, N20", Seqs: long, Build: build(3, 20, keys(1))},
		{Name: "WKV7/many slots", Seqs: []int{1, 1, 1, 1, 1, 1}, Build: build(2, 64, keys(1))},
		// Keys so small that the norm's lower bound decides, against a state that shows it.
		{Name: "WKV7/tiny keys", Seqs: []int{3}, Build: build(1, 64, keys(1e-13))},
		{Name: "WKV7/zero keys", Seqs: []int{3}, Build: build(1, 64, keys(0))},
		// One token of each sequence.
		{Name: "WKV7/one each/N4", Seqs: []int{1, 1}, Build: build(5, 4, keys(1))},
		{Name: "WKV7/one each/N8", Seqs: []int{1, 1}, Build: build(3, 8, keys(1))},
		{Name: "WKV7/one each/N12", Seqs: []int{1, 1}, Build: build(2, 12, keys(1))},
		{Name: "WKV7/one each/N16", Seqs: []int{1}, Build: build(2, 16, keys(1))},
		{Name: "WKV7/one each/N20", Seqs: []int{1, 1, 1}, Build: build(2, 20, keys(1))},
		{Name: "WKV7/one each/N36", Seqs: []int{1}, Build: build(3, 36, keys(1))},
		{Name: "WKV7/one each/N128", Seqs: []int{1, 1}, Build: build(1, 128, keys(1))},
		{Name: "WKV7/one each/N256", Seqs: []int{1}, Build: build(1, 256, keys(1))},
		{Name: "WKV7/one each/zero keys", Seqs: []int{1}, Build: build(1, 64, keys(0))},
		{Name: "WKV7/fastest decay", Seqs: []int{70, 3}, Build: build(2, 64, fills{one(least), keys(1).k, keys(1).a})},
		{Name: "WKV7/no decay", Seqs: []int{70, 3}, Build: build(2, 64, fills{one(1), keys(1).k, keys(1).a})},
		{Name: "WKV7/both decays", Seqs: []int{70, 3}, Build: build(2, 64, fills{one(least, 1), keys(1).k, one(0, 1)})},
		// The same key over and over, or its opposite, replaced whole each time.
		{Name: "WKV7/one key", Seqs: []int{70, 3}, Build: build(1, 64, fills{one(1), one(0.5), one(1)})},
		{Name: "WKV7/keys of one size", Seqs: []int{70, 3}, Build: build(1, 32, fills{one(least, 1), one(-0.5, 0.5), one(1)})},
		{Name: "WKV7/H12 decode", Seqs: []int{1}, Build: build(12, 64, keys(1)), Perf: true},
		{Name: "WKV7/H12 prefill", Seqs: []int{64}, Build: build(12, 64, keys(1)), Perf: true},
	}
}

func deepEmbedCases() []Case {
	var list []Case
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16} {
		for _, s := range []struct{ inner, width int }{{1, 4}, {3, 12}, {32, 32}, {17, 100}} {
			for _, seqs := range [][]int{{1}, ragged} {
				list = append(list, Case{
					Name: fmt.Sprintf("DeepEmbed/%s/%dx%d/%d seqs", typ, s.inner, s.width, len(seqs)), Seqs: seqs,
					Build: func(g *Gen) op.Op {
						return &op.DeepEmbed{H: g.In(op.Row, s.inner, g.normal(1)), Y: g.Result(op.Row, s.width),
							Table: g.Matrix(typ, g.normal(0.2), vocab, s.inner*s.width)}
					}})
			}
		}
	}
	return list
}
