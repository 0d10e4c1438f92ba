package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// decodeSettings are settings in a fixed order, without stops.
func decodeSettings() []sample.Params {
	hot, penalised, few := sample.Default(), sample.Default(), sample.Default()
	hot.Temperature, hot.TopP, hot.Seed = 1.3, 1, 7
	penalised.Presence, penalised.Frequency, penalised.Seed, penalised.Ban = 0.4, 0.3, 11, []int{0, 3}
	few.TopK, few.MinP, few.Temperature, few.Seed = 5, 0.02, 2, 1<<63+5
	return []sample.Params{penalised, {}, few, hot}
}

// thirds is a vocabulary of which every third id has free text.
type thirds struct{}

func (thirds) Bytes(id int) []byte { return []byte{"x7y"[id%3]} }

func newSampler(tb testing.TB, p sample.Params, e *Engine) *sample.Sampler {
	tb.Helper()
	s, err := sample.New(p, sample.NewVocabulary(e.Model.Vocab, thirds{}))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// begin gives each setting a slot that has read some tokens.
func begin(tb testing.TB, e *Engine, params []sample.Params) []Continuation {
	tb.Helper()
	var list []Continuation
	for i, p := range params {
		c := Continuation{Seq: newSeq(tb, e), Token: i + 1, Sampler: newSampler(tb, p, e)}
		step(tb, e, input{c.Seq, []int{3, 1, 4, i}, 0})
		if err := c.Sampler.Accept(c.Token); err != nil {
			tb.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

func end(list []Continuation) {
	for _, c := range list {
		c.Seq.Release()
	}
}

// decode bursts until every sequence has drawn n tokens or is over.
func decode(tb testing.TB, e *Engine, list []Continuation, n int, each func(i, id int) bool) {
	tb.Helper()
	for left := n; left > 0; {
		steps, err := e.Burst(tb.Context(), list, left, each)
		if err != nil {
			tb.Fatal(err)
		}
		if steps == 0 {
			return
		}
		left -= steps
	}
}

// singly is decode one token at a time, which is what it has to equal.
func singly(tb testing.TB, e *Engine, list []Continuation, n int) (ids [][]int) {
	tb.Helper()
	ids = make([][]int, len(list))
	rows := make([]Row, len(list))
	for range n {
		for i, c := range list {
			rows[i] = Row{Seq: c.Seq, Tokens: []int{c.Token}, Want: WantDraw, Sampler: c.Sampler}
		}
		if err := e.Pass(tb.Context(), rows); err != nil {
			tb.Fatal(err)
		}
		for i := range rows {
			if rows[i].Err != nil {
				tb.Fatal(rows[i].Err)
			}
			list[i].Token, ids[i] = rows[i].ID, append(ids[i], rows[i].ID)
		}
	}
	return ids
}

// sameContinuation wants the same place in the text, the same sampler and bit for bit the same state.
func sameContinuation(t *testing.T, e *Engine, what string, got, want *Continuation) {
	t.Helper()
	if !slices.Equal(mustState(t, e, got.Seq), mustState(t, e, want.Seq)) {
		t.Errorf("%s: another state", what)
	}
	if got.Token != want.Token || got.Sampler.Position() != want.Sampler.Position() {
		t.Errorf("%s: token %d at %d, want %d at %d", what, got.Token, got.Sampler.Position(), want.Token, want.Sampler.Position())
	}
	for id := range e.Model.Vocab {
		n, ok := got.Sampler.Count(id)
		if m, also := want.Sampler.Count(id); n != m || ok != also {
			t.Errorf("%s: count of %d is %v (%v), want %v (%v)", what, id, n, ok, m, also)
		}
	}
}

// eachDrawing runs a test on the CPU and on the Vulkan device, where tokens are drawn there and where they are drawn on
// the host.
func eachDrawing(t *testing.T, test func(t *testing.T, d *device.Device)) {
	t.Run("cpu", func(t *testing.T) { test(t, &device.Device{}) })
	for _, draws := range []vulkan.Draws{vulkan.DeviceDraws, vulkan.HostDraws} {
		t.Run("vulkan/"+draws.String(), func(t *testing.T) {
			d := vulkanDevice(t)
			d.Draws = draws
			test(t, d)
		})
	}
}

// Tokens drawn many in a submission are those drawn one at a time, and so are the states and samplers they leave.
func TestBurst(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		const n = 75
		e := newEngine(t, m, d, Options{Slots: 8, Chunk: 8})
		for _, params := range [][]sample.Params{decodeSettings()[1:2], decodeSettings()[:1], decodeSettings()} {
			want, got := begin(t, e, params), begin(t, e, params)
			ids, drawn := singly(t, e, want, n), make([][]int, len(got))
			before := e.Stats()
			decode(t, e, got, n, func(i, id int) bool {
				drawn[i] = append(drawn[i], id)
				return true
			})
			for i := range got {
				if !slices.Equal(drawn[i], ids[i]) {
					t.Errorf("sequence %d of %d: drew %v, want %v", i, len(params), drawn[i], ids[i])
				}
				sameContinuation(t, e, fmt.Sprintf("sequence %d of %d", i, len(params)), &got[i], &want[i])
			}
			if w := e.Stats().Sub(before.Work); w.Passes != n || w.OutPasses != n || w.Rows != n*len(got) || w.Outs != n*len(got) ||
				w.DeviceDraws+w.HostDraws != n*len(got) || (w.DeviceDraws > 0) != (d.Draws == vulkan.DeviceDraws) || (w.Drawing > 0) != (w.HostDraws > 0) {
				t.Errorf("counted %+v", w)
			}
			end(slices.Concat(want, got))
		}
	})
}

// Wherever a sequence ends, by the caller's word, by one of its ends, or because nothing can be drawn, and whether or
// not the device had gone further, its state is the one before the last token was fed, and the other sequences go on.
func TestBurstEnds(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		const n = 21
		e := newEngine(t, m, d, Options{Slots: 6, Chunk: 8})
		params := decodeSettings()[2:]
		all := begin(t, e, params)
		ids := singly(t, e, all, n)
		end(all)
		for _, at := range []int{0, 1, 2, 5, 8, 13, n - 1} {
			for _, how := range []string{"word", "end", "ninth end"} {
				want, got := begin(t, e, params), begin(t, e, params)
				stop := slices.Index(ids[0], ids[0][at]) // where the id is first drawn
				singly(t, e, want[:1], stop+1)
				singly(t, e, want[1:], n)
				switch how {
				case "end":
					got[0].Ends = []int{m.Vocab - 1, ids[0][at]}
				case "ninth end":
					got[0].Ends = append(slices.Repeat([]int{m.Vocab - 1}, vulkan.MaxEnds), ids[0][at])
				}
				drawn := make([]int, len(got))
				decode(t, e, got, n, func(i, _ int) bool {
					drawn[i]++
					return how != "word" || i > 0 || drawn[0] <= stop
				})
				if drawn[0] != stop+1 || drawn[1] != n || !got[0].Over || got[1].Over || got[0].Err != nil {
					t.Errorf("%s at %d: %v tokens, over %v %v, %v", how, at, drawn, got[0].Over, got[1].Over, got[0].Err)
				}
				for i := range got {
					sameContinuation(t, e, fmt.Sprintf("%s at %d, sequence %d", how, at, i), &got[i], &want[i])
				}
				end(slices.Concat(want, got))
			}
		}
	})
}

