package optest

import "testing"

// Bench measures the cases of a useful size: one step, started and waited for.
func Bench(b *testing.B, open Open) { BenchIf(b, open, func(string) bool { return true }) }

// BenchIf measures the cases of a useful size whose name want accepts.
func BenchIf(b *testing.B, open Open, want func(name string) bool) {
	for _, c := range Cases() {
		if !c.Perf || !want(c.Name) {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			s := c.setup(b)
			e := open(b, s.prog, s.sizes, 0)
			ref := newOracle(s)
			if err := e.Stage(&s.batch); err != nil {
				b.Fatal(err)
			}
			for id, fill := range s.gen.fill {
				o := s.prog.Operands[id]
				if err := e.Write(o, ref.fill(o, fill)); err != nil {
					b.Fatal(err)
				}
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
