package vulkan

import (
	"fmt"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/roofline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// TestHostSide has every version do all that an executor does, with each way to load, each form of products and
// recurrences, and what the tuner tries, under the eyes of the validation layer, which may have nothing to say. It
// looks at no number: it is for drivers of GPUs that are not there, whose submissions do nothing (scripts/gpus.sh
// -validate). With what they see TestEveryBarrier misses every barrier that is left out.
func TestHostSide(t *testing.T) {
	gputest.Absent(t)
	for _, staged := range []bool{false, true} {
		t.Run(fmt.Sprintf("staged=%t", staged), func(t *testing.T) {
			h := hostSide{t: t, k: kernels(t, gpu.DeviceOptions{NoDirectAccess: staged})}
			if _, _, err := roofline.Device(h.k.set.Dev, 1<<20); err != nil {
				t.Fatal(err)
			}
			versions := weightstest.Versions
			if staged { // copies are the same for all
				versions = []string{"v7"}
			}
			for _, version := range versions {
				for _, quant := range []tensor.Type{0, tensor.Q4_K} {
					h.model(blockModel(t, version, quant))
				}
			}
			info := h.k.set.Dev.Info()
			fmt.Printf("%s (%s), staged %t: %d executors, %d passes, %d trials, %d messages\n",
				info.Name, info.Driver, staged, h.executors, h.passes, h.trials, len(gputest.Messages()))
		})
	}
}

// blockModel returns a model of a version, quantized unless quant is 0.
func blockModel(t *testing.T, version string, quant tensor.Type) *model.Model {
	t.Helper()
	f, err := weights.Parse(version, weightstest.Safetensors(weightstest.RWKV(version, weightstest.Blocks256, tensor.F16, 1), nil))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.NewWith(f, model.Options{Quant: quant})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// hostSide counts what was done.
type hostSide struct {
	t                         *testing.T
	k                         *Kernels
	executors, passes, trials int
}

func (h *hostSide) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// hostBatches are tokens of each sequence in a pass.
var hostBatches = [][]int{{1}, {1, 1}, {1, 1, 1, 1}, {2}, {5, 3}, {8}, {33}, {1, 40}, {40, 30, 20, 6}, {96}}

// model goes through all that is chosen for a model by measuring, and all that tests choose.
func (h *hostSide) model(m *model.Model) {
	for _, l := range []profile.Loads{profile.Buffers, profile.Texels} {
		h.executor(m, Options{Loads: l}, h.everything)
		h.executor(m, Options{Loads: l, Draws: HostDraws, Recur: kernel.Chunked}, h.forwards)
		for _, product := range []string{form.Vec, form.Shared, form.Tile, form.Sparse, form.Coop} { // those for GPUs
			if h.k.set.Forms().Offers(product) && !(ownLoads(product) && l == profile.Texels) {
				h.executor(m, Options{Loads: l, MatMul: product, Recur: kernel.Serial}, h.forwards)
			}
		}
	}
	h.executor(m, Options{}, h.forwards)
}

func (h *hostSide) executor(m *model.Model, o Options, use func(e *Prober)) {
	h.t.Helper()
	o.Sizes = op.Sizes{Slots: 5, Rows: 96, Seqs: 4, Outs: 4}
	e, err := newProber(h.k, m.Program, o)
	h.must(err)
	h.executors++
	defer func() { h.must(e.Close()) }()
	use(e)
}

// batch stands for so many tokens of each sequence, in slots that are not in order.
func (h *hostSide) batch(e *Prober, tokens []int) *op.Batch {
	var b op.Batch
	for i, n := range tokens {
		ids := make([]int, n)
		for j := range ids {
			ids[j] = (i + 7*j) % e.prog.Vocab
		}
		b.Add(len(tokens)-i, ids, i%2)
	}
	return &b
}

func (h *hostSide) forwards(e *Prober) {
	h.t.Helper()
	for _, tokens := range hostBatches {
		h.must(e.Forward(h.batch(e, tokens)))
		h.passes++
	}
}

// everything is what an executor does.
func (h *hostSide) everything(e *Prober) {
	for range 2 { // in the end, as recorded before
		h.forwards(e)
	}
	h.tries(e)
	h.submissions(e)
	h.decodes(e)
	h.states(e)
	h.steps(e)
	h.forwards(e)
}

// tries runs what the tuner does for every choice, but that it does not repeat anything until some time is over: what
// takes no time would be recorded thousands of times over. Nor does the host draw, from logits that nobody wrote.
func (h *hostSide) tries(e *Prober) {
	e.env.Tuned = true
	defer func() { e.env.Tuned = false }()
	h.must(e.stage(h.batch(e, []int{1})))
	seen := map[string]bool{}
	for _, rows := range []int{1, 2, 4, 8, 96} {
		for _, c := range choicesOf(e, kernel.Shape{Rows: rows, Seqs: min(rows, 3), Outs: 1}) {
			if !seen[c.Key] {
				seen[c.Key] = true
				h.tryForms(e.bench().Of(c.Work), c.Forms)
			}
		}
	}
	for _, seqs := range []int{1, 4} {
		t := draw.NewTrial(e.env, e.pace.expected, seqs, draw.LikelyLogits())
		h.must(t.Prepare())
		_, err := t.Time(draw.OnDevice, 0)
		h.must(err)
		t.Release()
		h.trials++
	}
}

// draws are of so many sequences, some of which end.
func (h *hostSide) draws(e *Prober, seqs int, p sample.Params) (list []Draw) {
	for i := range seqs {
		s, err := sample.New(p, sample.NewVocabulary(e.prog.Vocab, nil))
		h.must(err)
		list = append(list, Draw{Slot: i, Token: i, Sampler: s, Ends: []int{1, 2}[:i%3]})
	}
	return list
}

func (h *hostSide) tryForms(t tune.Trial, list []tune.Form) {
	defer t.Release()
	h.must(t.Prepare())
	for _, f := range list {
		_, err := t.Probe(f)
		h.must(err)
		_, err = t.Results(f)
		h.must(err)
		h.trials++
	}
}

// submissions runs passes in several submissions, as on a slow device.
func (h *hostSide) submissions(e *Prober) {
	for _, tokens := range hostBatches {
		b := h.batch(e, tokens)
		h.must(e.stage(b))
		for _, n := range []int{2, 5, len(e.prog.Steps)} {
			p, err := e.recordForward(shapeOf(b), n)
			h.must(err)
			h.must(e.run(h.t.Context(), p, len(b.Tokens), nil))
			p.release()
			h.passes++
		}
	}
}

// decodes draws on the device with every kind of settings.
func (h *hostSide) decodes(e *Prober) {
	plain := sample.Params{}
	random, penalised, banned := sample.Default(), sample.Default(), sample.Default()
	penalised.Presence, penalised.Frequency = 0.4, 0.3
	banned.Ban = []int{0, 3}
	for _, seqs := range []int{1, 3, 4} {
		_, err := e.DrawsOnDevice(seqs)
		h.must(err)
		for _, p := range []sample.Params{plain, random, penalised, banned} {
			for _, n := range []int{1, 2, MaxDecodeSteps} {
				_, err := e.Decode(h.draws(e, seqs, p), n)
				h.must(err)
				h.passes++
				if n > 1 {
					h.must(e.RestoreState(seqs-1, 0))
				}
			}
		}
	}
}

// states moves states to and from the host, and between slots.
func (h *hostSide) states(e *Prober) {
	state := make([]float32, e.prog.StateLen())
	for slot := range e.plan.Sizes.Slots {
		h.must(e.ReadState(slot, state))
		h.must(e.WriteState(slot, state))
		h.must(e.CopyState((slot+1)%e.plan.Sizes.Slots, slot))
		h.must(e.ResetState(slot))
		h.must(e.Forward(h.batch(e, []int{1, 2, 1})))
		h.passes++
	}
}

// steps does what compare and bench do beyond passes.
func (h *hostSide) steps(e *Prober) {
	for _, tokens := range [][]int{{1}, {1, 40}} {
		b := h.batch(e, tokens)
		if e.dev.Info().Features.Timestamps {
			h.must(e.stage(b))
			c, err := e.recordSteps(shapeOf(b), 0, len(e.prog.Steps), false, true)
			h.must(err)
			h.must(c.Run())
			_, _ = c.Timestamps() // which not every such driver makes up
			c.Release()
		}
		h.must(e.Stage(b))
		for i := range e.prog.Steps {
			h.must(e.RunStep(i))
			e.prog.Steps[i].Op.Operands(func(_ string, v op.View, _ op.Access) {
				if v.Of == nil || v.Of.Kind == op.Weight {
					return
				}
				data, err := e.Read(v.Of)
				h.must(err)
				h.must(e.Write(v.Of, data))
			})
		}
		h.must(e.RunSteps(0, len(e.prog.Steps)/2))
		h.must(e.RunSteps(len(e.prog.Steps)/2, len(e.prog.Steps)))
		scratch, state, err := e.Arenas()
		h.must(err)
		h.must(e.SetArenas(scratch, state))
		h.passes++
	}
	_, err := e.WeightSum()
	h.must(err)
}
