package compare

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// drawn are the settings of the sequences whose tokens a device draws in a comparison. They cover every filter,
// penalties and banned ids.
var drawn = []sample.Params{
	{Presence: 0.7, Frequency: 5, PenaltyDecay: 0.5},
	{Temperature: 1, TopP: 0.85, Seed: 1},
	{Temperature: 1, TopP: 1, TopK: 5, Ban: []int{1, 2}, Seed: 1 << 40},
	{Temperature: 1.5, TopP: 0.9, MinP: 0.02, TopK: 30, Presence: 0.4, Frequency: -0.5, PenaltyDecay: 0.996, Seed: 3},
}

// drawSteps is how many tokens each of them draws in one submission.
const drawSteps = 8

// drawOp is the name of the draw in reports. A draw is no step of a program.
const drawOp = "draw"

// drawPass names the submission in which tokens are drawn.
const drawPass = "draws"

// drawer is an executor that draws tokens itself: see vulkan.Prober.
type drawer interface {
	Decode(draws []vulkan.Draw, n int) ([]uint32, error)
	DrawsOnDevice(seqs int) (bool, error)
	DrawFrom(draws []vulkan.Draw, logits []float32) ([]uint32, error)
}

// draws compares, bit for bit, the ids that the device draws with those that the CPU draws from the device's own
// logits. Without draws on the device it does nothing. It compares several steps of one submission, in which one
// sequence ends, then draws from made-up logits, and then the states that the steps left in the slots.
func (c *comparer) draws(ctx context.Context) error {
	dev, ok := c.dev.(drawer)
	if !ok || len(c.tokens) == 0 {
		return nil
	}
	if on, err := dev.DrawsOnDevice(len(drawn)); err != nil || !on {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	draws, err := c.beginDraws()
	if err != nil {
		return err
	}
	if _, err := dev.Decode(draws, drawSteps); err != nil { // first, so that all runs of the model are in the same kernels
		return err
	}
	want, states, err := c.drawOnHost(drawSteps)
	if bad := (*sample.LogitsError)(nil); errors.As(err, &bad) { // which were right before the device drew
		c.addDraws(Drift{MaxAbs: math.MaxFloat64, NMSE: math.MaxFloat64, Stray: true})
		return nil
	}
	if err != nil {
		return err
	}
	end := want[drawSteps/2*len(draws)]
	before := endFirst(want, len(draws), end)
	_, ended, err := c.drawOnHost(before)
	if err != nil {
		return err
	}
	if draws, err = c.beginDraws(); err != nil {
		return err
	}
	for i, o := range c.prog.Of(op.State) {
		slot := draws[0].Slot * o.Width
		copy(states[i][slot:slot+o.Width], ended[i][slot:])
	}
	draws[0].Ends = append(slices.Repeat([]int{c.prog.Vocab}, vulkan.MaxEnds-1), int(end)) // the others are drawn by none
	got, err := dev.Decode(draws, drawSteps)
	if err != nil {
		return err
	}
	got = slices.Clone(got)
	left, err := c.states(c.dev)
	if err != nil {
		return err
	}
	made, wanted, err := c.drawMadeUp(ctx, dev)
	if err != nil {
		return err
	}
	if c.reportDraws(append(got, made...), append(want, wanted...)); c.report.FirstBad == nil {
		c.blameState(left, states)
	}
	return nil
}

// beginDraws returns sequences in their initial states.
func (c *comparer) beginDraws() ([]vulkan.Draw, error) {
	draws := make([]vulkan.Draw, len(drawn))
	for i, p := range drawn {
		s, err := sample.New(p, sample.NewVocabulary(c.prog.Vocab, nil))
		if err != nil {
			return nil, err
		}
		if err := s.AcceptPrompt(c.tokens); err != nil { // a list longer than a subgroup
			return nil, err
		}
		draws[i] = vulkan.Draw{Slot: i + 1, Token: c.tokens[i%len(c.tokens)], Sampler: s}
	}
	return draws, c.reset()
}

// blameState names the first op that reads a wrong part of the state.
func (c *comparer) blameState(got, want [][]float32) {
	all := c.prog.Of(op.State)
	for i, s := range c.prog.Steps {
		wrong := false
		s.Op.Operands(func(_ string, v op.View, a op.Access) {
			if at := slices.Index(all, v.Of); at >= 0 && a&op.Read != 0 {
				wrong = wrong || differ([][]float32{vectors(v, got[at])}, [][]float32{vectors(v, want[at])})
			}
		})
		if wrong {
			c.blame(i)
			c.report.Ops[i].OK, c.report.Ops[i].Pass = false, drawPass
			return
		}
	}
}

// endFirst ends the first of so many sequences behind its first id end, in ids, which are in the order of steps. It
// returns the number of steps up to that id. In place of the ids of an ended sequence a device gives the largest
// number.
func endFirst(ids []uint32, sequences int, end uint32) (steps int) {
	ended := false
	for at := 0; at < len(ids); at += sequences {
		if ended {
			ids[at] = math.MaxUint32
			continue
		}
		steps++
		ended = ids[at] == end
	}
	return steps
}

// drawOnHost runs the device token by token and draws on the CPU. It returns the ids in the order of steps, and the
// states after the last step.
func (c *comparer) drawOnHost(steps int) (ids []uint32, states [][]float32, err error) {
	draws, err := c.beginDraws()
	if err != nil {
		return nil, nil, err
	}
	var b op.Batch
	for range steps {
		b.Reset()
		for _, d := range draws {
			b.Add(d.Slot, []int{d.Token}, 1)
		}
		if err := c.dev.Forward(&b); err != nil {
			return nil, nil, err
		}
		for i := range draws {
			d := &draws[i]
			if d.Token, err = d.Sampler.Sample(slices.Clone(c.dev.Logits(i))); err != nil {
				return nil, nil, err
			}
			if err := d.Sampler.Accept(d.Token); err != nil {
				return nil, nil, err
			}
			ids = append(ids, uint32(d.Token))
		}
	}
	states, err = c.states(c.dev)
	return ids, states, err
}

// reportDraws adds the draw to the ops. Its error is the share of ids that differ.
func (c *comparer) reportDraws(got, want []uint32) {
	d := Drift{OK: slices.Equal(got, want)}
	for i := range want {
		if got[i] != want[i] {
			d.MaxAbs = max(d.MaxAbs, math.Abs(float64(got[i])-float64(want[i])))
			d.NMSE += 1 / float64(len(want))
		}
	}
	c.addDraws(d)
}

// addDraws adds the result of the draws to the ops.
func (c *comparer) addDraws(d Drift) {
	d.Layer, d.Op, d.Pass = -1, drawOp, drawPass
	if k, ok := c.dev.(kernelNamer); ok {
		for _, name := range k.Kernels() {
			if strings.HasPrefix(name, "sample_") {
				d.Kernels = append(d.Kernels, name)
			}
		}
	}
	if c.report.Ops = append(c.report.Ops, d); !d.OK {
		name := drawOp
		c.report.FirstBad = &name
	}
}
