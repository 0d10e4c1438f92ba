package generate

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// What a device is measured for is measured before a text begins, in no time that is told, and what there is to say is
// said before it or after it. The text is that of a run without.
func TestTextMeasuresFirst(t *testing.T) {
	d := vulkanDevice(t)
	m, tok := demo(t)
	prompt, err := tok.AppendEncode(nil, []byte("Once upon a time there was a little girl"))
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	generate := func(tuner *tune.Tuner) *Result {
		t.Helper()
		d.Tuner = tuner
		defer func() { d.Tuner = nil }()
		e := newEngine(t, m, d, engine.Options{})
		p := sample.Default()
		p.Temperature = 0
		r, err := Text(t.Context(), e, newSeq(t, e), tok, Request{Prompt: prompt, Max: 12, Sample: p,
			Emit: func(string) error {
				events = append(events, "text")
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	want := generate(nil)
	events = nil
	tuner := tune.New(filepath.Join(t.TempDir(), "tuning.json"), false, func(s string) { events = append(events, s) })
	tuner.Budget = time.Hour
	first := generate(tuner)
	begin := slices.Index(events, "text")
	if begin < 1 || first.Text != want.Text {
		t.Errorf("want a notice, then %q, got %q: %q", want.Text, events, first.Text)
	}
	for i, s := range events[begin:] {
		if s != "text" && slices.Contains(events[begin+i:], "text") {
			t.Errorf("%q told within the text, as event %d of %d", s, begin+i, len(events))
		}
	}
	spent := tuner.Spent()
	if spent == 0 {
		t.Fatal("nothing was measured")
	}
	if second := generate(tuner); tuner.Spent() != spent || second.Text != want.Text {
		t.Errorf("measured again for %s, text %q", tuner.Spent()-spent, second.Text)
	}
}

// What is still measured while a text is made is not in the time that is told.
func TestTimesWithoutMeasuring(t *testing.T) {
	d := vulkanDevice(t)
	m, tok := demo(t)
	tuner := tune.New(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	tuner.Budget = 1 // spent at once: the rest is measured in slices, between passes
	d.Tuner = tuner
	defer func() { d.Tuner = nil }()
	e := newEngine(t, m, d, engine.Options{})
	slot := newSeq(t, e)
	const enough = 10 * time.Millisecond // to tell it from what else takes time
	for range 50 {
		var begin time.Time
		var before time.Duration
		r, err := Text(t.Context(), e, slot, tok, Request{Prompt: encode(tok, "Once upon a time"), Max: 200, Sample: sample.Default(),
			Emit: func(string) error {
				if begin.IsZero() { // decoding begins
					begin, before = time.Now(), tuner.Spent()
				}
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		all, spent := time.Since(begin), tuner.Spent()-before
		if spent < enough {
			continue
		}
		if most := all - spent/2; r.Decode <= 0 || r.Decode > most || r.Prefill <= 0 {
			t.Errorf("want less than %s for decode, since %s of %s went into measuring, got %s", most, spent, all, r.Decode)
		}
		return
	}
	t.Fatal("nothing was measured while a text was made: the test cannot tell")
}
