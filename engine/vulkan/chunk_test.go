package vulkan

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// By chunks, RWKV-7's recurrence takes every case that it suits, of any length; only the long ones with both ways to
// load. No choice leads to chunks on a processor, so a short run there has two sizes of heads: each is a compilation.
func TestChunked(t *testing.T) {
	numbers(t)
	k := kernels(t)
	for _, l := range []profile.Loads{profile.Texels, profile.Buffers} {
		t.Run(l.String(), func(t *testing.T) {
			optest.RunIf(t, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
				return execWith(tb, k, prog, Options{Sizes: s, Guard: guard, Loads: l, Recur: kernel.Chunked})
			}, func(name string) bool {
				if testing.Short() && k.set.Is.CPU && strings.Contains(name, "/N") && !strings.HasSuffix(name, "/N20") {
					return false
				}
				return isWKV7(name) && (l == profile.Buffers || strings.HasPrefix(name, "WKV7/long"))
			})
		})
	}
}

// Logits and states of prompts by chunks are those of the original implementation.
func TestChunkedGolden(t *testing.T) {
	numbers(t)
	k := kernels(t)
	golden.RunPrefill(t, true, "v7", []int{0, 50}, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return execWith(tb, k, m.Program, Options{Sizes: s, Recur: kernel.Chunked})
	})
}

// The tuner measures both forms where a pass is long enough, in memory of its own, and what it keeps decides what the
// next executor runs.
func TestChunkedTuned(t *testing.T) {
	if testing.Short() {
		t.Skip("what is measured and kept is no matter of the device")
	}
	k, m := discrete(t), golden.Tiny(t)
	run := func(tuner *tune.Tuner) (*Prober, []float32) {
		t.Helper()
		e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 70, Seqs: 1, Outs: 1}, MatMul: form.Vec, Tuner: tuner})
		for _, n := range []int{kernel.LeastChunked - 1, 70} {
			tokens := make([]int, n)
			for i := range tokens {
				tokens[i] = i*i%7 + 3
			}
			var b op.Batch
			b.Add(0, tokens, 1)
			var before time.Duration
			if tuner != nil {
				before = tuner.Spent()
			}
			if err := e.Forward(&b); err != nil {
				t.Fatal(err)
			}
			if tuner != nil && n < kernel.LeastChunked && tuner.Spent() > before {
				t.Errorf("%d tokens are too few to measure for", n)
			}
		}
		last := e.Logits(0)
		return e, last
	}
	_, want := run(nil)
	var told []string
	tuner := tune.New("", true, func(s string) { told = append(told, s) })
	tuner.Budget = time.Hour
	e, got := run(tuner)
	near(t, got, want)
	keys := slices.Collect(maps.Keys(tuner.Known()))
	if len(keys) != 1 || !strings.Contains(keys[0], "recurrence") || len(told) != 1 {
		t.Fatalf("want the recurrence alone measured, and one notice, got %v, %q", tuner.Known(), told)
	}
	var chain *tune.Choice
	for _, c := range choicesOf(e, kernel.Shape{Rows: 70, Seqs: 1}) {
		if _, ok := c.Work.(*kernel.Chain); ok {
			chain = &c.Choice
		}
	}
	for _, f := range chain.Forms {
		tuner.Keep(chain, f, time.Millisecond)
		before := tuner.Spent()
		e, got := run(tuner)
		near(t, got, want)
		p, err := e.shapes.get(kernel.Shape{Rows: 70, Seqs: 1, Outs: 1})
		chunked := err == nil && slices.ContainsFunc(p.submissions, func(c *gpu.Commands) bool {
			return slices.ContainsFunc(c.Kernels(), func(name string) bool { return strings.HasPrefix(name, "wkv7_chunk") })
		})
		if chunked != (f.Kernel == kernel.Chunked) || tuner.Spent() != before {
			t.Errorf("%s: want it taken as it was kept, got chunks: %t, measured for %s (%v)", f, chunked, tuner.Spent()-before, err)
		}
	}
}

// BenchmarkRecurrence measures RWKV-7's recurrence in each form.
func BenchmarkRecurrence(b *testing.B) {
	k := kernels(b)
	for _, f := range []string{kernel.Serial, kernel.Chunked} {
		b.Run(f, func(b *testing.B) {
			optest.BenchIf(b, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
				return execWith(tb, k, prog, Options{Sizes: s, Guard: guard, Recur: f})
			}, isWKV7)
		})
	}
}

func isWKV7(name string) bool { return strings.HasPrefix(name, "WKV7/") }
