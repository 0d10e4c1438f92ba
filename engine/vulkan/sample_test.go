package vulkan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// fifths is a vocabulary of which every fifth id has free text.
type fifths struct{}

func (fifths) Bytes(id int) []byte { return []byte{"x7yzw"[id%5]} }

// drawSettings is a spread of 20 ways to draw from vocab ids.
func drawSettings(vocab int) []sample.Params {
	third := func(k int) int { return max(vocab*k/3, 1) }
	list := []sample.Params{
		{}, {Temperature: 1, TopP: 1}, {Temperature: 0.7, TopP: 1}, {Temperature: 2, TopP: 1}, {Temperature: 1, TopP: 0.85},
		{Temperature: 0.96, TopP: 0.76, TopK: 32, Presence: 1, Frequency: 0.1, PenaltyDecay: 0.988},
		{Temperature: 1, TopP: 0.28, TopK: third(1)}, {Temperature: 1.3, TopP: 0.5}, {Temperature: 0.3, TopP: 0.99999994},
		{Temperature: 1, TopP: 1, TopK: 5}, {Presence: 0.7, Frequency: 0.3, PenaltyDecay: 0.9}, {Temperature: 1, TopP: 1e-30},
		{Temperature: 1, TopP: 1, MinP: 0.05}, {Temperature: 1.5, TopP: 0.9, MinP: 0.02, TopK: third(2)},
		{Temperature: 1, TopP: 0.95, Presence: 0.4, Frequency: 0.25, PenaltyDecay: 0.996},
		{Temperature: 1, TopP: 1, Frequency: -0.2, PenaltyDecay: 0.5}, {Temperature: 5, TopP: 0.999, TopK: 100},
		{Temperature: 1, TopP: 0.6}, {Temperature: 1e-38, TopP: 1, TopK: third(2)}, {Temperature: math.MaxFloat32, TopP: 1, MinP: 1e-30},
	}
	for i := range list {
		list[i].Seed = 0x5EED_0000_0000_0000 + uint64(i)
		if i%6 == 5 && vocab > 3 {
			list[i].Ban = []int{0, vocab / 2, vocab - 1}
		}
		if i%3 == 2 || i%7 == 4 {
			list[i].Bias = map[int]float32{vocab - 1: 0.5, vocab / 2: -3, 0: float32(i) / 3, vocab / 3: 2}
			for id := range min(vocab, 70*i) {
				if id%3 > 0 {
					list[i].Bias[id] = float32(id%11)/4 - 1
				}
			}
		}
	}
	return list
}

// drawLogits returns logits of one of many kinds: of all deviations, with ties, equal, taken out, far apart.
func drawLogits(r *rand.Rand, n int) []float32 {
	logits := make([]float32, n)
	deviation := []float64{1e-6, 0.01, 1, 3, 3, 10, 1e3, 1e30}[r.IntN(8)]
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * deviation)
	}
	kind := r.IntN(6)
	for i := range logits {
		switch {
		case kind == 0:
			logits[i] = float32(math.Round(float64(logits[i])/deviation) * deviation)
		case kind == 1 && r.IntN(2) == 0:
			logits[i] = float32(math.Inf(-1))
		case kind == 2:
			logits[i] = float32(math.Copysign(0, float64(logits[i])))
		case kind == 3 && r.IntN(n) < 5:
			logits[i] += 12
		}
	}
	logits[r.IntN(n)] = float32(deviation)
	return logits
}

// drawExec returns an executor of a program that does nothing, whose logits the test writes.
func drawExec(tb testing.TB, k *Kernels, l profile.Loads, seqs, vocab int) (*Prober, *op.Operand) {
	var b op.Builder
	logits := b.Scratch("logits", op.Out, vocab)
	prog := b.Unchecked()
	prog.Logits, prog.Vocab = logits, vocab
	e, err := newProber(k, prog, Options{Sizes: op.Sizes{Slots: seqs, Rows: seqs, Seqs: seqs, Outs: seqs}, Loads: l})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = e.Close() })
	return e, logits
}

