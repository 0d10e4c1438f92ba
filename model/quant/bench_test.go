package quant_test

import (
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// BenchmarkEncode reports the rate of float32 source on one core.
func BenchmarkEncode(b *testing.B) {
	x := make([]float32, 1<<14)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 0.02)
	}
	for _, typ := range tensor.BlockTypes {
		b.Run(typ.String(), func(b *testing.B) {
			dst := make([]byte, typ.Bytes(len(x)))
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := quant.Encode(typ, dst, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
