package split

import (
	"math"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Share divides layers among executors, at least one to each, so that the one that takes longest takes as little time
// as can be. speeds are the layers that each runs in some time. extra is what each has to do besides, in layers, and
// most is how many layers each can have. ok reports whether there is such a division.
func Share(layers int, speeds, extra []float64, most []int) (counts []int, ok bool) {
	counts = make([]int, len(speeds))
	for i := range counts {
		if most[i] < 1 {
			return nil, false
		}
		counts[i] = 1
		layers--
	}
	for range layers {
		best, least := -1, math.Inf(1)
		for i, n := range counts {
			if took := (float64(n+1) + extra[i]) / speeds[i]; n < most[i] && took < least {
				best, least = i, took
			}
		}
		if best < 0 {
			return nil, false
		}
		counts[best]++
	}
	return counts, layers >= 0
}

// Firsts returns the layers before which to Cut, so that the parts have so many layers.
func Firsts(counts []int) (firsts []int) {
	at := 0
	for _, n := range counts[:len(counts)-1] {
		at += n
		firsts = append(firsts, at)
	}
	return firsts
}

// Behind returns how much a token with logits costs in the steps behind all layers, in layers: by the weights read.
func Behind(prog *op.Program) float64 {
	var in, behind float64
	for i := range prog.Steps {
		s := &prog.Steps[i]
		o, ok := s.Op.(*op.MatMul)
		if !ok {
			continue
		}
		for j := range o.Parts {
			w := o.Parts[j].W
			if bytes := float64(w.Source.Type.Bytes(w.Width)); s.Layer < 0 {
				behind += bytes
			} else {
				in += bytes
			}
		}
	}
	if in == 0 {
		return 0
	}
	return behind * float64(Layers(prog)) / in
}

// Time returns how long an executor of a part takes for a token without logits: the shortest time of several runs,
// which take about as long as long says, but at least two. The first run, which makes kernels, does not count.
func Time(p *Part, x op.Prober, long time.Duration) (best time.Duration, err error) {
	var b op.Batch
	b.Add(0, []int{0}, 0)
	for _, o := range p.Program.Inputs {
		in := make([]float32, o.Width)
		for i := range in {
			in[i] = float32(math.Sin(float64(i)))
		}
		if err := x.Stage(&b); err != nil {
			return 0, err
		}
		if err := x.Write(o, in); err != nil {
			return 0, err
		}
	}
	var spent time.Duration
	for run := 0; run < 3 || spent < long; run++ {
		start := time.Now()
		if err := x.Forward(&b); err != nil {
			return 0, err
		}
		if took := time.Since(start); run > 0 {
			spent += took
			if run == 1 || took < best {
				best = took
			}
		}
	}
	return max(best, 1), nil
}