// A mask may change with every token, and log-probabilities need the host: such a sequence takes one step of a burst,
// with the id that it draws alone, while the others take theirs, also those with a bias.
func TestBurstBesideMasks(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		const n = 24
		e := newEngine(t, m, d, Options{Slots: 10, Chunk: 8})
		params := decodeSettings()
		biased := params[3]
		biased.Bias = map[int]float32{2: 4, 7: -3}
		params = append(params[:3:3], biased, params[3])
		mask := make([]uint64, (m.Vocab+63)/64)
		change := func(drawn int) { mask[0] = 0xFF << (drawn % 50) }
		masked := func(c []Continuation) {
			if err := c[0].Sampler.SetMask(mask); err != nil {
				t.Fatal(err)
			}
		}
		want, got := begin(t, e, params), begin(t, e, params)
		masked(want)
		masked(got)
		var ids [5][]int
		for i := range want {
			for range n {
				change(len(ids[0]))
				ids[i] = append(ids[i], singly(t, e, want[i:i+1], 1)[0][0])
			}
		}
		got[4].Logprobs, got[4].Top = true, 2
		var drawn [5][]int
		change(0)
		bursts := 0
		for ; len(drawn[1]) < n; bursts++ {
			if _, err := e.Burst(t.Context(), got, n-len(drawn[1]), func(i, id int) bool {
				drawn[i] = append(drawn[i], id)
				if i == 0 {
					change(len(drawn[0]))
				}
				if i == 4 && (len(got[4].Alternatives) != 2 || got[4].Logprob > 0 || got[4].Logprob == 0 || got[4].Alternatives[0].Logprob < got[4].Alternatives[1].Logprob) {
					t.Errorf("log-probability %v, alternatives %+v", got[4].Logprob, got[4].Alternatives)
				}
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range got {
			steps := n
			if i == 0 || i == 4 {
				steps = bursts
			}
			if len(drawn[i]) != steps || !slices.Equal(drawn[i], ids[i][:steps]) || got[i].Err != nil {
				t.Errorf("sequence %d: drew %v, want %d of %v (%v)", i, drawn[i], steps, ids[i], got[i].Err)
			}
		}
		if several := d.Draws == vulkan.DeviceDraws; (bursts < n) != several {
			t.Errorf("%d bursts for %d steps", bursts, n)
		}
	})
}

// What is wrong with a continuation is its own, and the others go on.
func TestBurstErrors(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 4, Seqs: 3})
		gone := newSeq(t, e)
		gone.Release()
		small, err := sample.New(sample.Params{}, sample.NewVocabulary(5, nil))
		if err != nil {
			t.Fatal(err)
		}
		var ban []int
		for id := range m.Vocab {
			ban = append(ban, id)
		}
		greedy := []sample.Params{{}}
		good := begin(t, e, greedy)
		ids := singly(t, e, good, 4)
		end(good)
		bad, smp := newSeq(t, e), newSampler(t, sample.Params{}, e)
		for want, c := range map[string]Continuation{
			"it was released":           {Seq: gone, Sampler: smp},
			"want an id below":          {Seq: bad, Token: m.Vocab, Sampler: smp},
			"want a sampler":            {Seq: bad},
			fmt.Sprint(m.Vocab, " ids"): {Seq: bad, Sampler: small},
			"want 0 or more":            {Seq: bad, Sampler: smp, Top: -1},
			"want one id that may be":   {Seq: bad, Sampler: newSampler(t, sample.Params{Ban: ban}, e)},
		} {
			list := append(begin(t, e, greedy), c)
			var drawn []int
			decode(t, e, list, 4, func(i, id int) bool {
				if i == 1 {
					t.Errorf("%s: drew %d", want, id)
				}
				drawn = append(drawn, id)
				return true
			})
			if list[1].Err == nil || !strings.Contains(list[1].Err.Error(), want) || !list[1].Over {
				t.Errorf("want an error with %q, got %v", want, list[1].Err)
			}
			if list[0].Err != nil || !slices.Equal(drawn, ids[0]) {
				t.Errorf("%s: the other sequence drew %v, want %v (%v)", want, drawn, ids[0], list[0].Err)
			}
			list[0].Seq.Release()
		}
		bad.Release()
		many := begin(t, e, slices.Repeat(greedy, 4))
		if _, err := e.Burst(t.Context(), many, 1, nil); err == nil || !strings.Contains(err.Error(), "want at most 3 sequences, got 4") {
			t.Errorf("more sequences than fit: %v", err)
		}
		twice := []Continuation{many[0], many[0]}
		if steps, err := e.Burst(t.Context(), twice, 1, func(int, int) bool { return true }); steps != 1 || err != nil || twice[0].Err != nil || !errors.Is(twice[1].Err, errTwice) {
			t.Errorf("a sequence given twice: %v, %v, %v", err, twice[0].Err, twice[1].Err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if steps, err := e.Burst(ctx, many[1:2], 1, nil); steps != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("a context that had ended: %d steps, %v", steps, err)
		}
	})
}

