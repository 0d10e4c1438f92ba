package vulkan

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Draws says where tokens are drawn: on the device, by Decode, or on the host from Forward's logits. The ids are the same.
type Draws uint8

// The places. FasterDraws is whichever the tuner finds to be faster, for each number of sequences.
const (
	FasterDraws Draws = iota
	DeviceDraws
	HostDraws
)

// String returns the place's name.
func (d Draws) String() string { return [...]string{"faster", "device", "host"}[d] }

// largeVocabulary is the number of ids from which a device that is a processor, and that nobody has measured, leaves the
// draw to the host: its lanes' shared sums are emulated, and the logits are in the host's memory anyway.
const largeVocabulary = 1024

// drawForms are the places to draw at, as forms.
var drawForms = map[Draws]tune.Form{DeviceDraws: {Kernel: DeviceDraws.String()}, HostDraws: {Kernel: HostDraws.String()}}

// onDevice reports whether the tokens of so many sequences should be drawn by Decode.
func (d *decoding) onDevice(seqs int) (bool, error) {
	if d.place != FasterDraws {
		return d.place == DeviceDraws, nil
	}
	class := bits.Len(uint(max(seqs, 1) - 1)) // numbers up to a power of two are alike
	if d.draws[class] == FasterDraws {
		s := d.plan.Sizes
		place, certain, err := d.chooseDraws(min(1<<class, s.Rows, s.Seqs, s.Outs), likelyLogits())
		if !certain {
			return place == DeviceDraws, err
		}
		d.draws[class] = place
	}
	return d.draws[class] == DeviceDraws, nil
}

// drawChoice returns the places to draw the tokens of so many sequences at.
func (e *runner) drawChoice(seqs int) *tune.Choice {
	usual, other := DeviceDraws, HostDraws
	if e.set.Is.CPU && e.prog.Vocab >= largeVocabulary {
		usual, other = other, usual
	}
	return &tune.Choice{Device: e.dev.Info().Name, On: e.env.On, Key: e.env.On + fmt.Sprintf("draws of %d ids, %d sequences", e.prog.Vocab, seqs),
		Kind: tune.Few, Forms: []tune.Form{drawForms[usual], drawForms[other]}}
}

// chooseDraws returns the place that was found, that is now measured to be faster, or that is usual, which is not certain
// where measuring has to wait. A device on which a trial's logits, which logit makes, cannot be drawn from leaves draws to the
// host, which then says what is wrong with those of a pass.
func (e *runner) chooseDraws(seqs int, logit func() float32) (d Draws, certain bool, err error) {
	c := e.drawChoice(seqs)
	f, certain := e.tuner.Chosen(c)
	if !certain {
		err = e.tuner.Measure(context.Background(), c, func() (tune.Trial, error) { return newDrawTrial(e, seqs, logit), nil })
		switch f, certain = e.tuner.Chosen(c); {
		case errors.Is(err, sample.ErrLogits):
			return HostDraws, true, nil
		case tune.Refused(err):
			certain, err = true, nil
		}
	}
	if f == drawForms[HostDraws] {
		return HostDraws, certain, err
	}
	return DeviceDraws, certain, err
}

// trialDraws are measured in one submission: a model that takes so much longer for a token than a submission itself does
// that fewer fit would not notice the difference.
const trialDraws = 8

// likelyLogits makes numbers such as a model's logits.
func likelyLogits() func() float32 {
	rng := rand.New(rand.NewPCG(3, 5))
	return func() float32 { return float32(3 * rng.NormFloat64()) }
}

// drawTrial draws a token of each sequence, on the device, or on the host with a submission of its own and the way of the logits
// there.
type drawTrial struct {
	e      *runner
	seqs   int
	logit  func() float32
	draws  []Draw
	own    memory // tables, and logits in the scratch and on the host
	inputs sampling
}

func newDrawTrial(e *runner, seqs int, logit func() float32) *drawTrial {
	return &drawTrial{e: e, seqs: seqs, logit: logit}
}

func (t *drawTrial) String() string { return fmt.Sprintf("draws of %d ids", t.e.prog.Vocab) }

