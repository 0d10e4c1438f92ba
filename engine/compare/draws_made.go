package compare

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
)

// A comparison also draws from made-up logits, since the logits of one model in a few steps reach few of the cases of a
// draw.

// madeRounds is how many sequences draw from made-up logits for each of drawn.
const madeRounds = 32

// drawMadeUp returns what the device draws from made-up logits, and what the CPU does.
func (c *comparer) drawMadeUp(ctx context.Context, dev drawer) (got, want []uint32, err error) {
	rng := rand.New(rand.NewPCG(1, uint64(c.prog.Vocab)))
	for round := range madeRounds {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		var draws []vulkan.Draw
		var logits []float32
		for i := range drawn {
			kind := logitKind((round + i) % int(logitKinds))
			s, err := madeSampler(rng, kind, c.prog.Vocab)
			if err != nil {
				return nil, nil, err
			}
			draws = append(draws, vulkan.Draw{Slot: i + 1, Sampler: s})
			logits = append(logits, madeLogits(rng, kind, c.prog.Vocab)...)
		}
		ids, err := dev.DrawFrom(draws, logits)
		if err != nil {
			return nil, nil, err
		}
		for i, d := range draws {
			id, err := d.Sampler.Sample(logits[i*c.prog.Vocab:][:c.prog.Vocab])
			got, want = append(got, ids[i]), append(want, expectedDraw(ids[i], id, err))
		}
	}
	return got, want, nil
}

// expectedDraw returns what the device should draw: id, if the CPU draws one. If the CPU finds that no id can be drawn,
// it returns got if the device says the same of the logits, else another number.
func expectedDraw(got uint32, id int, err error) uint32 {
	if err == nil {
		return uint32(id)
	}
	var want, have *sample.LogitsError
	if errors.As(err, &want) && errors.As(vulkan.DrawError(got), &have) && have.ID == want.ID {
		return got
	}
	return ^got
}

// logitKind is a kind of logits.
type logitKind int

const (
	spread  logitKind = iota // near or far apart
	tied                     // of few different values
	taken                    // many at -Inf
	zeros                    // 0 and -0
	halved                   // two with all but equal weights and a tiny one: half the sum is no whole number
	invalid                  // one or two are none
	logitKinds
)

// madeLogits returns logits of a kind.
func madeLogits(rng *rand.Rand, kind logitKind, n int) []float32 {
	deviation := []float64{0.01, 1, 3, 10}[rng.IntN(4)]
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * deviation)
	}
	one := func() int { return rng.IntN(n) }
	for i := range logits {
		switch {
		case kind == tied:
			logits[i] = float32(math.Round(float64(logits[i])/deviation) * deviation)
		case kind == taken && rng.IntN(2) == 0 || kind == halved:
			logits[i] = float32(math.Inf(-1))
		case kind == zeros:
			logits[i] = float32(math.Copysign(0, float64(logits[i])))
		}
	}
	switch kind {
	case taken:
		logits[one()] = float32(deviation)
	case halved:
		at := rng.Perm(n)
		for i, v := range []float32{0, 1.0 / (1 << 40), -27.7}[:min(n, 3)] {
			logits[at[i]] = v
		}
	case invalid:
		logits[one()], logits[one()] = float32(math.NaN()), float32(math.Inf(1))
	}
	return logits
}

// madeBias returns biases of some ids, or of none.
func madeBias(seed uint64, vocab int) map[int]float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	bias := map[int]float32{}
	for range rng.IntN(3) * rng.IntN(100) {
		bias[rng.IntN(vocab)] = []float32{-2, 0.5, 3}[rng.IntN(3)]
	}
	return bias
}

// madeSampler returns a sampler somewhere in a text, with settings that suit the kind of logits.
func madeSampler(rng *rand.Rand, kind logitKind, vocab int) (*sample.Sampler, error) {
	of := func(list ...float32) float32 { return list[rng.IntN(len(list))] }
	p := sample.Params{Seed: rng.Uint64(), Temperature: 1, TopP: 0.5}
	if kind != halved {
		p.Temperature, p.TopP, p.MinP = of(0, 0.3, 1, 1, 5), of(1, 0.99999994, 0.85, 0.28, 1e-30), of(0, 0, 0.05)
		p.Presence, p.Frequency, p.PenaltyDecay = of(0, 0.4), of(0, 0.25, -0.2), of(1, 0.9)
		p.TopK = []int{0, 0, 5, max(vocab/3, 1)}[rng.IntN(4)]
		p.Bias = madeBias(p.Seed, vocab)
	}
	s, err := sample.New(p, sample.NewVocabulary(vocab, nil))
	if err != nil {
		return nil, err
	}
	if s.SetPosition(rng.Uint64() >> rng.IntN(64)); kind == halved {
		return s, nil
	}
	for range rng.IntN(5) {
		if err := s.Accept(rng.IntN(vocab)); err != nil {
			return nil, err
		}
	}
	if rng.IntN(3) > 0 {
		return s, nil
	}
	mask := make([]uint64, (vocab+63)/64)
	for i := range mask {
		mask[i] = rng.Uint64()
	}
	err = s.SetMask(mask)
	return s, err
}
