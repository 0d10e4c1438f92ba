package vulkan

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Draw is one sequence's share of a Decode.
type Draw = draw.Draw

const (
	// MaxDecodeSteps is the most tokens of one sequence that one submission draws.
	MaxDecodeSteps = draw.MaxSteps
	// MaxEnds is the number of ids that can end a sequence on the device.
	MaxEnds = draw.MaxEnds
)

// DrawError returns what is wrong with an id that Decode returned, or nil.
func DrawError(id uint32) error { return draw.Error(id) }

// minRoom is the number of accepted ids that the buffers have space for at first.
const minRoom = 1024

// decoding is what Decode keeps between calls.
type decoding struct {
	*runner
	inputs draw.Inputs
	shapes passCache[draw.Shape]
	batch  op.Batch
	token  [1]int
	slots  []int // of the draws
	twins  []sample.Twin
	place  Draws     // FasterDraws but in tests
	draws  [64]Draws // by the class of DrawsOnDevice
	last   *pass     // nil if single steps ran since; see Kernels
}

// maxDecodeShapes is the number of passes of Decode that are kept at most. Each records as many steps as it decodes.
const maxDecodeShapes = 16

func (d *decoding) release() {
	d.shapes.release()
	d.inputs.Release()
}

// run runs the program n times in one submission, for one token of each sequence. After each run the device draws the
// next token of each sequence from the run's logits, as the sequence's sampler would. run returns the ids in the order
// of [n][len(draws)]; they are valid until the next call. DrawError tells which of them are no ids. A sequence that
// drew one of its Ends, or could draw nothing, keeps the state that it has then. The samplers do not change: the caller
// has them accept the ids that it takes. After more than one step RestoreState brings back the states from before the
// call. If a draw is OnHost, Logits returns the logits of the first step. After an error that is no op.NotRun, the
// states of the draws' slots are undefined.
//
// beside may be nil. run calls it once, while the device runs the program for the first time. Until beside returns, the
// masks of samplers that are Limited may change.
func (d *decoding) run(draws []Draw, n int, beside func()) ([]uint32, error) {
	if beside != nil && len(d.prog.Steps) == 0 { // there is nothing to be beside
		beside()
		beside = nil
	}
	k, p, saved, err := d.ready(draws, n, beside != nil)
	if err != nil {
		return nil, op.BeforeRun(err)
	}
	d.last = p
	start := d.pace.now()
	err = d.runner.run(context.Background(), p, n*len(draws), func() {
		if beside != nil {
			beside()
			d.writeDraws(draws)
		}
	})
	if saved != nil { // it is done by now, but counts as under way until somebody waits for it
		if failed := saved.Wait(); err == nil {
			err = failed
		}
	}
	if err != nil {
		return nil, err
	}
	d.pace.drew(len(draws), n, d.pace.now().Sub(start))
	return d.inputs.IDs(k), nil
}

// ready makes ready for n steps of the draws and returns their pass. If there is more than one step, it starts the copy
// of the states, and saved is not nil.
func (d *decoding) ready(draws []Draw, n int, late bool) (k draw.Shape, p *pass, saved *gpu.Commands, err error) {
	if k, err = d.startDraws(draws, n, late); err != nil {
		return k, nil, nil, err
	}
	if p, err = settled(context.Background(), d.runner, &d.shapes, k); err == nil && n > 1 {
		saved, err = d.states.Save(d.slots)
	}
	return k, p, saved, err
}

// startDraws makes ready for n steps of the draws, and writes their inputs unless these are late.
func (d *decoding) startDraws(draws []Draw, n int, late bool) (k draw.Shape, err error) {
	if err := d.stageDraws(draws, n); err != nil {
		return k, err
	}
	k.Seqs, k.Steps, k.Late = len(draws), n, late
	room := 0
	for i := range d.twins {
		k.Masked = k.Masked || d.twins[i].Masked || late && draws[i].Sampler.Limited()
		k.Penalised = k.Penalised || d.twins[i].Penalised
		k.Biased = k.Biased || d.twins[i].Biased > 0
		k.Logits = k.Logits || draws[i].OnHost
		room = max(room, d.twins[i].Accepted+n, d.twins[i].Biased)
	}
	if err := d.growSampling(room); err != nil {
		return k, err
	}
	if !late {
		d.writeDraws(draws)
	}
	return k, nil
}

