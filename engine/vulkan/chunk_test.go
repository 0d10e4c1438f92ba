package vulkan

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// By chunks, RWKV-7's recurrence takes every case that it suits, of any length; in a short run, most of them with one way to
// load.
func TestChunked(t *testing.T) {
	k := kernels(t)
	for _, l := range []profile.Loads{profile.Texels, profile.Buffers} {
		t.Run(l.String(), func(t *testing.T) {
			optest.RunIf(t, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
				return execWith(tb, k, prog, Options{Sizes: s, Guard: guard, Loads: l, Recur: Chunked})
			}, func(name string) bool {
				return isWKV7(name) && (l == profile.Buffers || !testing.Short() || strings.HasPrefix(name, "WKV7/long"))
			})
		})
	}
}

// Logits and states of prompts by chunks are those of the original implementation.
func TestChunkedGolden(t *testing.T) {
	k := kernels(t)
	golden.RunPrefill(t, true, "v7", []int{0, 50}, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return execWith(tb, k, m.Program, Options{Sizes: s, Recur: Chunked})
	})
}

// The tuner measures both forms where a pass is long enough, in memory of its own, and what it keeps decides what the next
// executor runs.
func TestChunkedTuned(t *testing.T) {
	if testing.Short() {
		t.Skip("what is measured and kept is no matter of the device")
	}
	k, m := discrete(t), golden.Tiny(t)
	run := func(tuner *Tuner) (*Exec, []float32) {
		t.Helper()
		e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 70, Seqs: 1, Outs: 1}, MatMul: Vec, Tuner: tuner})
		for _, n := range []int{leastChunked - 1, 70} {
			if tuner != nil && n < leastChunked && tuner.Spent() > 0 {
				t.Errorf("%d tokens are too few to measure for", n)
			}
			tokens := make([]int, n)
			for i := range tokens {
				tokens[i] = i*i%7 + 3
			}
			var b op.Batch
			b.Add(0, tokens, 1)
			if err := e.Forward(&b); err != nil {
				t.Fatal(err)
			}
		}
		last := e.Logits(0)
		return e, last
	}
	_, want := run(nil)
	var told []string
	tuner := NewTuner("", true, func(s string) { told = append(told, s) })
	tuner.Budget = time.Hour
	_, got := run(tuner)
	near(t, got, want)
	keys := slices.Collect(maps.Keys(tuner.found))
	if len(keys) != 1 || !strings.Contains(keys[0], "recurrence") || len(told) != 1 {
		t.Fatalf("want the recurrence alone measured, and one notice, got %v, %q", tuner.found, told)
	}
	for _, f := range []Recurrence{Serial, Chunked} {
		tuner.found[keys[0]], tuner.spent = keptAmong(f, []Recurrence{Serial, Chunked}), [kinds]time.Duration{}
		e, got := run(tuner)
		near(t, got, want)
		if (e.chunks != nil) != (f == Chunked) || tuner.Spent() > 0 {
			t.Errorf("%s: want it taken as it was kept, got room for chunks: %t, measured for %s", f, e.chunks != nil, tuner.Spent())
		}
	}
}

// What the tuner compares differs between the forms by no more than rounding, for one sequence and some.
func TestRecurrencesAlike(t *testing.T) {
	for _, k := range []*Kernels{kernels(t), discrete(t)} {
		m := golden.Tiny(t)
		e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 3, Rows: 150, Seqs: 3, Outs: 1}, MatMul: Vec})
		for o := range e.ops.wkv7s {
			for _, seqs := range []int{1, 3} {
				trial := newRecurrenceTrial(e, o, 150, seqs)
				if err := trial.hold(); err != nil {
					t.Fatal(err)
				}
				want, err := trial.results(Serial)
				if err != nil {
					t.Fatal(err)
				}
				got, err := trial.results(Chunked)
				if err != nil || !alike(got, want, trial.before()) {
					t.Errorf("%d sequences: chunked differs from serial (%v)", seqs, err)
				}
				if alike(trial.before(), want, trial.before()) {
					t.Errorf("%d sequences: the serial form wrote nothing", seqs)
				}
				if err := trial.restore(); err != nil {
					t.Error(err)
				}
			}
			break
		}
	}
}

// A device, or a head, that the kernels by chunks do not suit keeps the serial form.
func TestSuitsChunks(t *testing.T) {
	least := gpu.Limits{SharedMemory: 32 << 10, MaxStorageBufferRange: 128 << 20, MaxAllocationSize: 1 << 30, MaxWorkgroupCount: [3]int{65535, 65535, 65535}}
	for _, c := range []struct {
		name   string
		change func(l *gpu.Limits, o *op.WKV7)
		want   bool
	}{
		{"usual", func(*gpu.Limits, *op.WKV7) {}, true},
		{"small heads", func(_ *gpu.Limits, o *op.WKV7) { o.N, o.Heads = 4, 512 }, true},
		{"large heads", func(_ *gpu.Limits, o *op.WKV7) { o.N = 68 }, false},
		{"little shared memory", func(l *gpu.Limits, _ *op.WKV7) { l.SharedMemory = 16 << 10 }, false},
		{"small bindings", func(l *gpu.Limits, _ *op.WKV7) { l.MaxStorageBufferRange = 16 << 20 }, false},
		{"few workgroups for rows", func(l *gpu.Limits, _ *op.WKV7) { l.MaxWorkgroupCount[0] = 127 }, false},
		{"few workgroups for chunks", func(l *gpu.Limits, _ *op.WKV7) { l.MaxWorkgroupCount[1] = 16 }, false},
	} {
		l, o := least, op.WKV7{Heads: 32, N: 64}
		c.change(&l, &o)
		if got := suitsChunks(l, &o, 256, 8); got != c.want {
			t.Errorf("%s: want %t, got %t", c.name, c.want, got)
		}
	}
}

// BenchmarkRecurrence measures RWKV-7's recurrence in each form.
func BenchmarkRecurrence(b *testing.B) {
	k := kernels(b)
	for _, f := range []Recurrence{Serial, Chunked} {
		b.Run(f.String(), func(b *testing.B) {
			optest.BenchIf(b, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
				return execWith(tb, k, prog, Options{Sizes: s, Guard: guard, Recur: f})
			}, isWKV7)
		})
	}
}

func isWKV7(name string) bool { return strings.HasPrefix(name, "WKV7/") }
