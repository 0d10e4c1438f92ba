package draw

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// The places to draw at, as forms.
var (
	OnDevice = tune.Form{Kernel: "device"}
	OnHost   = tune.Form{Kernel: "host"}
)

// LargeVocabulary is the number of ids from which on the host draws, if the device is a processor and nobody has
// measured it: sums over lanes are emulated there, and the logits are in the host's memory anyway.
const LargeVocabulary = 1024

// Choice returns the places to draw the tokens of so many sequences at.
func Choice(e *kernel.Env, seqs int) *tune.Choice {
	forms := []tune.Form{OnDevice, OnHost}
	if e.Set.Is.CPU && e.Prog.Vocab >= LargeVocabulary {
		slices.Reverse(forms)
	}
	return &tune.Choice{Device: e.Set.Dev.Info().Name, On: e.On, Key: e.On + fmt.Sprintf("draws of %d ids, %d sequences", e.Prog.Vocab, seqs),
		Kind: tune.Few, Forms: forms}
}

// trialDraws is the number of draws in one submission of a trial. If a model takes so long for a token that fewer
// tokens fit a submission, the difference is too small to matter.
const trialDraws = 8

// LikelyLogits returns a function that makes numbers like a model's logits.
func LikelyLogits() func() float32 {
	rng := rand.New(rand.NewPCG(3, 5))
	return func() float32 { return float32(3 * rng.NormFloat64()) }
}

// Trial draws a token of each sequence: on the device, or on the host. A draw on the host counts with the submission
// that brings the logits there.
type Trial struct {
	e        *kernel.Env
	expected func(work float64) time.Duration
	seqs     int
	logit    func() float32
	draws    []Draw
	inputs   Inputs

	host, dev    *gpu.Buffer // tables
	logits, back *gpu.Buffer // on the device and on the host
	at           kernel.Places
}

// NewTrial returns a trial of the draws of so many sequences, from logits that logit makes.
func NewTrial(e *kernel.Env, expected func(work float64) time.Duration, seqs int, logit func() float32) *Trial {
	return &Trial{e: e, expected: expected, seqs: seqs, logit: logit}
}

func (t *Trial) String() string { return fmt.Sprintf("draws of %d ids", t.e.Prog.Vocab) }

// Prepare makes logits and samplers.
func (t *Trial) Prepare() error {
	dev, stride := t.e.Set.Dev, t.e.Prog.Logits.Stride()
	logits := make([]float32, t.seqs*stride)
	for i := range logits {
		logits[i] = t.logit()
	}
	at := 4 * ((t.seqs + op.Align - 1) / op.Align * op.Align) // of the spans, behind the tokens
	for _, b := range []struct {
		to   **gpu.Buffer
		name string
		size int
		kind gpu.Memory
	}{
		{&t.host, "tables (trial, host)", at + 12*t.seqs, gpu.Upload}, {&t.dev, "tables (trial)", at + 12*t.seqs, gpu.DeviceLocal},
		{&t.logits, "logits (trial)", 4 * len(logits), gpu.DeviceLocal}, {&t.back, "logits (trial, readback)", 4 * len(logits), gpu.Readback},
	} {
		var err error
		if *b.to, err = dev.NewBuffer(b.name, b.size, b.kind); err != nil {
			return err
		}
	}
	t.at.Tokens, t.at.Spans = t.dev.Range(0, 4*t.seqs), t.dev.Range(at, 12*t.seqs)
	if err := dev.Upload(t.logits.All(), gpu.BytesOf(logits)); err != nil {
		return err
	}
	if err := t.inputs.Make(dev, t.e.Prog.Vocab, t.seqs, trialDraws); err != nil {
		return err
	}
	words := gpu.Uint32s(t.host.Bytes())
	clear(words)
	for i := range t.seqs {
		p := sample.Default()
		p.Seed = uint64(i)
		s, err := sample.New(p, sample.NewVocabulary(t.e.Prog.Vocab, nil))
		if err != nil {
			return err
		}
		d := Draw{Slot: i, Sampler: s}
		twin := s.Twin()
		t.inputs.Write(i, &d, &twin)
		t.draws = append(t.draws, d)
		copy(words[at/4+3*i:], []uint32{uint32(i), uint32(i), 1})
	}
	return nil
}

// Release frees the memory.
func (t *Trial) Release() {
	t.inputs.Release()
	for _, b := range []*gpu.Buffer{t.host, t.dev, t.logits, t.back} {
		b.Release()
	}
}

// commands records so many draws of each sequence on the device.
func (t *Trial) commands(steps int) (*gpu.Commands, error) {
	k := Shape{Seqs: t.seqs, Steps: steps}
	rec := t.e.Set.Dev.NewRecording()
	rec.SetName("tuning trial of draws on the device")
	rec.Copy(t.dev.All(), t.host.All())
	t.inputs.Upload(rec, k)
	for step := range steps {
		rec.Expect(t.expected(Work * float64(t.e.Prog.Vocab*t.seqs)))
		if err := Record(rec, t.e, &t.inputs, &t.at, t.logits.All(), k, step); err != nil {
			return nil, err
		}
	}
	t.inputs.Download(rec, k)
	return rec.End()
}

// onHost returns a function that brings the logits to the host and draws there. It gives each the ids.
func (t *Trial) onHost(each func(id int)) (run func() error, release func(), err error) {
	rec := t.e.Set.Dev.NewRecording()
	rec.SetName("tuning trial of draws on the host")
	rec.Copy(t.back.All(), t.logits.All())
	c, err := rec.End()
	if err != nil {
		return nil, nil, err
	}
	l := t.e.Prog.Logits
	return func() error {
		if err := c.Run(); err != nil {
			return err
		}
		for i := range t.draws {
			id, err := t.draws[i].Sampler.Sample(gpu.Float32s(t.back.Bytes())[i*l.Stride():][:l.Width])
			if err != nil {
				return err
			}
			each(id)
		}
		return nil
	}, c.Release, nil
}

// Probe returns 0: a draw cannot be tried in part.
func (t *Trial) Probe(tune.Form) (time.Duration, error) { return 0, nil }

// Results returns the ids, each in two numbers that are small enough to differ clearly.
func (t *Trial) Results(f tune.Form) (ids []float32, err error) {
	add := func(id int) { ids = append(ids, float32(id>>12), float32(id&(1<<12-1))) }
	if f == OnHost {
		run, release, err := t.onHost(add)
		if err != nil {
			return nil, err
		}
		defer release()
		err = run()
		return ids, err
	}
	c, err := t.commands(1)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := c.Run(); err != nil {
		return nil, err
	}
	for _, id := range t.inputs.IDs(Shape{Seqs: t.seqs, Steps: 1}) {
		if err := Error(id); err != nil {
			return nil, err
		}
		add(int(id))
	}
	return ids, nil
}

// Before returns numbers that stand for no id.
func (t *Trial) Before() []float32 { return slices.Repeat([]float32{-1}, 2*t.seqs) }

// Time returns how long the draw of a token of each sequence takes.
func (t *Trial) Time(f tune.Form, _ time.Duration) (time.Duration, error) {
	if f == OnHost {
		run, release, err := t.onHost(func(int) {})
		if err != nil {
			return 0, err
		}
		defer release()
		return tune.Shortest(run)
	}
	c, err := t.commands(trialDraws)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	if err := c.Run(); err != nil { // drivers may put off making a kernel until it runs
		return 0, err
	}
	best, err := tune.Shortest(c.Run)
	return best / trialDraws, err
}
