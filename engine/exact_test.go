package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// exactSizes are models of each version, with rows of superblocks for q4_k.
var exactSizes = map[string]weightstest.Size{
	"v4":   {Vocab: 67, Embed: 256, Layers: 2, FFN: 512},
	"v5.2": {Vocab: 67, Embed: 256, Layers: 2, Head: 64, FFN: 512},
	"v6":   {Vocab: 67, Embed: 256, Layers: 2, Head: 64, FFN: 512, W: 32, A: 32},
	"v7":   {Vocab: 67, Embed: 256, Layers: 2, Head: 64, FFN: 512, W: 32, A: 32, V: 32, G: 64},
	"v7a":  {Vocab: 67, Embed: 256, Layers: 2, Head: 64, FFN: 512, W: 32, A: 32, V: 32, G: 64},
}

func exactModel(t *testing.T, version string, typ tensor.Type) *model.Model {
	t.Helper()
	f, err := weights.Parse(version, weightstest.Safetensors(weightstest.RWKV(version, exactSizes[version], tensor.F16, 5), nil))
	if err != nil {
		t.Fatal(err)
	}
	var o model.Options
	if typ.IsBlock() {
		o.Quant = typ
	}
	m, err := model.NewWith(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// life is a sequence among others: what it was fed, and what came of it.
type life struct {
	seq     *Seq
	sampler *sample.Sampler
	params  sample.Params
	before  []int // tokens of the sequence that it was forked from
	prompt  []int
	fed     int // of the prompt
	ids     []int
	most    int         // ids
	logits  [][]float32 // after each token of the prompt
	state   []float32   // when it ended
}

// history returns the tokens that were fed.
func (l *life) history() []int {
	all := slices.Concat(l.before, l.prompt[:l.fed])
	return append(all, l.ids[:max(len(l.ids)-1, 0)]...)
}

// With Exact, each of 64 sequences (16 in a short run) that come and go at random, in any pieces and any company, some
// forked from others and some released too early, has to the last bit the logits, ids and state that it has alone.
func TestExactInCompany(t *testing.T) {
	if reference.Race {
		t.Skip("one goroutine that compares numbers")
	}
	sequences := 64
	if testing.Short() {
		sequences = 16
	}
	for version := range exactSizes {
		for _, typ := range []tensor.Type{tensor.F16, tensor.Q4_K} {
			if testing.Short() && typ.IsBlock() && version != "v7" {
				continue // most of the time is that of the compiler
			}
			t.Run(fmt.Sprintf("%s %s", version, typ), func(t *testing.T) {
				m := exactModel(t, version, typ)
				eachDevice(t, func(t *testing.T, d *device.Device) {
					c := &company{e: newEngine(t, m, d, Options{Slots: 12, Seqs: 7, Chunk: 19, Exact: true}), rng: rand.New(rand.NewPCG(8, 3))}
					lives := c.run(t, sequences)
					alone := newEngine(t, m, d, Options{Exact: true})
					for i, l := range lives {
						c.compare(t, i, alone, l)
					}
				})
			})
		}
	}
}

// company is an engine with sequences that come and go.
type company struct {
	e      *Engine
	rng    *rand.Rand
	active []*life
}

// run lets n sequences live.
func (c *company) run(t *testing.T, n int) (all []*life) {
	t.Helper()
	for len(all) < n || len(c.active) > 0 {
		for len(all) < n && len(c.active) < 12 && c.rng.IntN(3) > 0 {
			all = append(all, c.admit(t))
		}
		if c.rng.IntN(2) == 0 {
			c.pass(t)
		} else {
			c.burst(t)
		}
		c.active = slices.DeleteFunc(c.active, func(l *life) bool {
			over := len(l.ids) == l.most || c.rng.IntN(60) == 0
			if over {
				l.state = mustState(t, c.e, l.seq)
				l.seq.Release()
			}
			return over
		})
	}
	return all
}

// admit begins a sequence, one in four as a fork.
func (c *company) admit(t *testing.T) *life {
	t.Helper()
	l := &life{params: decodeSettings()[c.rng.IntN(4)], prompt: randomTokens(c.rng, 1+c.rng.IntN(40), c.e.Model.Vocab), most: 1 + c.rng.IntN(12)}
	l.params.Seed += c.rng.Uint64()
	if l.sampler = newSampler(t, l.params, c.e); len(c.active) > 0 && c.rng.IntN(4) == 0 {
		from := c.active[c.rng.IntN(len(c.active))]
		l.before = from.history()
		var err error
		if l.seq, err = c.e.Fork(from.seq); err != nil {
			t.Fatal(err)
		}
	} else {
		l.seq = newSeq(t, c.e)
	}
	c.active = append(c.active, l)
	return l
}

// pass runs random pieces of some sequences.
func (c *company) pass(t *testing.T) {
	t.Helper()
	var rows []Row
	var of []*life
	for _, i := range c.rng.Perm(len(c.active))[:c.rng.IntN(len(c.active)+1)] {
		l := c.active[i]
		row := Row{Seq: l.seq, Sampler: l.sampler}
		if left := len(l.prompt) - l.fed; left > 0 {
			row.Want, row.Tokens = WantLogits, l.prompt[l.fed:][:1+c.rng.IntN(left)]
			row.Last = len(row.Tokens)
			row.Each = func(_ int, logits []float32) error {
				l.logits = append(l.logits, slices.Clone(logits))
				return nil
			}
		} else {
			row.Want, row.Tokens = WantDraw, l.ids[len(l.ids)-1:]
		}
		rows, of = append(rows, row), append(of, l)
	}
	if err := c.e.Pass(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		l, r := of[i], &rows[i]
		switch {
		case r.Err != nil:
			t.Fatal(r.Err)
		case r.Want == WantDraw && r.Taken == 1:
			l.ids = append(l.ids, r.ID)
		case r.Want == WantLogits:
			if l.fed += r.Taken; l.fed == len(l.prompt) {
				l.ids = append(l.ids, draw(t, l.sampler, l.logits[l.fed-1]))
			}
		}
	}
}

// burst lets some sequences that have read their prompts draw.
func (c *company) burst(t *testing.T) {
	t.Helper()
	var list []Continuation
	var of []*life
	for _, i := range c.rng.Perm(len(c.active)) {
		if l := c.active[i]; len(l.ids) > 0 && len(l.ids) < l.most && len(list) < 7 && c.rng.IntN(3) > 0 {
			list, of = append(list, Continuation{Seq: l.seq, Token: l.ids[len(l.ids)-1], Sampler: l.sampler}), append(of, l)
		}
	}
	if _, err := c.e.Burst(t.Context(), list, 1+c.rng.IntN(6), func(i, id int) bool {
		of[i].ids = append(of[i].ids, id)
		return len(of[i].ids) < of[i].most
	}); err != nil {
		t.Fatal(err)
	}
}

func draw(t *testing.T, s *sample.Sampler, logits []float32) int {
	t.Helper()
	id, err := s.Sample(logits)
	if err == nil {
		err = s.Accept(id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// compare wants of a sequence what it is alone.
func (c *company) compare(t *testing.T, i int, e *Engine, l *life) {
	t.Helper()
	seq := newSeq(t, e)
	defer seq.Release()
	fed := slices.Concat(l.before, l.prompt[:l.fed])
	want := make([][]float32, 0, l.fed)
	if len(fed) > 0 {
		want = step(t, e, input{seq, fed, l.fed})[0]
	}
	for j := range l.fed {
		sameBits(t, fmt.Sprintf("sequence %d: logits after token %d of %d, behind %d", i, j, l.fed, len(l.before)), l.logits[j], want[j])
	}
	if len(l.ids) > 0 {
		smp := newSampler(t, l.params, e)
		ids := []int{draw(t, smp, want[l.fed-1])}
		list := []Continuation{{Seq: seq, Token: ids[0], Sampler: smp}}
		for len(ids) < len(l.ids) {
			if _, err := e.Burst(t.Context(), list, len(l.ids)-len(ids), func(_, id int) bool {
				ids = append(ids, id)
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(ids, l.ids) {
			t.Fatalf("sequence %d: got ids %v, alone %v", i, l.ids, ids)
		}
	}
	sameBits(t, fmt.Sprintf("sequence %d: state", i), l.state, mustState(t, e, seq))
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d of %d: want %v, got %v", what, i, len(want), want[i], got[i])
		}
	}
}