// Prepare makes logits, and samplers with what they start from.
func (t *drawTrial) Prepare() error {
	dev, stride := t.e.dev, t.e.prog.Logits.Stride()
	logits := make([]float32, t.seqs*stride)
	for i := range logits {
		logits[i] = t.logit()
	}
	t.own.dev = dev
	if err := t.own.tables.make(&t.own, op.Sizes{Rows: t.seqs, Seqs: t.seqs, Outs: t.seqs}); err != nil {
		return err
	}
	var err error
	if t.own.scratch, err = t.own.buffer("logits (trial)", 4*len(logits), gpu.DeviceLocal); err != nil {
		return err
	}
	if t.own.logits, err = t.own.buffer("logits (trial, readback)", 4*len(logits), gpu.Readback); err != nil {
		return err
	}
	if err := dev.Upload(t.own.scratch.All(), gpu.BytesOf(logits)); err != nil {
		return err
	}
	if err := t.inputs.make(dev, t.e.prog.Vocab, t.seqs, trialDraws); err != nil {
		return err
	}
	var b op.Batch
	for i := range t.seqs {
		p := sample.Default()
		p.Seed = uint64(i)
		s, err := sample.New(p, sample.NewVocabulary(t.e.prog.Vocab, nil))
		if err != nil {
			return err
		}
		d := Draw{Slot: i, Sampler: s}
		twin := s.Twin()
		t.inputs.write(i, &d, &twin)
		t.draws = append(t.draws, d)
		b.Add(i, []int{0}, 1)
	}
	t.own.tables.write(&b)
	return nil
}

// Release frees the memory.
func (t *drawTrial) Release() {
	t.inputs.release()
	t.own.release()
}

// commands records so many draws of each sequence on the device.
func (t *drawTrial) commands(steps int) (*gpu.Commands, error) {
	k := decodeShape{seqs: t.seqs, steps: steps}
	rec := t.e.dev.NewRecording()
	rec.SetName("tuning trial of draws on the device")
	tables := &t.own.tables
	rec.Copy(tables.dev.All(), tables.host.All())
	t.inputs.upload(rec, k)
	at := &kernel.Places{Tokens: tables.tokens, Spans: tables.spans}
	for step := range steps {
		rec.Expect(t.e.pace.expected(drawWork * float64(t.e.prog.Vocab*t.seqs)))
		if err := t.e.recordDraw(rec, &t.inputs, at, t.own.scratch.All(), k, step); err != nil {
			return nil, err
		}
	}
	t.inputs.download(rec, k)
	return rec.End()
}

// onHost returns what brings the logits to the host and draws there, and gives each the ids.
func (t *drawTrial) onHost(each func(id int)) (run func() error, release func(), err error) {
	rec := t.e.dev.NewRecording()
	rec.SetName("tuning trial of draws on the host")
	rec.Copy(t.own.logits.All(), t.own.scratch.All())
	c, err := rec.End()
	if err != nil {
		return nil, nil, err
	}
	l := t.e.prog.Logits
	return func() error {
		if err := c.Run(); err != nil {
			return err
		}
		for i := range t.draws {
			id, err := t.draws[i].Sampler.Sample(gpu.Float32s(t.own.logits.Bytes())[i*l.Stride():][:l.Width])
			if err != nil {
				return err
			}
			each(id)
		}
		return nil
	}, c.Release, nil
}

// Probe tells nothing: it is no question of parts.
func (t *drawTrial) Probe(tune.Form) (time.Duration, error) { return 0, nil }

// Results returns the ids, each in two numbers that are small enough to differ clearly.
func (t *drawTrial) Results(f tune.Form) (ids []float32, err error) {
	add := func(id int) { ids = append(ids, float32(id>>12), float32(id&(1<<12-1))) }
	if f == drawForms[HostDraws] {
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
	for _, id := range gpu.Uint32s(t.inputs.ids.Bytes())[:t.seqs] {
		if err := DrawError(id); err != nil {
			return nil, err
		}
		add(int(id))
	}
	return ids, nil
}

// Before returns numbers that are no id's.
func (t *drawTrial) Before() []float32 { return slices.Repeat([]float32{-1}, 2*t.seqs) }

// Time returns what it takes for a token of each sequence to be drawn.
func (t *drawTrial) Time(f tune.Form, _ time.Duration) (time.Duration, error) {
	if f == drawForms[HostDraws] {
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
