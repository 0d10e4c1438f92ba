package optest

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
)

// Bench measures the cases of a useful size: one step, started and waited for.
func Bench(b *testing.B, open Open) { BenchIf(b, open, func(string) bool { return true }) }

// BenchIf measures the cases of a useful size whose name want accepts.
func BenchIf(b *testing.B, open Open, want func(name string) bool) {
	for _, c := range opcase.Cases() {
		if !c.Perf || !want(c.Name) {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			s, err := c.Setup()
			if err != nil {
				b.Fatal(err)
			}
			e := open(b, s.Prog, s.Sizes, 0)
			if err := s.Start(e); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := e.RunStep(0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
