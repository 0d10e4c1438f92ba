package vulkan

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// MaxDecodeSteps is the most tokens of one sequence that one submission draws.
const MaxDecodeSteps = 32

// Draw is one sequence's share of a Decode.
type Draw struct {
	Slot    int
	Token   int // to continue the slot's state with
	Sampler *sample.Sampler
	Ends    []int // ids after which nothing is drawn any more; of more than MaxEnds, the first that many
	Once    bool  // the sequence takes part in the first step only
	OnHost  bool  // it does, and the token is the caller's to draw from Logits, where the id stands for nothing
}

// decoding is what Decode keeps between calls.
type decoding struct {
	*runner
	sampling sampling
	shapes   passCache[decodeShape]
	batch    op.Batch
	token    [1]int
	slots    []int // of the draws
	twins    []sample.Twin
	place    Draws     // FasterDraws but in tests
	draws    [64]Draws // by the class of DrawsOnDevice
	last     *pass     // if nothing was run by steps since; see Kernels
}

// decodeShape decides the commands of a Decode.
type decodeShape struct {
	seqs, steps       int
	masked, penalised bool
	logits            bool // those of the first step go to the host
}

// maxDecodeShapes bounds the commands kept: they hold as many steps as they decode.
const maxDecodeShapes = 16

func (d *decoding) release() {
	d.shapes.release()
	d.sampling.release()
}

// run runs the program n times in one submission, for one token of each sequence, and draws from each run's logits
// the token that the next is about, as the samplers would. It returns the ids in the order of [n][len(draws)], valid
// until the next call; DrawError tells which are none. A sequence that drew one of its Ends, or none, keeps the state
// that it has then. The samplers are left as they are: the caller has them accept what it takes of the ids. After more than
// one step RestoreState brings back the states before the call. Logits has those of the first step if a draw is OnHost.
func (d *decoding) run(draws []Draw, n int) ([]uint32, error) {
	k, err := d.startDraws(draws, n)
	if err != nil {
		return nil, err
	}
	p, err := settled(context.Background(), d.runner, &d.shapes, k)
	if err != nil {
		return nil, err
	}
	d.last = p
	var saved *gpu.Commands
	if n > 1 {
		if saved, err = d.states.Save(d.slots); err != nil {
			return nil, err
		}
	}
	err = d.runner.run(context.Background(), p, n*len(draws))
	if saved != nil { // it is done before the run is, but counts as under way, in the limits of all waits, until it is waited for
		if failed := saved.Wait(); err == nil {
			err = failed
		}
	}
	if err != nil {
		return nil, err
	}
	return d.sampling.drawnIDs(k), nil
}

// startDraws writes what n steps of the draws begin with.
func (d *decoding) startDraws(draws []Draw, n int) (k decodeShape, err error) {
	if err := d.stageDraws(draws, n); err != nil {
		return k, err
	}
	k.seqs, k.steps = len(draws), n
	accepted := 0
	for i := range d.twins {
		k.masked = k.masked || d.twins[i].Masked
		k.penalised = k.penalised || d.twins[i].Penalised
		k.logits = k.logits || draws[i].OnHost
		accepted = max(accepted, d.twins[i].Accepted)
	}
	if err := d.growSampling(accepted + n); err != nil {
		return k, err
	}
	for i := range draws {
		d.sampling.write(i, &draws[i], &d.twins[i])
	}
	return k, nil
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

// twinOf returns what the device draws by; where the host draws, as little as there is to do.
func twinOf(d *Draw) sample.Twin {
	if d.OnHost {
		return sample.Twin{Greedy: true}
	}
	return d.Sampler.Twin()
}

// growSampling makes space for so many accepted ids of each sequence.
func (d *decoding) growSampling(accepted int) error {
	s := &d.sampling
	if s.host != nil && accepted <= s.room {
		return nil
	}
	room := max(s.room, minRoom)
	for room < accepted {
		room *= 2
	}
	d.shapes.release()
	s.release()
	sizes := d.plan.Sizes
	if err := s.make(d.dev, d.prog.Vocab, min(sizes.Rows, sizes.Seqs, sizes.Outs), room); err != nil {
		s.release()
		return err
	}
	return nil
}

// units are the steps, each time followed by their draws.
func (d *decoding) units(k decodeShape) units {
	s, each := &d.sampling, len(d.prog.Steps)+1
	return units{what: fmt.Sprintf("decode of %d tokens of %d sequences", k.steps, k.seqs), count: k.steps * each,
		begin: func(rec *gpu.Recording) {
			d.beginForward(rec)
			s.upload(rec, k)
		},
		each: func(r *recorder, i int) error {
			if i%each != each-1 {
				return r.unit(i % each)
			}
			if k.logits && i < each {
				d.copyLogits(r.Rec, k.seqs) // before what changes them
			}
			return d.draw(r, k, i/each)
		},
		end: func(rec *gpu.Recording) { s.download(rec, k) }}
}

// shape returns the shape of each step's batch.
func (k decodeShape) shape() kernel.Shape {
	return kernel.Shape{Rows: k.seqs, Seqs: k.seqs, Outs: k.seqs}
}

// record records a Decode. Several steps are not divided unless they prove to take long.
func (d *decoding) record(k decodeShape, parts int) (*pass, error) {
	if k.steps > 1 {
		parts = max(parts, 1)
	}
	return d.runner.record(d.units(k), k.shape(), parts)
}
