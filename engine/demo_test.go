package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// shared are the kernels of all tests.
var shared *vulkan.Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// vulkanDevice returns the Vulkan device of the tests, which fail on any validation message and any leak.
func vulkanDevice(tb testing.TB) *device.Device {
	d := gputest.Shared(tb)
	if shared == nil {
		shared = vulkan.NewKernels(d)
	}
	return device.On(d, shared)
}

// eachDevice runs a test on the CPU and on the Vulkan device.
func eachDevice(t *testing.T, test func(t *testing.T, d *device.Device)) {
	t.Run("cpu", func(t *testing.T) { test(t, &device.Device{}) })
	t.Run("vulkan", func(t *testing.T) { test(t, vulkanDevice(t)) })
}

func demoModel(tb testing.TB) *model.Model {
	tb.Helper()
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func demoTokenizer(tb testing.TB) tokenizer.Tokenizer {
	tb.Helper()
	w, err := tokenizer.ParseWorld(demo.Name, demo.Vocab())
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// encode returns the ids of a text that the vocabulary can spell.
func encode(tok tokenizer.Tokenizer, text string) []int {
	ids, err := tokenizer.Encode(tok, text)
	if err != nil {
		panic(err)
	}
	return ids
}

func newEngine(tb testing.TB, m *model.Model, d *device.Device, o Options) *Engine {
	tb.Helper()
	e, err := New(m, d, o)
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

func newSeq(tb testing.TB, e *Engine) *Seq {
	tb.Helper()
	s, err := e.NewSeq(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// input is a row of which the logits after the last tokens are wanted.
type input struct {
	seq    *Seq
	tokens []int
	wanted int
}

// step feeds inputs and returns copies of the logits by input.
func step(tb testing.TB, e *Engine, in ...input) [][][]float32 {
	tb.Helper()
	all := make([][][]float32, len(in))
	rows := make([]Row, len(in))
	for i, x := range in {
		rows[i] = Row{Seq: x.seq, Tokens: x.tokens}
		if x.wanted > 0 {
			rows[i].Want, rows[i].Last = WantLogits, x.wanted
			rows[i].Each = func(pos int, logits []float32) error {
				if want := len(x.tokens) - x.wanted + len(all[i]); pos != want {
					tb.Errorf("input %d: logits after token %d, want those after %d", i, pos, want)
				}
				all[i] = append(all[i], slices.Clone(logits))
				return nil
			}
		}
	}
	if err := e.Feed(tb.Context(), rows); err != nil {
		tb.Fatal(err)
	}
	for i := range in {
		if rows[i].Err != nil || rows[i].Taken != len(in[i].tokens) || len(all[i]) != in[i].wanted {
			tb.Fatalf("input %d: %d of %d tokens, %d logits, want %d: %v", i, rows[i].Taken, len(in[i].tokens), len(all[i]), in[i].wanted, rows[i].Err)
		}
	}
	return all
}

// mustState returns a copy of a sequence's state.
func mustState(tb testing.TB, e *Engine, s *Seq) []float32 {
	tb.Helper()
	state := make([]float32, e.Model.Program.StateLen())
	t, err := e.Save([]*Seq{s}, [][]float32{state})
	if err == nil {
		err = t.Wait()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return state
}

// setState gives a sequence a state, or with nil the initial one.
func setState(tb testing.TB, e *Engine, s *Seq, state []float32) {
	tb.Helper()
	t, err := e.Restore([]*Seq{s}, [][]float32{state})
	if err == nil {
		err = t.Wait()
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// countdown is a context that is done when it was asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// distance returns the largest difference, or infinity where a value is not finite.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var worst float64
	for i, w := range want {
		if !tensor.IsFinite(got[i]) || !tensor.IsFinite(w) {
			return math.Inf(1)
		}
		worst = max(worst, math.Abs(float64(got[i])-float64(w)))
	}
	return worst
}

// demoReference is what the demo model's training scripts say of it.
type demoReference struct {
	Prompts []struct {
		Prompt string
		Tokens []int
		Rows   [2]int
		Greedy []int `json:"greedy_next_32"`
	}
	logits []float32
}

func readReference(tb testing.TB) *demoReference {
	tb.Helper()
	dir := filepath.Join(reference.Root(tb), "model", "demo")
	text, err := os.ReadFile(filepath.Join(dir, "reference.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var r demoReference
	if err := json.Unmarshal(text, &r); err != nil {
		tb.Fatal(err)
	}
	npy, err := os.ReadFile(filepath.Join(dir, "reference.npy"))
	if err != nil {
		tb.Fatal(err)
	}
	data := npy[10+int(binary.LittleEndian.Uint16(npy[8:])):] // model/demo tests the header
	r.logits = make([]float32, len(data)/4)
	tensor.F32.Decode(r.logits, data)
	return &r
}

// The demo model's logits after every prompt token, and its greedy continuation, are those of the scripts that trained
// it. Their own distance from float64 is 4e-6.
func TestDemoReference(t *testing.T) {
	reference.Numbers(t)
	m, tok, ref := demoModel(t), demoTokenizer(t), readReference(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		limit := 1e-3
		if d.IsCPU() {
			limit = 2e-4
		}
		e := newEngine(t, m, d, Options{Chunk: 8})
		s := newSeq(t, e)
		for _, p := range ref.Prompts {
			if got := encode(tok, p.Prompt); !slices.Equal(got, p.Tokens) {
				t.Errorf("%q: tokens %v, want %v", p.Prompt, got, p.Tokens)
			}
			setState(t, e, s, nil)
			for i, got := range step(t, e, input{s, p.Tokens, len(p.Tokens)})[0] {
				want := ref.logits[(p.Rows[0]+i)*m.Vocab:][:m.Vocab]
				if off := distance(got, want); !(off <= limit) {
					t.Errorf("%q: logits after token %d: off by %g, at most %g", p.Prompt, i, off, limit)
				}
			}
			setState(t, e, s, nil)
			last := len(p.Tokens) - 1
			step(t, e, input{s, p.Tokens[:last], 0})
			var drawn []int
			decode(t, e, []Continuation{{Seq: s, Token: p.Tokens[last], Sampler: newSampler(t, sample.Params{}, e)}}, len(p.Greedy), func(_, id int) bool {
				drawn = append(drawn, id)
				return true
			})
			if !slices.Equal(drawn, p.Greedy) {
				t.Errorf("%q: continues with %v, want %v", p.Prompt, drawn, p.Greedy)
			}
		}
	})
}
