package sample

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// defined is the definition of the package's documentation, steps 3 to 9, word for word: a sort and sums of integers.
func defined(p Params, logits []float32, random uint64) int {
	type id struct {
		id int
		t  float32
	}
	largest := slices.Max(logits) + 0
	var ids []id
	for i, l := range logits {
		if t := largest - l; !math.IsInf(float64(t), 1) {
			ids = append(ids, id{i, t})
		}
	}
	slices.SortStableFunc(ids, func(a, b id) int { return cmp.Compare(a.t, b.t) })
	if p.Greedy() {
		return ids[0].id
	}
	if p.TopP < 1 {
		var z uint64
		for _, x := range ids {
			z += Weight(x.t * log2e)
		}
		hi, lo := bits.Mul64(uint64(math.Ceil(float64(p.TopP)*(1<<32))), z)
		least := hi<<32 | lo>>32
		if lo&(1<<32-1) != 0 {
			least++
		}
		n, sum := 0, uint64(0)
		for sum < least {
			sum += Weight(ids[n].t * log2e)
			n++
		}
		for n < len(ids) && ids[n].t == ids[n-1].t {
			n++
		}
		ids = ids[:n]
	}
	if p.TopK > 0 {
		ids = ids[:min(p.TopK, len(ids))]
	}
	if p.MinP > 0 {
		last := float32(-math.Log(float64(p.MinP)))
		ids = slices.DeleteFunc(ids, func(x id) bool { return x.t > last })
	}
	slices.SortFunc(ids, func(a, b id) int { return cmp.Compare(a.id, b.id) })
	s := float32(min(max(math.Log2E/float64(p.Temperature), 1.0/(1<<126)), 1e30))
	var z, running uint64
	for _, x := range ids {
		z += Weight(x.t * s)
	}
	goal, _ := bits.Mul64(random, z)
	for _, x := range ids {
		if running += Weight(x.t * s); running > goal {
			return x.id
		}
	}
	return -1
}

// Draws are those of the definition, to the last bit: for logits of every kind, in vocabularies of one block to many.
func TestSampleAsDefined(t *testing.T) {
	kinds := map[string]func(r *rand.Rand, logits []float32){
		"normal": func(r *rand.Rand, logits []float32) {
			deviation := math.Exp2(float64(r.IntN(8) - 3))
			for i := range logits {
				logits[i] = float32(deviation * r.NormFloat64())
			}
		},
		"almost flat": func(r *rand.Rand, logits []float32) {
			deviation := math.Exp2(float64(-r.IntN(30)))
			for i := range logits {
				logits[i] = float32(deviation * r.NormFloat64())
			}
		},
		"few values": func(r *rand.Rand, logits []float32) {
			values := 1 + r.IntN(40)
			for i := range logits {
				logits[i] = float32(r.IntN(values)) / 4
			}
		},
		"peaked": func(r *rand.Rand, logits []float32) {
			for i := range logits {
				logits[i] = float32(r.NormFloat64())
			}
			for range 1 + r.IntN(50) {
				logits[r.IntN(len(logits))] = float32(15 + 2*r.NormFloat64())
			}
		},
		"few possible": func(r *rand.Rand, logits []float32) {
			for i := range logits {
				logits[i] = float32(math.Inf(-1))
			}
			for range 1 + r.IntN(20) {
				logits[r.IntN(len(logits))] = float32(3 * r.NormFloat64())
			}
		},
		"sorted": func(r *rand.Rand, logits []float32) {
			for i := range logits {
				logits[i] = float32(i) * float32(r.IntN(3)-1) / 256
			}
		},
		"at the ends of the range": func(r *rand.Rand, logits []float32) {
			edges := []float32{0, float32(math.Copysign(0, -1)), math.MaxFloat32, -math.MaxFloat32, 1e-45, -27.7, -27.75, 40, -40}
			for i := range logits {
				logits[i] = edges[r.IntN(len(edges))]
			}
		},
	}
	temperatures := []float32{1, 1, 0.7, 1.3, 0.05, 1e-31, 1e30, 20}
	topPs := []float32{1, 0.85, 0.5, 0.99, 0.3, 0.001, 0.99999994, 1e-10}
	minPs := []float32{0, 0, 0, 0.05, 1e-6, 1}
	r := rand.New(rand.NewPCG(12, 1))
	for kind, fill := range kinds {
		for n := range 100 {
			logits := make([]float32, []int{1, 7, 255, 256, 257, 1021, 4096, 9000}[r.IntN(8)])
			fill(r, logits)
			p := Params{Temperature: temperatures[r.IntN(len(temperatures))], TopP: topPs[r.IntN(len(topPs))],
				MinP: minPs[r.IntN(len(minPs))], TopK: []int{0, 0, 0, 1, 3, 40, 300, len(logits)}[r.IntN(8)], Seed: r.Uint64()}
			s := newSampler(t, p, len(logits))
			masked := logits
			if n%3 == 0 {
				var mask []uint64
				mask, masked = randomMask(r, logits)
				if err := s.SetMask(mask); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				position := s.Position()
				want := defined(p, masked, Random(p.Seed, position))
				if got := next(t, s, logits); got != want {
					t.Fatalf("%s %d, %d ids, %+v, draw %d: got id %d, want %d", kind, n, len(logits), p, position, got, want)
				}
			}
		}
	}
}

// randomMask returns a mask that leaves the largest logit and some others, and the logits that it leaves.
func randomMask(r *rand.Rand, logits []float32) (mask []uint64, left []float32) {
	mask, left = make([]uint64, (len(logits)+63)/64), slices.Clone(logits)
	for i := range mask {
		mask[i] = []uint64{0, ^uint64(0), r.Uint64(), 1 << r.IntN(64)}[r.IntN(4)]
	}
	best := slices.Index(logits, slices.Max(logits))
	mask[best/64] |= 1 << (best % 64)
	for id := range left {
		if !allows(mask, id) {
			left[id] = float32(math.Inf(-1))
		}
	}
	return mask, left
}
