package engine

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// drawn are the settings of the sequences whose tokens a device draws in a comparison: every filter, penalties, a banned id.
var drawn = []sample.Params{
	{Presence: 0.7, Frequency: 0.3, PenaltyDecay: 0.9},
	{Temperature: 1, TopP: 0.85, Seed: 1},
	{Temperature: 1, TopP: 1, TopK: 5, Ban: []int{1}, Seed: 1 << 40},
	{Temperature: 1.5, TopP: 0.9, MinP: 0.02, TopK: 30, Presence: 0.4, Frequency: 0.25, PenaltyDecay: 0.996, Seed: 3},
}

// drawSteps is how many tokens each of them draws in one submission.
const drawSteps = 8

// drawOp names the draw, which is no step of a program, in reports.
const drawOp = "draw"

// draws compares the ids that the device draws, if it does so at all, with those that the CPU draws from the device's own
// logits, bit for bit, over several steps of one submission, within which one sequence ends.
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
	draws := make([]vulkan.Draw, len(drawn))
	begin := func() error {
		for i, p := range drawn {
			s, err := sample.New(p, sample.NewVocabulary(c.prog.Vocab, nil))
			if err != nil {
				return err
			}
			draws[i] = vulkan.Draw{Slot: i + 1, Token: c.tokens[i%len(c.tokens)], Sampler: s}
		}
		return c.reset()
	}
	if err := begin(); err != nil {
		return err
	}
	if _, err := dev.Decode(draws, drawSteps); err != nil { // first, so that all runs of the model are in the same kernels
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	want, err := c.drawOnHost(draws)
	if err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	end := want[drawSteps/2*len(draws)]
	draws[0].Ends = []int{int(end)}
	endFirst(want, len(draws), end)
	got, err := dev.Decode(draws, drawSteps)
	if err != nil {
		return err
	}
	c.reportDraws(got, want)
	return nil
}

// endFirst ends the first of so many sequences, whose ids stand in the order of steps, behind its first id end: a device
// gives the largest number in place of the ids of a sequence that has ended.
func endFirst(ids []uint32, sequences int, end uint32) {
	ended := false
	for at := 0; at < len(ids); at += sequences {
		if ended {
			ids[at] = math.MaxUint32
		}
		ended = ended || ids[at] == end
	}
}

// drawOnHost runs the device token by token and draws on the CPU. It returns the ids in the order of steps.
func (c *comparer) drawOnHost(draws []vulkan.Draw) (ids []uint32, err error) {
	var b op.Batch
	for range drawSteps {
		b.Reset()
		for _, d := range draws {
			b.Add(d.Slot, []int{d.Token}, 1)
		}
		if err := c.dev.Forward(&b); err != nil {
			return nil, err
		}
		for i := range draws {
			d := &draws[i]
			if d.Token, err = d.Sampler.Sample(slices.Clone(c.dev.Logits(i))); err != nil {
				return nil, err
			}
			if err := d.Sampler.Accept(d.Token); err != nil {
				return nil, err
			}
			ids = append(ids, uint32(d.Token))
		}
	}
	return ids, nil
}

// reportDraws adds the draw to the ops: its error is the share of ids that are others.
func (c *comparer) reportDraws(got, want []uint32) {
	d := Drift{Layer: -1, Op: drawOp, OK: slices.Equal(got, want), Pass: "draws"}
	for i := range want {
		if got[i] != want[i] {
			d.MaxAbs = max(d.MaxAbs, math.Abs(float64(got[i])-float64(want[i])))
			d.NMSE += 1 / float64(len(want))
		}
	}
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
