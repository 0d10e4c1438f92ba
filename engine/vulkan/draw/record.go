package draw

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Work is the effort of a draw for each id, in elements: a draw looks at each id many times, and emulated lanes are
// slow at that.
const Work = 256

// Record records the draw of every sequence's token from the logits of a step. The draw may change the logits.
func Record(rec *gpu.Recording, e *kernel.Env, s *Inputs, tables *kernel.Places, logits gpu.Range, k Shape, step int) error {
	draws, seqs, vocab, stride := s.draws.in(s.dev, k.Seqs), uint32(k.Seqs), uint32(e.Prog.Vocab), e.Prog.Logits.Stride()
	if k.Masked || k.Penalised || k.Biased {
		adjust, err := e.Set.SampleAdjust()
		if err != nil {
			return err
		}
		adjust.Dispatch(rec, shaders.SampleAdjustArgs{Draws: draws, Spans: tables.Spans, Tokens: tables.Tokens,
			Allowed: s.allowed.in(s.dev, k.Seqs), Free: s.free.in(s.dev, k.Seqs), Lengths: s.lengths.in(s.dev, k.Seqs),
			Counts: s.counts.in(s.dev, k.Seqs), Logits: logits, Biases: s.biases.in(s.dev, k.Seqs)},
			shaders.SampleAdjustPush{Vocab: vocab, Stride: uint32(stride), Step: uint32(step), Room: uint32(s.room)}, seqs, 1, 1)
	}
	draw, err := e.Set.SampleDraw(e.Texel(profile.Texel{Range: logits, Bytes: 16}))
	if err != nil {
		return err
	}
	draw.Dispatch(rec, shaders.SampleDrawArgs{Logits: logits, Draws: draws, Weights: s.weights.All(), Spans: tables.Spans,
		Tokens: tables.Tokens, Drawn: s.drawn.All()},
		shaders.SampleDrawPush{Vocab: vocab, Stride: uint32(stride / 4), Step: uint32(step), Seqs: seqs}, seqs, 1, 1)
	return nil
}