// stageLogits makes each draw's logits those of its sequence.
func stageLogits(tb testing.TB, e *Prober, o *op.Operand, draws []Draw, logits []float32) {
	tb.Helper()
	var b op.Batch
	for _, d := range draws {
		b.Add(d.Slot, []int{d.Token}, 1)
	}
	if err := e.Stage(&b); err != nil {
		tb.Fatal(err)
	}
	if err := e.Write(o, logits); err != nil {
		tb.Fatal(err)
	}
}

// From the same logits and seed the device draws the ids that the CPU draws, in 20 settings at once: 1,000 tokens of a
// small vocabulary, and some of every odd and large one.
func TestDraws(t *testing.T) {
	k := kernels(t)
	many := 1000
	if testing.Short() {
		many = 100
	}
	for _, c := range []struct {
		vocab, tokens int
		l             profile.Loads
	}{
		{1, 3, profile.Buffers}, {2, 20, profile.Texels}, {4, 20, profile.Buffers}, {5, 50, profile.Texels}, {256, many, profile.Buffers}, {257, 50, profile.Texels},
		{4096, 20, profile.Texels}, {65536, 2, profile.Buffers}, {70001, 2, profile.Texels},
	} {
		t.Run(fmt.Sprintf("%d/%s", c.vocab, c.l), func(t *testing.T) { testDraws(t, k, c.l, c.vocab, c.tokens) })
	}
}

func testDraws(t *testing.T, k *Kernels, l profile.Loads, vocab, tokens int) {
	settings := drawSettings(vocab)
	e, o := drawExec(t, k, l, len(settings), vocab)
	var draws []Draw
	masks := make([][]uint64, len(settings))
	r := rand.New(rand.NewPCG(uint64(vocab), uint64(l)))
	for i, p := range settings {
		s, err := sample.New(p, sample.NewVocabulary(vocab, fifths{}))
		if err != nil {
			t.Fatal(err)
		}
		if i%7 == 4 {
			masks[i] = make([]uint64, (vocab+63)/64)
		}
		if err := s.SetMask(masks[i]); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			s.SetPosition(uint64(i)<<32 - 2)
		}
		draws = append(draws, Draw{Slot: i, Sampler: s})
	}
	for token := range tokens {
		logits := make([]float32, 0, len(draws)*vocab)
		for i := range draws {
			logits = append(logits, drawLogits(r, vocab)...)
			for w := range masks[i] {
				masks[i][w] = r.Uint64() | 1<<r.IntN(64)
			}
			if masks[i] != nil {
				masks[i][0] |= 1 << min(1, vocab-1)
			}
		}
		stageLogits(t, e, o, draws, logits)
		ids, err := e.Decode(draws, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range draws {
			s := draws[i].Sampler
			want, err := s.Sample(logits[i*vocab:][:vocab])
			if err != nil {
				if got := DrawError(ids[i]); got == nil || !strings.Contains(got.Error(), "may be drawn") {
					t.Fatalf("setting %d token %d: want %q, got %v", i, token, err, got)
				}
				continue
			}
			if ids[i] != uint32(want) {
				t.Fatalf("setting %d (%+v) token %d: the CPU drew %d, the device %d", i, settings[i], token, want, ids[i])
			}
			if err := s.Accept(want); err != nil {
				t.Fatal(err)
			}
			draws[i].Token = want
		}
	}
}

// Between the steps of a submission the device accepts what it drew as the sampler does, bit for bit: decayed counts,
// new ids, those that do not count; and it lowers the logits by them, until a sequence has ended. (No step writes the
// logits here: they sink.)
func TestDrawsAccepted(t *testing.T) { testDrawsAccepted(t, kernels(t)) }

