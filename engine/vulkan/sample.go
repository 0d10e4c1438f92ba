package vulkan

import (
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// DrawError returns what is wrong with an id that Decode returned, or nil.
func DrawError(id uint32) error {
	switch {
	case id < glsl.DrawBad:
		return nil
	case id == glsl.DrawNone:
		return fmt.Errorf("vulkan: draw: the sequence had ended")
	case id == glsl.DrawEmpty:
		return &sample.LogitsError{ID: -1, Value: float32(math.Inf(-1))}
	}
	return &sample.LogitsError{ID: int(id - glsl.DrawBad), Value: float32(math.NaN())} // or +Inf
}

// MaxEnds is the number of ids that can end a sequence on the device.
const MaxEnds = len(glsl.Draw{}.End)

// sampling is what the draws of a submission start from, written by the host and copied to the device, and what they
// leave there. All is by sequence.
type sampling struct {
	seqs, room int // what there is space for; room is that for accepted ids

	host, dev *gpu.Buffer // the inputs below
	words     []uint32    // of host
	masked    int         // words of a mask

	draws, lengths, allowed, free, counts part

	weights *gpu.Buffer // sample.WeightTable
	drawn   *gpu.Buffer // [step][sequence]
	ids     *gpu.Buffer // drawn, for the host
}

// part is an array in sampling's buffers, in words.
type part struct{ at, each int }

// minRoom is the space for accepted ids to begin with.
const minRoom = 1024

// make makes the buffers.
func (s *sampling) make(dev *gpu.Device, vocab, seqs, room int) error {
	s.seqs, s.room, s.masked = seqs, room, (vocab+31)/32
	words := 0
	place := func(each int) part {
		p := part{words, each}
		words += (seqs*each + op.Align - 1) / op.Align * op.Align
		return p
	}
	s.draws, s.lengths = place(glsl.DrawWords), place(1)
	s.allowed, s.free, s.counts = place(s.masked), place(s.masked), place(2*room)
	for _, b := range []struct {
		to   **gpu.Buffer
		name string
		size int
		kind gpu.Memory
	}{
		{&s.host, "draws (host)", 4 * words, gpu.Upload},
		{&s.dev, "draws", 4 * words, gpu.DeviceLocal},
		{&s.weights, "weight table", 4 * len(sample.WeightTable), gpu.DeviceLocal},
		{&s.drawn, "drawn ids", 4 * seqs * MaxDecodeSteps, gpu.DeviceLocal},
		{&s.ids, "drawn ids (readback)", 4 * seqs * MaxDecodeSteps, gpu.Readback},
	} {
		var err error
		if *b.to, err = dev.NewBuffer(b.name, b.size, b.kind); err != nil {
			return err
		}
	}
	s.words = gpu.Uint32s(s.host.Bytes())
	table := make([]byte, 4*len(sample.WeightTable))
	copy(gpu.Uint32s(table), sample.WeightTable[:])
	return dev.Upload(s.weights.All(), table)
}

func (s *sampling) release() {
	for _, b := range []*gpu.Buffer{s.host, s.dev, s.weights, s.drawn, s.ids} {
		b.Release()
	}
	*s = sampling{}
}

// of returns a sequence's share of a part.
func (s *sampling) of(p part, seq int) []uint32 { return s.words[p.at+seq*p.each:][:p.each] }

// in returns where the first seqs sequences' shares of a part lie in a buffer.
func (p part) in(b *gpu.Buffer, seqs int) gpu.Range { return b.Range(4*p.at, 4*seqs*p.each) }

// write puts down what the draws of one sequence start from.
func (s *sampling) write(seq int, d *Draw, t *sample.Twin) {
	draw := glsl.Draw{Flags: pipeline.Flag(t.Greedy, glsl.DrawGreedy) | pipeline.Flag(t.Penalised, glsl.DrawPenalties) | pipeline.Flag(t.Masked, glsl.DrawMask) | pipeline.Flag(d.Once || d.OnHost, glsl.DrawOnce),
		Factor: t.Factor, TopP: t.TopP, Limit: t.Limit, TopK: t.TopK, SeedLo: uint32(t.Seed), SeedHi: uint32(t.Seed >> 32),
		PositionLo: uint32(t.Position), PositionHi: uint32(t.Position >> 32), Presence: t.Presence, Frequency: t.Frequency, Decay: t.Decay}
	for i := range draw.End {
		draw.End[i] = glsl.DrawNone
		if i < len(d.Ends) {
			draw.End[i] = uint32(d.Ends[i])
		}
	}
	words := draw.Words()
	copy(s.of(s.draws, seq), words[:])
	if t.Masked {
		d.Sampler.CopyAllowed(s.of(s.allowed, seq))
	}
	if t.Penalised {
		s.of(s.lengths, seq)[0] = uint32(t.Accepted)
		d.Sampler.CopyCounts(s.of(s.counts, seq)[:2*t.Accepted])
		d.Sampler.CopyFree(s.of(s.free, seq))
	}
}

// upload records the copies to the device of what some sequences' draws read.
func (s *sampling) upload(rec *gpu.Recording, k decodeShape) {
	parts := []part{s.draws}
	if k.masked || k.penalised {
		parts = append(parts, s.allowed)
	}
	if k.penalised {
		parts = append(parts, s.lengths, s.free, s.counts)
	}
	for _, p := range parts {
		rec.Copy(p.in(s.dev, k.seqs), p.in(s.host, k.seqs))
	}
}

// download records the copy of the drawn ids to the host.
func (s *sampling) download(rec *gpu.Recording, k decodeShape) {
	size := 4 * k.steps * k.seqs
	rec.Copy(s.ids.Range(0, size), s.drawn.Range(0, size))
}

// drawnIDs returns what came to the host.
func (s *sampling) drawnIDs(k decodeShape) []uint32 {
	return gpu.Uint32s(s.ids.Bytes())[:k.steps*k.seqs]
}

// drawWork is what a draw does for each id, in elements: it looks at it many times over, and emulated lanes are slow at it.
const drawWork = 256

// draw records the draw of every sequence's token from the logits of the step.
func (d *decoding) draw(r *recorder, k decodeShape, step int) error {
	r.expect(drawWork * float64(d.prog.Vocab*k.seqs))
	return d.recordDraw(r.Rec, &d.sampling, r.At, d.logitsOf(k.seqs), k, step)
}

// recordDraw records draws from logits, which may be changed.
func (e *runner) recordDraw(rec *gpu.Recording, s *sampling, tables *kernel.Places, logits gpu.Range, k decodeShape, step int) error {
	draws, seqs, vocab, stride := s.draws.in(s.dev, k.seqs), uint32(k.seqs), uint32(e.prog.Vocab), e.prog.Logits.Stride()
	if k.masked || k.penalised {
		adjust, err := e.env.Set.SampleAdjust()
		if err != nil {
			return err
		}
		adjust.Dispatch(rec, shaders.SampleAdjustArgs{Draws: draws, Spans: tables.Spans, Tokens: tables.Tokens,
			Allowed: s.allowed.in(s.dev, k.seqs), Free: s.free.in(s.dev, k.seqs), Lengths: s.lengths.in(s.dev, k.seqs),
			Counts: s.counts.in(s.dev, k.seqs), Logits: logits},
			shaders.SampleAdjustPush{Vocab: vocab, Stride: uint32(stride), Step: uint32(step), Room: uint32(s.room)}, seqs, 1, 1)
	}
	draw, err := e.env.Set.SampleDraw(e.env.Texel(profile.Texel{Range: logits, Bytes: 16}))
	if err != nil {
		return err
	}
	draw.Dispatch(rec, shaders.SampleDrawArgs{Logits: logits, Draws: draws, Weights: s.weights.All(), Spans: tables.Spans,
		Tokens: tables.Tokens, Drawn: s.drawn.All()},
		shaders.SampleDrawPush{Vocab: vocab, Stride: uint32(stride / 4), Step: uint32(step), Seqs: seqs}, seqs, 1, 1)
	return nil
}