// A token costs no allocation, whether one sequence or several go on, whatever their settings, and wherever tokens are
// drawn: what there are belong to the first tokens.
func TestBurstAllocates(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 4})
		c := begin(t, e, decodeSettings())
		ctx := t.Context()
		for _, list := range [][]Continuation{c[:1], c[2:3], c} {
			each := func(int, int) bool { return true }
			e.bursts.steps = func(_, most int) int { return most } // however slow the device is now
			run := func() {
				if _, err := e.Burst(ctx, list, 4, each); err != nil {
					t.Fatal(err)
				}
			}
			for range 64 {
				run()
			}
			if n := gputest.Allocs(16, run); n > 0 && !d.IsCPU() {
				t.Errorf("%d sequences: %v allocations for a burst", len(list), n)
			}
		}
	})
}

// BenchmarkBurst measures a demo model's decode from start to end: one token a pass, drawn by the CPU, against many in
// a submission, drawn by the device.
func BenchmarkBurst(b *testing.B) {
	d, err := device.Open("auto", func(s string) { b.Log(s) })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, draws := range []vulkan.Draws{vulkan.HostDraws, vulkan.DeviceDraws} {
		d.Draws = draws
		e, err := New(demoModel(b), d, Options{Slots: 4})
		if err != nil {
			b.Fatal(err)
		}
		c := begin(b, e, decodeSettings())
		for _, seqs := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/%d", draws, seqs), func(b *testing.B) {
				b.ReportAllocs()
				before := e.Stats()
				each := func(int, int) bool { return true }
				for b.Loop() {
					decode(b, e, c[:seqs], 64, each)
				}
				tokens := float64(64 * b.N)
				waited := e.Stats().Sub(before.Work).Waited
				b.ReportMetric(tokens*float64(seqs)/b.Elapsed().Seconds(), "tok/s")
				b.ReportMetric(float64((b.Elapsed()-waited).Microseconds())/tokens, "host-µs/step")
			})
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
