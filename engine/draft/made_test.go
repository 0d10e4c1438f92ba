package draft

import (
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// shared are the kernels of all tests.
var shared *vulkan.Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// eachDevice runs a test on the CPU and on the Vulkan device.
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

// mainModel returns a model, and a draft that is often right: the same one with weights of four bits.
func mainModel(tb testing.TB) (main, alike *model.Model) {
	file := weightstest.Safetensors(weightstest.RWKV7(weightstest.Blocks256, tensor.F16, 5), nil)
	for _, quant := range []struct {
		to  **model.Model
		typ tensor.Type
	}{{&main, 0}, {&alike, tensor.Q4_0}} {
		f, err := weights.Parse("synthetic", file)
		if err == nil {
			*quant.to, err = model.NewWith(f, model.Options{Quant: quant.typ})
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return main, alike
}

// stranger returns a small model of random weights.
func stranger(tb testing.TB, vocab int, seed uint64) *model.Model {
	size := weightstest.Tiny
	size.Vocab = vocab
	return golden.Parse(tb, weightstest.RWKV7(size, tensor.F16, seed))
}

func newEngine(tb testing.TB, m *model.Model, d *device.Device, o engine.Options) *engine.Engine {
	tb.Helper()
	e, err := engine.New(m, d, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// newDrafter returns a drafter whose draft runs on the CPU and always pays.
func newDrafter(tb testing.TB, main *engine.Engine, small *model.Model, most int) *Drafter {
	tb.Helper()
	return newDrafterOn(tb, main, newEngine(tb, small, &device.Device{}, engine.Options{Slots: SmallSlots}), most)
}

// newDrafterOn returns a drafter that always pays.
func newDrafterOn(tb testing.TB, main, small *engine.Engine, most int) *Drafter {
	tb.Helper()
	d, err := New(main, small, Options{Most: most})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	d.gauge.warm, d.gauge.token, d.gauge.tokens = true, 1, plainTrial
	d.gauge.clock = func() func() time.Duration { return func() time.Duration { return 0 } }
	return d
}

// teller is a text under way, token by token.
type teller struct {
	c    engine.Continuation
	text []int // all ids before c.Token
	most int   // tokens, after which it wants no more; 0 for no end
	told []told
}

// told is what was told of a token.
type told struct {
	id      int
	logprob float32
	top     []sample.Candidate
}

// newTeller feeds a prompt and draws a token.
func newTeller(tb testing.TB, e *engine.Engine, prompt []int, s *sample.Sampler) *teller {
	tb.Helper()
	seq, err := e.NewSeq(nil)
	if err != nil {
		tb.Fatal(err)
	}
	rows := []engine.Row{{Seq: seq, Tokens: prompt, Want: engine.WantDraw, Sampler: s, Prompt: true}}
	if err := e.Feed(tb.Context(), rows); err != nil || rows[0].Err != nil {
		tb.Fatal(err, rows[0].Err)
	}
	return &teller{c: engine.Continuation{Seq: seq, Token: rows[0].ID, Sampler: s}, text: slices.Clone(prompt)}
}

// take notes a token. before is the one that is in the text from now on.
func (w *teller) take(before, id int) (more bool) {
	w.text = append(w.text, before)
	w.told = append(w.told, told{id, w.c.Logprob, slices.Clone(w.c.Alternatives)})
	return w.most == 0 || len(w.told) < w.most
}

// plain draws tokens by the engine alone.
func (w *teller) plain(tb testing.TB, e *engine.Engine, most int) {
	tb.Helper()
	for left := most; left > 0 && !w.c.Over; {
		list := []engine.Continuation{w.c}
		before := w.c.Token
		steps, err := e.Burst(tb.Context(), list, left, func(_, id int) bool {
			w.c = list[0]
			more := w.take(before, id)
			before = id
			return more
		})
		w.c = list[0]
		if err != nil {
			tb.Fatal(err)
		}
		left -= steps
	}
}

// drafted draws tokens with a draft.
func (w *teller) drafted(tb testing.TB, d *Drafter, most int) {
	tb.Helper()
	before := w.c.Token
	text := slices.Clone(w.text)
	list := []engine.Continuation{w.c}
	steps, err := d.Burst(tb.Context(), list, text, most, func(_, id int) bool {
		w.c = list[0]
		more := w.take(before, id)
		before = id
		return more
	})
	w.c = list[0]
	if err != nil || steps != most && !w.c.Over {
		tb.Fatalf("%d of %d steps: %v", steps, most, err)
	}
}

// state returns what the sequence's state is.
func (w *teller) state(tb testing.TB, e *engine.Engine) []float32 {
	tb.Helper()
	dst := make([]float32, e.Model.Program.StateLen())
	t, err := e.Save([]*engine.Seq{w.c.Seq}, [][]float32{dst})
	if err == nil {
		err = t.Wait()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return dst
}

func newSampler(tb testing.TB, p sample.Params, vocab int) *sample.Sampler {
	tb.Helper()
	s, err := sample.New(p, sample.NewVocabulary(vocab, nil))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
