package vulkan

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// A sequence that takes one step of several takes the first, with the id that it would draw anyway, and the others go
// on as if it were like them. Where the host draws, the logits are the model's, also beside sequences whose penalties
// and bans change theirs.
func TestDrawOnce(t *testing.T) {
	const vocab, steps = 300, 4
	var draws []Draw
	for i := range 6 {
		p := sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.5, PenaltyDecay: 0.9, Ban: []int{3, 9}, Seed: uint64(i)}
		s, err := sample.New(p, sample.NewVocabulary(vocab, nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Accept(7 + i); err != nil {
			t.Fatal(err)
		}
		draws = append(draws, Draw{Slot: i, Sampler: s})
	}
	e, o := drawExec(t, kernels(t), profile.Buffers, len(draws), vocab)
	var logits []float32
	r := rand.New(rand.NewPCG(5, 1))
	for range draws {
		logits = append(logits, drawLogits(r, vocab)...)
	}
	decode := func() []uint32 {
		t.Helper()
		stageLogits(t, e, o, draws, logits)
		ids, err := e.Decode(draws, steps)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(ids)
	}
	want := decode()
	draws[1].Once, draws[2].OnHost, draws[5].OnHost, draws[5].Once = true, true, true, true
	got := decode()
	for step := range steps {
		for i := range draws {
			a, b := got[step*len(draws)+i], want[step*len(draws)+i]
			switch once := draws[i].Once || draws[i].OnHost; {
			case once && step > 0:
				if a != glsl.DrawNone {
					t.Errorf("sequence %d, step %d: drew %d, want nothing", i, step, a)
				}
			case !draws[i].OnHost && a != b:
				t.Errorf("sequence %d, step %d: drew %d, want %d", i, step, a, b)
			}
		}
	}
	for _, i := range []int{2, 5} {
		if !slices.Equal(e.Logits(i), logits[i*vocab:][:vocab]) {
			t.Errorf("sequence %d: the logits are not the model's", i)
		}
	}
}
