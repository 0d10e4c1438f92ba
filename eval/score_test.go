package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// shared are the kernels of all tests.
var shared *vulkan.Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// eachDevice runs a test on the CPU and on the Vulkan device under test.
func eachDevice(t *testing.T, test func(t *testing.T, d *device.Device)) {
	t.Run("cpu", func(t *testing.T) { test(t, &device.Device{}) })
	t.Run("vulkan", func(t *testing.T) {
		d := gputest.Shared(t)
		if shared == nil {
			shared = vulkan.NewKernels(d)
		}
		test(t, device.On(d, shared))
	})
}

// scorer returns one on an engine for items.
func scorer(t *testing.T, m *model.Model, d *device.Device, items []Item, sequences, chunk int) *Scorer {
	t.Helper()
	e, err := engine.New(m, d, EngineOptions(items, sequences, chunk))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Scorer{Engine: e}
}

// randomItems returns items of all kinds: of one end and of several, behind one id and behind many.
func randomItems(rng *rand.Rand, n, vocab int) (items []Item) {
	ids := func(most int) []int {
		list := make([]int, 1+rng.IntN(most))
		for i := range list {
			list[i] = rng.IntN(vocab)
		}
		return list
	}
	for range n {
		it := Item{Context: ids(1 + rng.IntN(2)*30)}
		for range 1 + rng.IntN(2)*rng.IntN(5) {
			it.Ends = append(it.Ends, ids(1+rng.IntN(2)*40))
		}
		items = append(items, it)
	}
	return items
}

// naive scores an end by the reference executor, straight from the definition.
func naive(t *testing.T, m *model.Model, e op.Executor, context, end []int) (loss []float64, likeliest []bool, logProbs [][]float64) {
	t.Helper()
	if err := e.ResetState(0); err != nil {
		t.Fatal(err)
	}
	all := append(append([]int{}, context...), end...)
	rows := golden.Logits(t, e, 0, all[:len(all)-1], 0)[len(context)-1:]
	for i, row := range rows {
		sum, best := 0.0, 0
		for id, v := range row {
			sum += math.Exp(float64(v))
			if v > row[best] {
				best = id
			}
		}
		logs := make([]float64, m.Vocab)
		for id, v := range row {
			logs[id] = float64(v) - math.Log(sum)
		}
		loss, likeliest, logProbs = append(loss, -logs[end[i]]), append(likeliest, best == end[i]), append(logProbs, logs)
	}
	return loss, likeliest, logProbs
}

func referenceOf(t *testing.T, m *model.Model) op.Executor {
	t.Helper()
	e, err := reference.New(m.Program, reference.Options{Sizes: op.Sizes{Slots: 1, Rows: 128, Seqs: 1, Outs: 128}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// However many items run at once, and however they are cut, each end's tokens have the losses that they have alone on the
// reference. The divergence from another model is that of the definition.
func TestScores(t *testing.T) {
	m := golden.Tiny(t)
	other := golden.Parse(t, weightstest.RWKV7(weightstest.Tiny, tensor.F16, 2))
	exact, exactOther := referenceOf(t, m), referenceOf(t, other)
	rng := rand.New(rand.NewPCG(15, 4))
	eachDevice(t, func(t *testing.T, d *device.Device) {
		for _, c := range []struct{ items, sequences, chunk int }{{1, 4, 7}, {9, 1, 64}, {12, 3, 3}, {15, 8, 50}, {20, 64, 16}} {
			items := randomItems(rng, c.items, m.Vocab)
			s := scorer(t, m, d, items, c.sequences, c.chunk)
			s.Stored = scorer(t, other, d, items, c.sequences, c.chunk).Engine
			var done, all int64
			s.Progress = func(d, a int64) {
				if d <= done || a < d {
					t.Errorf("progress: %d of %d after %d", d, a, done)
				}
				done, all = d, a
			}
			got, err := s.Run(context.Background(), items)
			if err != nil {
				t.Fatal(err)
			}
			if done != all || len(got) != len(items) {
				t.Errorf("%d of %d tokens done, %d items", done, all, len(got))
			}
			if used := s.Engine.Stats().InUse + s.Stored.Stats().InUse; used != 0 {
				t.Errorf("%d slots are in use", used)
			}
			for i, it := range items {
				for j, end := range it.Ends {
					loss, likeliest, now := naive(t, m, exact, it.Context, end)
					_, _, before := naive(t, other, exactOther, it.Context, end)
					x := got[i][j]
					for k := range end {
						kl := 0.0
						for id, l := range before[k] {
							kl += math.Exp(l) * (l - now[k][id])
						}
						if !(math.Abs(x.Loss[k]-loss[k]) < 1e-4) || x.Likeliest[k] != likeliest[k] || !(math.Abs(x.KL[k]-kl) < 1e-4) {
							t.Fatalf("%+v, item %d, end %d, token %d: want %v, %v and %v, got %v, %v and %v", c, i, j, k,
								loss[k], likeliest[k], kl, x.Loss[k], x.Likeliest[k], x.KL[k])
						}
					}
				}
			}
		}
	})
}

// Items that cannot be scored are errors, after which all slots are free.
func TestScoresErrors(t *testing.T) {
	m := golden.Tiny(t)
	for want, items := range map[string][]Item{
		"item 0: want a context and an end, got 0 ids": {{Ends: [][]int{{1}}}},
		"item 1: want a context and an end, got 1 ids": {{[]int{1}, [][]int{{1}}}, {Context: []int{1}}},
		"item 0: end 1: want ids, got none":            {{[]int{1}, [][]int{{1}, {}}}},
		"item 0: end 0: want ids below 67, got 67":     {{[]int{1}, [][]int{{1, 67}}}},
		"item 0: end 0: want ids below 67, got -1":     {{[]int{1}, [][]int{{-1}}}},
		"token 1: want an id below 67, got 70":         {{[]int{1, 70, 2}, [][]int{{1}, {2}, {3}}}},
		"token 0: want an id below 67, got 67":         {{[]int{1, 67}, [][]int{{1}, {2}, {3}}}},
	} {
		s := scorer(t, m, &device.Device{}, items, 4, 16)
		if _, err := s.Run(context.Background(), items); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		if n := s.Engine.Stats().InUse; n != 0 {
			t.Errorf("%q: %d slots are in use", want, n)
		}
	}
	items := []Item{{[]int{1, 2, 3}, [][]int{{4}, {5}}}}
	s := scorer(t, m, &device.Device{}, items, 4, 16)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, items); !errors.Is(err, context.Canceled) || s.Engine.Stats().InUse != 0 {
		t.Errorf("%v, %d slots are in use", err, s.Engine.Stats().InUse)
	}
	s.Stored = scorer(t, golden.Demo(t, 0), &device.Device{}, items, 4, 16).Engine
	if _, err := s.Run(context.Background(), items); err == nil || !strings.Contains(err.Error(), "want models of one vocabulary, got 67 and 4096 ids") {
		t.Error(err)
	}
}

// A model whose numbers are not finite has no loss.
func TestScoresNotFinite(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	for i, x := range list {
		if x.Name == "head.weight" {
			values := make([]float32, x.Len())
			for j := range values {
				values[j] = 3e38
			}
			list[i] = tensor.FromFloats(x.Name, x.Shape, values)
		}
	}
	items := []Item{{[]int{1}, [][]int{{2, 3}}}}
	s := scorer(t, golden.Parse(t, list), &device.Device{}, items, 1, 16)
	if _, err := s.Run(context.Background(), items); !errors.Is(err, engine.ErrLogits) {
		t.Errorf("want an error of the logits, got %v", err)
	}
}