// writeDraws writes the draws' inputs.
func (d *decoding) writeDraws(draws []Draw) {
	for i := range draws {
		d.twins[i] = twinOf(&draws[i])
		d.inputs.Write(i, &draws[i], &d.twins[i])
	}
}

// stageDraws checks the draws and writes the batch's tables.
func (d *decoding) stageDraws(draws []Draw, n int) error {
	if d.prog.Logits == nil {
		return errors.New("vulkan: decode: want a program with logits")
	}
	if n < 1 || n > MaxDecodeSteps {
		return fmt.Errorf("vulkan: decode: want 1 to %d steps, got %d", MaxDecodeSteps, n)
	}
	d.batch.Reset()
	d.twins, d.slots = d.twins[:0], d.slots[:0]
	for i := range draws {
		if got := draws[i].Sampler.Vocabulary(); got != d.prog.Vocab {
			return fmt.Errorf("vulkan: decode: sampler %d: want one of %d ids, got %d", i, d.prog.Vocab, got)
		}
		d.twins = append(d.twins, twinOf(&draws[i]))
		d.slots = append(d.slots, draws[i].Slot)
		d.token[0] = draws[i].Token
		d.batch.Add(draws[i].Slot, d.token[:], 1)
	}
	return d.stage(&d.batch)
}

// twinOf returns the settings by which the device draws. If the host draws, they are those that cost the device the
// least.
func twinOf(d *Draw) sample.Twin {
	if d.OnHost {
		return sample.Twin{Greedy: true}
	}
	return d.Sampler.Twin()
}

// growSampling makes space for so many accepted ids of each sequence, and for so many with a bias.
func (d *decoding) growSampling(least int) error {
	s := &d.inputs
	if least <= s.Room() {
		return nil
	}
	room := max(s.Room(), minRoom)
	for room < least {
		room *= 2
	}
	d.shapes.release()
	s.Release()
	sizes := d.plan.Sizes
	if err := s.Make(d.dev, d.prog.Vocab, min(sizes.Rows, sizes.Seqs, sizes.Outs), room); err != nil {
		s.Release()
		return err
	}
	return nil
}

// items returns the program's steps once for each step of the Decode, each time followed by the draws.
func (d *decoding) items(k draw.Shape) items {
	s, each := &d.inputs, len(d.prog.Steps)+1
	hold := 0
	if k.Late {
		hold = each - 1 // the first draw
	}
	return items{what: fmt.Sprintf("decode of %d tokens of %d sequences", k.Steps, k.Seqs), count: k.Steps * each, hold: hold,
		begin: func(rec *gpu.Recording) {
			d.beginForward(rec)
			if hold == 0 {
				s.Upload(rec, k)
			}
		},
		each: func(r *recorder, i int) error {
			if i%each != each-1 {
				return r.step(i % each)
			}
			if hold > 0 && i == hold {
				s.Upload(r.Rec, k)
			}
			if k.Logits && i < each {
				d.copyLogits(r.Rec, k.Seqs) // before what changes them
			}
			return d.draw(r, k, i/each)
		},
		end: func(rec *gpu.Recording) { s.Download(rec, k) }}
}

// shapeOfDraws returns the shape of each step's batch.
func shapeOfDraws(k draw.Shape) kernel.Shape {
	return kernel.Shape{Rows: k.Seqs, Seqs: k.Seqs, Outs: k.Seqs}
}

// record records a Decode. A Decode of several steps is one submission at first, and is divided only if it proves to
// take long.
func (d *decoding) record(k draw.Shape, submissions int) (*pass, error) {
	if k.Steps > 1 {
		submissions = max(submissions, 1)
	}
	return d.runner.record(d.items(k), shapeOfDraws(k), submissions)
}

// draw records the draws of a step.
func (d *decoding) draw(r *recorder, k draw.Shape, step int) error {
	r.expect(draw.Work * float64(d.prog.Vocab*k.Seqs))
	return draw.Record(r.Rec, d.env, &d.inputs, r.At, d.logitsOf(k.Seqs), k, step)
}
