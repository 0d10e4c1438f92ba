package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// A head of RWKV-7 for one token, and a norm of a layer.
func BenchmarkWKV7(b *testing.B) {
	const n, rows = 64, 16
	rng := rand.New(rand.NewPCG(1, 1))
	vec := func(n int) []float32 { return random(b, rng, n) }
	for _, l := range Levels() {
		b.Run(fmt.Sprint(l), func(b *testing.B) {
			head := Head{NormW: vec(n), NormB: vec(n), State: alloc(b, n*n), Y: vec(n * rows), Stride: n, N: n, Rows: rows, Eps: 1e-5}
			p := &WKV7{Head: head, R: vec(n * rows), W: vec(n * rows), K: vec(n * rows), V: vec(n * rows),
				A: vec(n * rows), G: vec(n * rows), KK: vec(n), KA: vec(n), RK: vec(n)}
			for i := range p.W {
				p.W[i] = 0.9
			}
			work := alloc(b, 4*n)
			for b.Loop() {
				clear(p.State)
				l.WKV7(p, work)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/token")
		})
	}
}

func BenchmarkLayerNorm(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, w, y := random(b, rng, 768), random(b, rng, 768), alloc(b, 768)
	for _, l := range Levels() {
		b.Run(fmt.Sprint(l), func(b *testing.B) {
			for b.Loop() {
				l.LayerNorm(y, x, w, w, 1e-5)
			}
		})
	}
}

// One vector with a matrix that no cache holds, as the head of a model is: on one thread.
func BenchmarkHead(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, l := range Levels() {
		for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_K, tensor.Q6_K} {
			b.Run(fmt.Sprintf("%s/%s", l, typ), func(b *testing.B) {
				const m, k, piece = 65536, 768, 64
				p := product(b, rng, typ, piece, k, 1)
				w, err := AllocBytes(m / piece * len(p.W))
				if err != nil {
					b.Fatal(err)
				}
				defer Free(w)
				for at := 0; at < len(w); at += len(p.W) {
					copy(w[at:], p.W)
				}
				p.W, p.M, p.Y.First = w, m, alloc(b, m)
				part, work := NewPart(p), alloc(b, WorkLen(piece, k, 1))
				for b.Loop() {
					for from := 0; from < m; from += piece {
						if err := l.MatMul(part, from, from+piece, 1, work); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(len(w))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
	}
}
