package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// byColumns gives p room for its columns, in tiles of so many rows.
func (p *Product) byColumns(tb testing.TB, tile int) {
	tb.Helper()
	room, err := AllocLarge(ColumnBytes(p.Type, p.M, p.K))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { Free(room) })
	p.Columns, p.Tile = room, tile
}

// thinned makes elements of p's vectors zeros, of both signs, until about so large a part of them is left. Some of the
// others are as small, as large and as odd as numbers may be.
func (p *Product) thinned(rng *rand.Rand, left float64) {
	odd := []float32{1e-45, -1e-45, 1e-30, 3e38, float32(math.Inf(1)), float32(math.NaN())}
	for i := range p.X.First {
		switch f := rng.Float64(); {
		case f >= left:
			p.X.First[i] = float32(math.Copysign(0, rng.Float64()-0.5))
		case rng.IntN(200) == 0:
			p.X.First[i] = odd[rng.IntN(4)]
		case rng.IntN(20000) == 0:
			p.X.First[i] = odd[rng.IntN(len(odd))]
		}
	}
}

// A product by columns has the bits of the one by rows, whatever stands in its vectors, in one run or in runs of some
// tiles.
func TestSparseMatMul(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for c := range 240 {
		typ := tensor.Types[c%len(tensor.Types)]
		m, k, n := 1+rng.IntN(3*MostTile+20), 1+rng.IntN(500), 1+rng.IntN(8)
		p := product(t, rng, typ, m, k, n)
		p.Scale, p.Act, p.Combine = []float32{1, -0.5}[rng.IntN(2)], op.Act(rng.IntN(7)), op.Combine(rng.IntN(5))
		if rng.IntN(2) == 0 {
			p.Bias = random(t, rng, m)
		}
		p.thinned(rng, []float64{0, 0.01, 0.1, 0.5, 1}[rng.IntN(5)])
		tile := 16 * (1 + rng.IntN(MostTile/16))
		p.byColumns(t, tile)
		for _, l := range Levels() {
			name := fmt.Sprintf("%s: %s %dx%d, %d vectors, %s %s", l, typ, m, k, n, p.Act, p.Combine)
			clear(p.Y.First)
			p.run(t, l, 0, m, n)
			want := append([]float32(nil), p.Y.First...)
			clear(p.Y.First)
			clear(p.Columns)
			cut := min(rng.IntN(4)*tile, m)
			part, work := NewPart(p), alloc(t, SparseWorkLen(k))
			for _, r := range [][2]int{{cut, m}, {0, cut}} {
				if err := l.ToColumns(part, r[0], r[1]); err != nil {
					t.Fatal(err)
				}
				l.SparseMatMul(part, r[0], r[1], n, work)
			}
			for i, got := range p.Y.First {
				if math.Float32bits(got) != math.Float32bits(want[i]) && (got == got || want[i] == want[i]) {
					t.Fatalf("%s: element %d: %v (%#x) by columns, %v (%#x) by rows", name, i,
						got, math.Float32bits(got), want[i], math.Float32bits(want[i]))
				}
			}
		}
	}
}

// A sum that is zero has the same sign by rows and by columns, also where its only term was rounded to -0.
func TestSparseSign(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := product(t, rng, tensor.F16, 1, 32, 1)
	for i := range 32 {
		tensor.F16.Encode(p.W[2*i:], []float32{-1e-7})
	}
	p.byColumns(t, MostTile)
	for _, x := range []struct{ first, second float32 }{{1e-45, 0}, {0, 1e-45}, {1e-45, 1e-45}} {
		for i := range 16 {
			p.X.First[i], p.X.First[16+i] = x.first, x.second
		}
		for _, l := range Levels() {
			p.run(t, l, 0, 1, 1)
			want := p.Y.First[0]
			part := NewPart(p)
			if err := l.ToColumns(part, 0, 1); err != nil {
				t.Fatal(err)
			}
			l.SparseMatMul(part, 0, 1, 1, alloc(t, SparseWorkLen(32)))
			if got := p.Y.First[0]; math.Float32bits(got) != 0 || math.Float32bits(want) != 0 {
				t.Errorf("%s, %v: %v by columns, %v by rows, want +0", l, x, got, want)
			}
		}
	}
}

// A product of ReLU2's vectors with a matrix that no cache holds, by rows and by columns: on one thread.
func BenchmarkSparse(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const m, k, copies = 768, 3072, 12
	for _, l := range Levels() {
		for _, n := range []int{1, 2, 4, 8} {
			for _, left := range []float64{1, 0.75, 0.5, 0.25, 0.1} {
				var parts []*Part
				for range copies {
					p := product(b, rng, tensor.F16, m, k, n)
					for i := range p.X.First {
						if rng.Float64() >= left {
							p.X.First[i] = 0
						}
					}
					p.byColumns(b, MostTile)
					parts = append(parts, NewPart(p))
					if err := l.ToColumns(parts[len(parts)-1], 0, m); err != nil {
						b.Fatal(err)
					}
				}
				work := alloc(b, max(WorkLen(m, k, n), SparseWorkLen(k)))
				for _, columns := range []bool{false, true} {
					b.Run(fmt.Sprintf("%s/%d/%g/columns=%t", l, n, left, columns), func(b *testing.B) {
						least := time.Duration(math.MaxInt64) // which other programs do not disturb
						for b.Loop() {
							start := time.Now()
							for _, p := range parts {
								if columns {
									l.SparseMatMul(p, 0, m, n, work)
								} else if err := l.MatMul(p, 0, m, n, work); err != nil {
									b.Fatal(err)
								}
							}
							least = min(least, time.Since(start))
						}
						b.ReportMetric(float64(least.Nanoseconds())/1000/copies, "µs/product")
					})
				}
			}
		}
	}
}