func testDrawsAccepted(t *testing.T, k *Kernels) {
	const vocab, steps = 1500, 12
	var draws []Draw
	r := rand.New(rand.NewPCG(1, 2))
	for i, decay := range []float32{0.988, 1, 0.5, 0.001, 0, 0.9} {
		s, err := sample.New(sample.Params{Temperature: 1, TopP: 1, Presence: 0.4, Frequency: float32(1 + i), PenaltyDecay: decay, Seed: uint64(i)},
			sample.NewVocabulary(vocab, fifths{}))
		if err != nil {
			t.Fatal(err)
		}
		before := 3 * i
		if i == 0 {
			before = minRoom - 3 // so that the lists have to grow
		}
		for _, id := range r.Perm(vocab)[:before] {
			if err := s.Accept(id); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 1 {
			mask := make([]uint64, (vocab+63)/64)
			for w := range mask {
				mask[w] = r.Uint64()
			}
			if err := s.SetMask(mask); err != nil {
				t.Fatal(err)
			}
		}
		draws = append(draws, Draw{Slot: i, Token: i, Sampler: s})
	}
	e, o := drawExec(t, k, profile.Buffers, len(draws), vocab)
	logits := make([]float32, len(draws)*vocab)
	for i := range logits {
		logits[i] = float32(3 * r.NormFloat64())
	}
	decode := func() []uint32 {
		stageLogits(t, e, o, draws, logits)
		ids, err := e.Decode(draws, steps)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	ids := decode()
	for i := range 3 {
		draws[i].Ends = []int{int(ids[(3*i+1)*len(draws)+i])}
	}
	ids = decode()
	got, err := e.Read(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range draws {
		smp, row := draws[i].Sampler, logits[i*vocab:][:vocab]
		for step := range steps {
			if step > 0 { // the last is for the host to accept
				id := int(ids[(step-1)*len(draws)+i])
				if slices.Contains(draws[i].Ends, id) {
					break
				}
				if err := smp.Accept(id); err != nil {
					t.Fatal(err)
				}
			}
			lower(row, smp)
		}
		twin := smp.Twin()
		want := make([]uint32, 2*twin.Accepted)
		twin.CopyCounts(want)
		if counts, err := e.decode.inputs.Counts(e.dev, i); err != nil || !slices.Equal(counts, want) {
			t.Errorf("sequence %d: ids and counts: want %x, got %x (%v)", i, want, counts, err)
		}
		if !slices.Equal(got[i*vocab:][:vocab], row) {
			t.Errorf("sequence %d: logits: want %v, got %v", i, row, got[i*vocab:][:vocab])
		}
	}
}

// lower takes masked ids out of the logits and penalises the others that the sampler accepted.
func lower(logits []float32, s *sample.Sampler) {
	allowed := make([]uint32, (len(logits)+31)/32)
	twin := s.Twin()
	twin.CopyAllowed(allowed)
	for id := range logits {
		if count, accepted := s.Count(id); accepted {
			scaled := count * s.Params().Frequency
			logits[id] -= s.Params().Presence + scaled
		}
		if allowed[id/32]>>(id%32)&1 == 0 {
			logits[id] = float32(math.Inf(-1))
		}
	}
}

// Of a Decode nothing counts as under way after it: the copies of whatever slots' states can be started again.
func TestDecodeWaitsForSaves(t *testing.T) {
	const vocab = 4
	s, err := sample.New(sample.Params{}, sample.NewVocabulary(vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	e, o := drawExec(t, kernels(t), profile.Buffers, 3, vocab)
	for _, slots := range [][]int{{0, 1, 2}, {1}, {2, 0}} {
		var draws []Draw
		for _, slot := range slots {
			draws = append(draws, Draw{Slot: slot, Sampler: s})
		}
		stageLogits(t, e, o, draws, make([]float32, len(draws)*vocab))
		if _, err := e.Decode(draws, 2); err != nil {
			t.Fatal(err)
		}
	}
	for _, slots := range [][]int{{0, 1, 2}, {1}, {2, 0}} {
		c, err := e.states.Save(slots)
		if err == nil {
			err = c.Wait()
		}
		if err != nil {
			t.Errorf("slots %v: %v", slots, err)
		}
	}
}
