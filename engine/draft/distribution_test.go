package draft

import (
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// ids is a vocabulary for which all texts of three tokens can be counted.
const ids = 5

// Texts of three tokens, over many seeds, have the probabilities that the main model and the settings give them, though
// the draft's are others. RWKV_OPERATIONS=1000000 counts as many texts.
func TestDistribution(t *testing.T) {
	texts := 1500
	if n, err := strconv.Atoi(os.Getenv("RWKV_OPERATIONS")); err == nil {
		texts = n
	}
	main := newEngine(t, stranger(t, ids, 1), &device.Device{}, engine.Options{Slots: 2 + Slots})
	for name, p := range map[string]sample.Params{
		"all":       {Temperature: 1, TopP: 1},
		"top-p":     {Temperature: 0.7, TopP: 0.8},
		"penalties": {Temperature: 1.4, TopP: 0.95, Presence: 0.6, Frequency: 0.5, PenaltyDecay: 0.9, Bias: map[int]float32{2: 0.7}},
	} {
		d := newDrafter(t, main, stranger(t, ids, 2), 2)
		begin := newTeller(t, main, []int{3, 1}, newSampler(t, p, ids))
		begin.c.Token = 4
		var want [ids * ids * ids]float64
		expect(t, main, begin.c.Seq, []int{4}, newSampler(t, p, ids), 1, want[:])
		var got [ids * ids * ids]float64
		var first, proposed [ids]float64
		for seed := range texts {
			p.Seed = uint64(seed)
			seq, err := main.Fork(begin.c.Seq)
			if err != nil {
				t.Fatal(err)
			}
			c, at := []engine.Continuation{{Seq: seq, Token: 4, Sampler: newSampler(t, p, ids)}}, 0
			if _, err := d.Burst(t.Context(), c, []int{3, 1}, 3, func(_, id int) bool {
				at = at*ids + id
				return true
			}); err != nil {
				t.Fatal(err)
			}
			seq.Release()
			got[at]++
			proposed[d.round.proposed[0]]++
		}
		for i, x := range want {
			first[i/ids/ids] += x
		}
		if g, most := gTest(got[:], want[:]); !(g < most) {
			t.Errorf("%s: G is %.1f, want less than %.1f", name, g, most)
		}
		if g, most := gTest(proposed[:], first[:]); !(g > 2*most) {
			t.Errorf("%s: the draft's own ids have a G of %.1f, below %.1f: the test sees no difference", name, g, most)
		}
		if s := d.Stats(); s.Accepted < s.Proposed/20 || s.Accepted > s.Proposed*9/10 {
			t.Errorf("%s: %d of %d proposals were right: the test sees one kind only", name, s.Accepted, s.Proposed)
		}
		begin.c.Seq.Release()
		d.Close()
	}
}

// expect adds the probabilities of all texts behind some tokens to want.
func expect(t *testing.T, e *engine.Engine, s *engine.Seq, tokens []int, smp *sample.Sampler, weight float64, want []float64) {
	seq, err := e.Fork(s)
	if err != nil {
		t.Fatal(err)
	}
	var p []float32
	rows := []engine.Row{{Seq: seq, Tokens: tokens, Want: engine.WantLogits, Each: func(_ int, logits []float32) (err error) {
		p, err = smp.Distribution(logits)
		return err
	}}}
	if err := e.Feed(t.Context(), rows); err != nil || rows[0].Err != nil {
		t.Fatal(err, rows[0].Err)
	}
	seq.Release()
	size := len(want) / ids
	for id, x := range p {
		part := want[id*size:][:size]
		if size == 1 {
			part[0] += weight * float64(x)
			continue
		}
		next := smp.Clone()
		if err := next.Accept(id); err != nil {
			t.Fatal(err)
		}
		expect(t, e, s, append(slices.Clone(tokens), id), next, weight*float64(x), part)
	}
}

// gTest returns the statistic of the G test, 2 * sum of got * ln(got / expected), and a bound of it. With the
// probabilities of want, the statistic has a mean of about the degrees of freedom f and a variance of 2f; the bound is
// six standard deviations higher. What is expected fewer than 8 times is counted together.
func gTest(got, want []float64) (g, most float64) {
	var n, rare, rareWant float64
	for _, x := range got {
		n += x
	}
	free := -1.0
	add := func(x, expected float64) {
		free++
		if x > 0 {
			g += 2 * x * math.Log(x/expected)
		}
	}
	for i, x := range got {
		if expected := n * want[i]; expected < 8 {
			rare, rareWant = rare+x, rareWant+expected
		} else {
			add(x, expected)
		}
	}
	if rareWant > 0 || rare > 0 {
		add(rare, rareWant)
	}
	return g, free + 6*math.Sqrt(2*free)
}
