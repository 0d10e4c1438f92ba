package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
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
		c := Continuation{Slot: newSlot(tb, e), Token: i + 1, Sampler: newSampler(tb, p, e)}
		if err := e.Step([]Input{{Slot: c.Slot, Tokens: []int{3, 1, 4, i}}}, nil); err != nil {
			tb.Fatal(err)
		}
		if err := c.Sampler.Accept(c.Token); err != nil {
			tb.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

func end(tb testing.TB, e *Engine, list []Continuation) {
	for _, c := range list {
		if err := e.Release(c.Slot); err != nil {
			tb.Fatal(err)
		}
	}
}

// singly is Decode one token at a time, which is what it has to equal.
func singly(tb testing.TB, e *Engine, list []Continuation, n int) (ids [][]int) {
	tb.Helper()
	ids = make([][]int, len(list))
	for range n {
		var in []Input
		for i := range list {
			in = append(in, Input{list[i].Slot, []int{list[i].Token}, 1})
		}
		if err := e.Step(in, func(i, _ int, logits []float32) error {
			id, err := list[i].Sampler.Sample(logits)
			list[i].Token, ids[i] = id, append(ids[i], id)
			return errors.Join(err, list[i].Sampler.Accept(id))
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return ids
}

// sameContinuation wants the same place in the text, the same sampler and bit for bit the same state.
func sameContinuation(t *testing.T, e *Engine, what string, got, want *Continuation) {
	t.Helper()
	a, err := e.State(got.Slot)
	b, err2 := e.State(want.Slot)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a, b) {
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

// eachDrawing runs a test on the CPU and on the Vulkan device, where tokens are drawn there and where they are drawn on the
// host.
func eachDrawing(t *testing.T, test func(t *testing.T, d *Device)) {
	t.Run("cpu", func(t *testing.T) { test(t, &Device{}) })
	for _, draws := range []vulkan.Draws{vulkan.DeviceDraws, vulkan.HostDraws} {
		t.Run("vulkan/"+draws.String(), func(t *testing.T) {
			d := vulkanDevice(t)
			d.draws = draws
			test(t, d)
		})
	}
}

// Tokens decoded many in a submission are those decoded one at a time, and so are the states and samplers they leave.
func TestDecode(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *Device) {
		const n = 75
		e := newEngine(t, m, d, Options{Slots: 8, Chunk: 8})
		for _, params := range [][]sample.Params{decodeSettings()[1:2], decodeSettings()[:1], decodeSettings()} {
			want, got := begin(t, e, params), begin(t, e, params)
			ids, drawn := singly(t, e, want, n), make([][]int, len(got))
			before := e.Work()
			if err := e.Decode(got, n, func(i, id int) (bool, error) {
				drawn[i] = append(drawn[i], id)
				return true, nil
			}); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !slices.Equal(drawn[i], ids[i]) {
					t.Errorf("sequence %d of %d: drew %v, want %v", i, len(params), drawn[i], ids[i])
				}
				sameContinuation(t, e, fmt.Sprintf("sequence %d of %d", i, len(params)), &got[i], &want[i])
			}
			if w := e.Work().Sub(before); w.Passes != n || w.OutPasses != n || w.Rows != n*len(got) || w.Outs != n*len(got) ||
				w.DeviceDraws+w.HostDraws != n*len(got) || (w.DeviceDraws > 0) != (d.draws == vulkan.DeviceDraws) || (w.Drawing > 0) != (w.HostDraws > 0) {
				t.Errorf("counted %+v", w)
			}
			end(t, e, slices.Concat(want, got))
		}
	})
}

// Wherever a sequence ends, by the caller's word, by an error or by one of its ends, and whether or not the device had
// gone further, its state is the one before the last token was fed, and the other sequences go on.
func TestDecodeEnds(t *testing.T) {
	m := golden.Tiny(t)
	boom := errors.New("boom")
	eachDrawing(t, func(t *testing.T, d *Device) {
		const n = 21
		e := newEngine(t, m, d, Options{Slots: 6, Chunk: 8})
		params := decodeSettings()[2:]
		all := begin(t, e, params)
		ids := singly(t, e, all, n)
		end(t, e, all)
		for _, at := range []int{0, 1, 2, 5, 8, 13, n - 1} {
			for _, how := range []string{"word", "error", "end", "ninth end"} {
				seqs := 2
				if how == "error" {
					seqs = 1 // which leaves the others undefined
				}
				want, got := begin(t, e, params[:seqs]), begin(t, e, params[:seqs])
				stop := slices.Index(ids[0], ids[0][at]) // where the id is first drawn
				singly(t, e, want[:1], stop+1)
				for i := range got[1:] {
					singly(t, e, want[1+i:2+i], n)
				}
				switch how {
				case "end":
					got[0].Ends = []int{m.Vocab - 1, ids[0][at]}
				case "ninth end":
					got[0].Ends = append(slices.Repeat([]int{m.Vocab - 1}, vulkan.MaxEnds), ids[0][at])
				}
				drawn := make([]int, seqs)
				err := e.Decode(got, n, func(i, id int) (bool, error) {
					if drawn[i]++; i == 0 && drawn[i] == stop+1 {
						if how == "error" {
							return true, boom
						}
						return how != "word", nil
					}
					return true, nil
				})
				if (how == "error") != errors.Is(err, boom) || err != nil && how != "error" {
					t.Fatalf("%s at %d: %v", how, at, err)
				}
				if drawn[0] != stop+1 || seqs > 1 && drawn[1] != n {
					t.Errorf("%s at %d: %v tokens", how, at, drawn)
				}
				sameContinuation(t, e, fmt.Sprintf("%s at %d", how, at), &got[0], &want[0])
				if seqs > 1 && got[1].Token != want[1].Token {
					t.Errorf("%s at %d: the other sequence drew %d, want %d", how, at, got[1].Token, want[1].Token)
				}
				end(t, e, slices.Concat(want, got))
			}
		}
	})
}

// A mask may change with every token.
func TestDecodeMasks(t *testing.T) {
	m := golden.Tiny(t)
	draw := func(t *testing.T, d *Device) (ids []int) {
		e := newEngine(t, m, d, Options{})
		c := begin(t, e, decodeSettings()[3:])
		mask := make([]uint64, (m.Vocab+63)/64)
		mask[0] = 0xFF
		if err := c[0].Sampler.SetMask(mask); err != nil {
			t.Fatal(err)
		}
		if err := e.Decode(c, 20, func(_, id int) (bool, error) {
			if mask[id/64]>>(id%64)&1 == 0 {
				t.Errorf("drew %d, which is masked", id)
			}
			ids = append(ids, id)
			mask[0] = 0xFF << (len(ids) % 50)
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	want := draw(t, &Device{})
	eachDrawing(t, func(t *testing.T, d *Device) {
		if got := draw(t, d); !slices.Equal(got, want) {
			t.Errorf("drew %v, want %v", got, want)
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *Device) {
		e := newEngine(t, m, d, Options{Slots: 2})
		s, smp := newSlot(t, e), newSampler(t, sample.Params{}, newEngine(t, m, &Device{}, Options{}))
		small, err := sample.New(sample.Params{}, sample.NewVocabulary(5, nil))
		if err != nil {
			t.Fatal(err)
		}
		for want, in := range map[string][]Continuation{
			"slot 1 is not in use":      {{Slot: 1, Sampler: smp}},
			"both in slot 0":            {{Slot: s, Sampler: smp}, {Slot: s, Sampler: smp}},
			"want an id below":          {{Slot: s, Token: m.Vocab, Sampler: smp}},
			"input 0: want a sampler":   {{Slot: s}},
			fmt.Sprint(m.Vocab, " ids"): {{Slot: s, Sampler: small}},
		} {
			if err := e.Decode(in, 1, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v", want, err)
			}
		}
		var ban []int
		for id := range m.Vocab {
			ban = append(ban, id)
		}
		c := begin(t, e, []sample.Params{{Ban: ban}})
		if err := e.Decode(c, 3, nil); err == nil || !strings.Contains(err.Error(), "want one id that may be drawn") {
			t.Errorf("all ids are banned: %v", err)
		}
	})
}

// The steps of a submission grow to what fits a burst, and shrink at once.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		p       pace
		n, want int
	}{
		{pace{}, 100, 1}, {pace{1, time.Millisecond}, 100, 2}, {pace{2, time.Millisecond}, 100, 4},
		{pace{16, time.Millisecond}, 100, 32}, {pace{32, time.Millisecond}, 100, 32}, {pace{32, time.Millisecond}, 31, 16},
		{pace{32, 10 * time.Millisecond}, 100, 4}, {pace{1, time.Second}, 100, 1}, {pace{8, time.Millisecond}, 1, 1},
	} {
		if got := c.p.next(c.n); got != c.want {
			t.Errorf("after %+v, of %d: %d steps, want %d", c.p, c.n, got, c.want)
		}
	}
}

// A token costs no allocation, whether one sequence or several go on, whatever their settings, and wherever tokens are
// drawn: what there are belong to the first tokens.
func TestDecodeAllocates(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *Device) {
		e := newEngine(t, m, d, Options{Slots: 4})
		c := begin(t, e, decodeSettings())
		for _, list := range [][]Continuation{c[:1], c[2:3], c} {
			each := func(int, int) (bool, error) { return true, nil }
			run := func() {
				if e.decode.pace != nil {
					e.decode.pace[len(list)] = pace{steps: 4} // however slow the device is now
				}
				if err := e.Decode(list, 4, each); err != nil {
					t.Fatal(err)
				}
			}
			for range 16 {
				run()
			}
			if n := testing.AllocsPerRun(16, run); n > 0 && !d.IsCPU() {
				t.Errorf("%d sequences: %v allocations for 4 tokens", len(list), n)
			}
		}
	})
}

// BenchmarkDecode measures a demo model's decode from start to end: one token a pass, drawn by the CPU, against many in a
// submission, drawn by the device.
func BenchmarkDecode(b *testing.B) {
	d, err := OpenDevice("auto", func(s string) { b.Log(s) })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	e, err := New(demoModel(b), d, Options{Slots: 4})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	c := begin(b, e, decodeSettings())
	for _, seqs := range []int{1, 4} {
		for _, way := range []string{"steps", "submissions"} {
			b.Run(fmt.Sprintf("%s/%d", way, seqs), func(b *testing.B) {
				b.ReportAllocs()
				before := e.Work()
				list := c[:seqs]
				each := func(int, int) (bool, error) { return true, nil }
				for b.Loop() {
					decode := e.Decode
					if way == "steps" {
						decode = e.stepwise
					}
					if err := decode(list, 64, each); err != nil {
						b.Fatal(err)
					}
				}
				tokens := float64(64 * b.N)
				waited := e.Work().Sub(before).Waited
				b.ReportMetric(tokens*float64(seqs)/b.Elapsed().Seconds(), "tok/s")
				b.ReportMetric(float64((b.Elapsed()-waited).Microseconds())/tokens, "host-µs/step")
			})
		}
	}
}

// stepwise is Decode as on a device that draws nothing.
func (e *Engine) stepwise(list []Continuation, n int, each func(int, int) (bool, error)) error {
	e.decode.live = e.decode.live[:0]
	for i := range list {
		e.decode.live = append(e.decode.live, i)
	}
	for range n {
		if err := e.drawOnHost(list, each); err != nil {
			return err
		}
	}
	return nil
}
