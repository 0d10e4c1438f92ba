package draw

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Inputs has what the draws of a submission start from, and what they leave. The host writes the former, and the
// submission copies it to the device. Everything is stored by sequence.
type Inputs struct {
	seqs, room int // what there is space for; room is that for accepted ids, and for ids with a bias

	host, dev *gpu.Buffer // the inputs below
	words     []uint32    // of host
	masked    int         // words of a mask

	draws, lengths, allowed, free, counts, biases array

	weights *gpu.Buffer // sample.WeightTable
	drawn   *gpu.Buffer // [step][sequence]
	ids     *gpu.Buffer // drawn, for the host
}

// array is where an array lies in the buffers of Inputs, in words.
type array struct{ at, each int }

// Bytes returns how much memory Make takes.
func Bytes(vocab, seqs, room int) int {
	words := new(Inputs).place(vocab, seqs, room)
	return 4 * (2*words + len(sample.WeightTable) + 2*seqs*MaxSteps)
}

// place places the arrays, and returns how many words they have together.
func (s *Inputs) place(vocab, seqs, room int) (words int) {
	s.seqs, s.room, s.masked = seqs, room, (vocab+31)/32
	place := func(each int) array {
		p := array{words, each}
		words += (seqs*each + op.Align - 1) / op.Align * op.Align
		return p
	}
	s.draws, s.lengths = place(glsl.DrawWords), place(1)
	s.allowed, s.free, s.counts = place(s.masked), place(s.masked), place(2*room)
	s.biases = place(2 * room)
	return words
}

// Make makes the buffers for draws of so many sequences from a vocabulary of so many ids. Each sequence has room for so
// many accepted ids, and for as many ids with a bias.
func (s *Inputs) Make(dev *gpu.Device, vocab, seqs, room int) error {
	words := s.place(vocab, seqs, room)
	for _, b := range []struct {
		to   **gpu.Buffer
		name string
		size int
		kind gpu.Memory
	}{
		{&s.host, "draws (host)", 4 * words, gpu.Upload},
		{&s.dev, "draws", 4 * words, gpu.DeviceLocal},
		{&s.weights, "weight table", 4 * len(sample.WeightTable), gpu.DeviceLocal},
		{&s.drawn, "drawn ids", 4 * seqs * MaxSteps, gpu.DeviceLocal},
		{&s.ids, "drawn ids (readback)", 4 * seqs * MaxSteps, gpu.Readback},
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

// Release frees the buffers.
func (s *Inputs) Release() {
	for _, b := range []*gpu.Buffer{s.host, s.dev, s.weights, s.drawn, s.ids} {
		b.Release()
	}
	*s = Inputs{}
}

// of returns a sequence's share of an array.
func (s *Inputs) of(p array, seq int) []uint32 { return s.words[p.at+seq*p.each:][:p.each] }

// in returns where the shares of the first seqs sequences of an array lie in a buffer.
func (p array) in(b *gpu.Buffer, seqs int) gpu.Range { return b.Range(4*p.at, 4*seqs*p.each) }

// Write writes what the draws of one sequence start from.
func (s *Inputs) Write(seq int, d *Draw, t *sample.Twin) {
	draw := glsl.Draw{Flags: pipeline.Flag(t.Greedy, glsl.DrawGreedy) | pipeline.Flag(t.Penalised, glsl.DrawPenalties) | pipeline.Flag(t.Masked, glsl.DrawMask) | pipeline.Flag(d.Once || d.OnHost, glsl.DrawOnce) | pipeline.Flag(t.Biased > 0, glsl.DrawBias),
		Factor: t.Factor, TopP: t.TopP, Limit: t.Limit, TopK: t.TopK, SeedLo: uint32(t.Seed), SeedHi: uint32(t.Seed >> 32),
		PositionLo: uint32(t.Position), PositionHi: uint32(t.Position >> 32), Presence: t.Presence, Frequency: t.Frequency, Decay: t.Decay, Biased: uint32(t.Biased)}
	for i := range draw.End {
		draw.End[i] = glsl.DrawNone
		if i < len(d.Ends) {
			draw.End[i] = uint32(d.Ends[i])
		}
	}
	words := draw.Words()
	copy(s.of(s.draws, seq), words[:])
	if t.Masked {
		t.CopyAllowed(s.of(s.allowed, seq))
	}
	if t.Biased > 0 {
		t.CopyBiases(s.of(s.biases, seq)[:2*t.Biased])
	}
	if t.Penalised {
		s.of(s.lengths, seq)[0] = uint32(t.Accepted)
		t.CopyCounts(s.of(s.counts, seq)[:2*t.Accepted])
		t.CopyFree(s.of(s.free, seq))
	}
}

// Upload records the copies to the device of everything that the draws read.
func (s *Inputs) Upload(rec *gpu.Recording, k Shape) {
	arrays := []array{s.draws}
	if k.Masked || k.Penalised {
		arrays = append(arrays, s.allowed)
	}
	if k.Penalised {
		arrays = append(arrays, s.lengths, s.free, s.counts)
	}
	if k.Biased {
		arrays = append(arrays, s.biases)
	}
	for _, p := range arrays {
		rec.Copy(p.in(s.dev, k.Seqs), p.in(s.host, k.Seqs))
	}
}

// Download records the copy of the drawn ids to the host.
func (s *Inputs) Download(rec *gpu.Recording, k Shape) {
	size := 4 * k.Steps * k.Seqs
	rec.Copy(s.ids.Range(0, size), s.drawn.Range(0, size))
}

// IDs returns what came to the host.
func (s *Inputs) IDs(k Shape) []uint32 {
	return gpu.Uint32s(s.ids.Bytes())[:k.Steps*k.Seqs]
}

// Room returns how many accepted ids of each sequence the buffers have space for, and how many with a bias. It is 0
// before there are buffers.
func (s *Inputs) Room() int { return s.room }

// Counts returns the ids that a sequence has accepted on the device, each with its count: for tests.
func (s *Inputs) Counts(dev *gpu.Device, seq int) ([]uint32, error) {
	data := make([]byte, s.dev.Size())
	if err := dev.Download(data, s.dev.All()); err != nil {
		return nil, err
	}
	words := gpu.Uint32s(data)
	return words[s.counts.at+seq*s.counts.each:][:2*words[s.lengths.at+seq]], nil
}
