package draft

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// vocab is the vocabulary's size.
const vocab = 300

// ways are ways to draw.
func ways() map[string]sample.Params {
	hot, penalised, few := sample.Default(), sample.Default(), sample.Default()
	hot.Temperature, hot.TopP, hot.Seed = 1.3, 1, 7
	penalised.Presence, penalised.Frequency, penalised.Seed = 0.4, 0.3, 11
	few.TopK, few.MinP, few.Temperature, few.Seed = 40, 0.02, 0.8, 1<<63+5
	few.Ban, few.Bias = []int{0, 47}, map[int]float32{33: 2, 44: -3}
	return map[string]sample.Params{"greedy": {}, "greedy, penalties": {Presence: 0.5, Frequency: 0.5, PenaltyDecay: 0.99},
		"default": sample.Default(), "hot": hot, "penalties": penalised, "few": few}
}

// steps is how many tokens the texts have.
const steps = 26

// letters is a constraint that allows ids by the last two ids, and ends after some.
type letters struct{ last, before, left int }

func (l *letters) Mask() ([]uint64, error) {
	words := make([]uint64, (vocab+63)/64)
	for i := range words {
		words[i] = 0x5a5a_a5a5_1234_8421 << ((l.last + 3*l.before + i) % 9)
	}
	return words, nil
}
func (l *letters) Lasts() bool   { return false }
func (l *letters) Forced() []int { return nil }
func (l *letters) Accept(id int) (bool, error) {
	l.last, l.before = id, l.last
	l.left--
	return l.left == 0, nil
}
func (l *letters) Clone() sample.Constraint {
	c := *l
	return &c
}

// The ids, their probabilities and the state at the end are, to the last bit, those of decoding without a draft: for
// all ways to draw, constraints, ends and lengths, for a draft that is often right and for one that never is.
func TestSameText(t *testing.T) {
	large, alike := mainModel(t)
	drafts := map[string]*model.Model{"alike": alike, "stranger": stranger(t, vocab, 3)}
	prompt := []int{209, 160, 47, 185}
	eachDevice(t, func(t *testing.T, dev *device.Device) {
		main := newEngine(t, large, dev, engine.Options{Slots: 2 + Slots, Exact: true})
		for kind, small := range drafts {
			right := 0
			for name, p := range ways() {
				if !dev.IsCPU() && (kind != "alike" || name == "hot" || name == "greedy, penalties") {
					continue // to save time
				}
				d := newDrafter(t, main, small, 5)
				for _, form := range []string{"", "probabilities", "constraint", "ends"} {
					if form != "" && name != "default" && name != "greedy" {
						continue
					}
					begin := func() *teller {
						w := newTeller(t, main, prompt, newSampler(t, p, vocab))
						switch form {
						case "probabilities":
							w.c.Logprobs, w.c.Top = true, 3
						case "constraint":
							w.c.Sampler.SetConstraint(&letters{left: steps - 4})
						case "ends":
							w.c.Ends, w.most = []int{47}, 17
						}
						return w
					}
					want, got := begin(), begin()
					want.plain(t, main, steps)
					got.drafted(t, d, steps)
					if !slices.EqualFunc(got.told, want.told, func(a, b told) bool {
						return a.id == b.id && a.logprob == b.logprob && slices.Equal(a.top, b.top)
					}) {
						t.Errorf("%s, %s %s: with the draft %v, without %v", kind, name, form, got.told, want.told)
					}
					if got.c.Over != want.c.Over || got.c.Token != want.c.Token || form == "constraint" && !got.c.Over {
						t.Errorf("%s, %s %s: over %t at %d, want %t at %d", kind, name, form, got.c.Over, got.c.Token, want.c.Over, want.c.Token)
					}
					if !slices.Equal(got.state(t, main), want.state(t, main)) || d.Unfed() != 0 {
						t.Errorf("%s, %s %s: another state than without the draft; %d unfed", kind, name, form, d.Unfed())
					}
					want.c.Seq.Release()
					got.c.Seq.Release()
				}
				if s := d.Stats(); s.Rounds == 0 || s.Proposed < s.Rounds || s.Plain > 12 {
					t.Errorf("%s, %s: %+v", kind, name, s)
				}
				right += d.Stats().Accepted
				d.Close()
			}
			if (kind == "alike" || dev.IsCPU()) && (right > 60) != (kind == "alike") {
				t.Errorf("%s: %d ids of the draft were right", kind, right)
			}
		}
	})
}

