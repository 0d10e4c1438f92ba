package vulkan

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Any of the first eight ends is one after which nothing is drawn.
func TestDrawEnds(t *testing.T) {
	const vocab, best = 12, 7
	logits, draws := make([]float32, 0, (MaxEnds+1)*vocab), make([]Draw, MaxEnds+1)
	for i := range draws {
		s, err := sample.New(sample.Params{}, sample.NewVocabulary(vocab, nil))
		if err != nil {
			t.Fatal(err)
		}
		draws[i] = Draw{Slot: i, Sampler: s, Ends: append(slices.Repeat([]int{2}, i), best)}
		row := make([]float32, vocab)
		row[best] = 1
		logits = append(logits, row...)
	}
	e, o := drawExec(t, kernels(t), profile.Buffers, len(draws), vocab)
	stageLogits(t, e, o, draws, logits)
	ids, err := e.Decode(draws, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Repeat([]uint32{best}, MaxEnds+1), slices.Repeat([]uint32{glsl.DrawNone}, MaxEnds)...)
	if want = append(want, best); !slices.Equal(ids, want) {
		t.Errorf("want %v, got %v", want, ids)
	}
}

// Where the share of all that top-p wants is no whole number, the next larger one counts: with half of an odd sum, an
// id that weighs all but a half of that is not enough.
func TestDrawRoundsUp(t *testing.T) {
	logits := []float32{0, 1.0 / (1 << 40), -27.7}
	var draws []Draw
	var all []float32
	want := map[int]bool{}
	for i := range 16 {
		s, err := sample.New(sample.Params{Temperature: 1, TopP: 0.5, Seed: uint64(i)}, sample.NewVocabulary(len(logits), nil))
		if err != nil {
			t.Fatal(err)
		}
		draws, all = append(draws, Draw{Slot: i, Sampler: s}), append(all, logits...)
	}
	e, o := drawExec(t, kernels(t), profile.Buffers, len(draws), len(logits))
	stageLogits(t, e, o, draws, all)
	ids, err := e.Decode(draws, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range draws {
		id, err := draws[i].Sampler.Sample(slices.Clone(logits))
		if err != nil {
			t.Fatal(err)
		}
		if want[id] = true; ids[i] != uint32(id) {
			t.Errorf("seed %d: the CPU drew %d, the device %d", i, id, ids[i])
		}
	}
	if len(want) != 2 {
		t.Errorf("want draws of 2 ids, got %v", want)
	}
}

// What is no logit, an empty choice and bad arguments are told.
func TestDrawErrors(t *testing.T) {
	k := kernels(t)
	e, o := drawExec(t, k, profile.Buffers, 4, 10)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	s := func(vocab int, p sample.Params) *sample.Sampler {
		s, err := sample.New(p, sample.NewVocabulary(vocab, nil))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	out := make([]float32, 10)
	for i := range out {
		out[i] = -inf
	}
	draws := []Draw{{Slot: 0, Sampler: s(10, sample.Params{Ban: []int{4}})}, {Slot: 1, Sampler: s(10, sample.Params{Temperature: 1, TopP: 0.5})},
		{Slot: 2, Sampler: s(10, sample.Default())}, {Slot: 3, Sampler: s(10, sample.Default())}}
	logits := append([]float32{1, 2, 3, 4, nan, 6, 7, 8, 9, nan, 1, 2, -nan, 4, inf, 6, 7, 8, 9, 0}, out...)
	logits = append(logits, 1, 2, 3, inf, 5, 6, 7, 8, 9, 0)
	stageLogits(t, e, o, draws, logits)
	ids, err := e.Decode(draws, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"logits[4]: want a number", "logits[2]: want a number", "want one id that may be drawn",
		"logits[3]: want a number", "had ended", "had ended", "had ended", "had ended"} {
		if err := DrawError(ids[i]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("draw %d: want an error with %q, got %v", i, want, err)
		}
	}
	for want, call := range map[string]func() ([]uint32, error){
		"want 1 to 32 steps, got 33":           func() ([]uint32, error) { return e.Decode(draws, 33) },
		"want 1 to 32 steps, got 0":            func() ([]uint32, error) { return e.Decode(draws, 0) },
		"want at least one row":                func() ([]uint32, error) { return e.Decode(nil, 1) },
		"want a token below 10":                func() ([]uint32, error) { return e.Decode([]Draw{{Token: 10, Sampler: s(10, sample.Params{})}}, 1) },
		"sampler 0: want one of 10 ids":        func() ([]uint32, error) { return e.Decode([]Draw{{Sampler: s(9, sample.Params{})}}, 1) },
		"want a draw below 4, got 4":           func() ([]uint32, error) { return nil, e.RestoreState(4, 0) },
		"restore: want a draw below 4, got -1": func() ([]uint32, error) { return nil, e.RestoreState(-1, 0) },
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
