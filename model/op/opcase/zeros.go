package opcase

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// zeroCases are products of vectors with zeros, of which some kernels skip the weights.
func zeroCases() []Case {
	var list []Case
	for _, typ := range tensor.Types {
		for _, s := range []struct{ m, k int }{{7, 13}, {100, 1030}, {777, 264}} {
			for _, zeros := range []float64{1, 0.999, 0.8, 0.5} {
				list = append(list, Case{Name: fmt.Sprintf("MatMul/%s/%dx%d/zeros%g/rows1", typ, s.m, s.k, zeros), Seqs: []int{1},
					Build: func(g *Gen) op.Op {
						y := g.In(op.Row, s.m, g.normal(1)).All()
						return &op.MatMul{Parts: []op.Part{{W: g.Matrix(typ, g.normal(0.1), s.m, s.k), Combine: op.Add, From: y, Y: y,
							X: g.In(op.Row, s.k, func() float32 {
								if g.rng.Float64() < zeros {
									return 0
								}
								return float32(g.rng.NormFloat64())
							}).All()}}}
					}})
			}
		}
	}
	return list
}