// However bursts with the draft, bursts without it, tokens from elsewhere and other sequences follow one another, the
// text and the state are those without a draft.
func TestAnyOrder(t *testing.T) {
	main := newEngine(t, stranger(t, 67, 1), &device.Device{}, engine.Options{Slots: 4 + Slots, Keep: 5})
	rng := rand.New(rand.NewPCG(4, 2))
	for range 20 {
		d := newDrafter(t, main, stranger(t, 67, 1+rng.Uint64N(2)), 1+rng.IntN(9))
		var want, got [2]*teller
		for i := range want {
			p := sample.Params{Temperature: 0.7, TopP: 0.9, Presence: 0.3, PenaltyDecay: 0.9, Seed: rng.Uint64()}
			prompt := []int{1 + i, 5, 9}[:1+rng.IntN(3)]
			want[i], got[i] = newTeller(t, main, prompt, newSampler(t, p, 67)), newTeller(t, main, prompt, newSampler(t, p, 67))
		}
		for range 12 {
			i, n := rng.IntN(2), 1+rng.IntN(9)
			want[i].plain(t, main, n)
			switch rng.IntN(3) {
			case 0:
				got[i].plain(t, main, n)
			default:
				got[i].drafted(t, d, n)
			}
			if rng.IntN(4) == 0 {
				if err := main.Reopen(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range want {
			if len(want[i].told) != len(got[i].told) || !slices.Equal(want[i].text, got[i].text) {
				t.Fatalf("with the draft %v, without %v", got[i].text, want[i].text)
			}
			if !slices.Equal(want[i].state(t, main), got[i].state(t, main)) {
				t.Fatal("another state than without the draft")
			}
			want[i].c.Seq.Release()
			got[i].c.Seq.Release()
		}
		d.Close()
	}
}

// A context that ends leaves the sequence where the told ids are. It can go on.
func TestInterrupted(t *testing.T) {
	main := newEngine(t, stranger(t, 67, 1), &device.Device{}, engine.Options{Slots: 2 + Slots})
	d := newDrafter(t, main, stranger(t, 67, 2), 4)
	p := sample.Params{Temperature: 1, TopP: 1, Seed: 5}
	want, got := newTeller(t, main, []int{3}, newSampler(t, p, 67)), newTeller(t, main, []int{3}, newSampler(t, p, 67))
	want.plain(t, main, 30)
	for len(got.told) < 30 {
		ctx, cancel := context.WithCancel(t.Context())
		before, left := got.c.Token, 3
		list := []engine.Continuation{got.c}
		_, err := d.Burst(ctx, list, slices.Clone(got.text), 30-len(got.told), func(_, id int) bool {
			if left--; left == 0 {
				cancel()
			}
			got.take(before, id)
			before = id
			return true
		})
		cancel()
		got.c = list[0]
		if err != nil && !errors.Is(err, context.Canceled) || err == nil && len(got.told) < 30 {
			t.Fatalf("%d tokens: %v", len(got.told), err)
		}
	}
	if !slices.Equal(want.text, got.text) || !slices.Equal(want.state(t, main), got.state(t, main)) {
		t.Errorf("interrupted %v, without a draft %v", got.text, want.text)
	}
}

// Models of different vocabularies are refused, with both files and sizes. Slots are needed. A draft that fails is given
// up, once, and the text goes on. The main engine's error comes back.
func TestErrors(t *testing.T) {
	main := newEngine(t, stranger(t, 67, 1), &device.Device{}, engine.Options{Slots: 1 + Slots})
	small := newEngine(t, stranger(t, 66, 1), &device.Device{}, engine.Options{Slots: SmallSlots})
	if _, err := New(main, small, Options{}); err == nil || !strings.Contains(err.Error(), "synthetic: want the vocabulary of synthetic, of 67 ids, got one of 66") {
		t.Errorf("another vocabulary: %v", err)
	}
	d := newDrafter(t, main, stranger(t, 67, 2), 4)
	var lines []string
	d.options.Notice = func(line string) { lines = append(lines, line) }
	p := sample.Params{Temperature: 1, TopP: 1, Seed: 5}
	got := newTeller(t, main, []int{3}, newSampler(t, p, 67))
	if _, err := New(main, d.small, Options{}); !errors.Is(err, engine.ErrNoSlot) {
		t.Errorf("no slot is left: %v", err)
	}
	got.drafted(t, d, 9)
	if err := d.small.Close(); err != nil {
		t.Fatal(err)
	}
	got.drafted(t, d, 9)
	got.drafted(t, d, 9)
	if len(lines) != 1 || !strings.Contains(lines[0], "the draft failed") || !d.Stats().Off {
		t.Errorf("%q, %+v", lines, d.Stats())
	}
	alone := newEngine(t, main.Model, &device.Device{}, engine.Options{})
	want := newTeller(t, alone, []int{3}, newSampler(t, p, 67))
	want.plain(t, alone, 27)
	if !slices.Equal(want.text, got.text) {
		t.Errorf("%v, without a draft %v", got.text, want.text)
	}
}

// A fork that fails, for example since the model's engine is closed, is an error, and the drafter can still be closed.
func TestForkFails(t *testing.T) {
	main := newEngine(t, stranger(t, 67, 1), &device.Device{}, engine.Options{Slots: 1 + Slots})
	d := newDrafter(t, main, stranger(t, 67, 2), 4)
	w := newTeller(t, main, []int{3}, newSampler(t, sample.Params{}, 67))
	if err := main.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Burst(t.Context(), []engine.Continuation{w.c}, w.text, 9, func(int, int) bool { return true }); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("want the error of a closed engine, got %v", err)
	}
}
