package generate

import (
	"context"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// sameText is how many tokens the devices have to agree on.
func sameText() int {
	if testing.Short() {
		return 20
	}
	return 200
}

// settings are ways to draw, all of which give 200 tokens: the end of the text is banned.
func settings() map[string]sample.Params {
	hot, penalised, few := sample.Default(), sample.Default(), sample.Default()
	hot.Temperature, hot.TopP, hot.Seed = 1.3, 1, 7
	penalised.Presence, penalised.Frequency, penalised.Seed = 0.4, 0.3, 11
	few.TopK, few.MinP, few.Temperature, few.Seed = 40, 0.02, 0.8, 1<<63+5
	all := map[string]sample.Params{
		"greedy": {}, "greedy, penalties": {Presence: 0.5, Frequency: 0.5, PenaltyDecay: 0.99},
		"default": sample.Default(), "hot": hot, "penalties": penalised, "few": few,
	}
	for name, p := range all {
		p.Ban = []int{text.EndOfText}
		all[name] = p
	}
	return all
}

// The same seed gives the same 200 tokens on both devices, one sequence at a time and, on the Vulkan device, several in
// one batch.
func TestSameTextOnBothDevices(t *testing.T) {
	m, tok := demo(t)
	prompt := encode(tok, "Once upon a time")
	cpu := newEngine(t, m, &device.Device{}, engine.Options{})
	d := vulkanDevice(t)
	d.Draws = vulkan.DeviceDraws // alone; those in the batch are drawn by the test
	gpu := newEngine(t, m, d, engine.Options{Slots: len(settings())})
	generate := func(e *engine.Engine, p sample.Params) *Result {
		s := newSeq(t, e)
		r, err := Text(context.Background(), e, s, tok, Request{Prompt: prompt, Max: sameText(), Sample: p})
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
		if len(r.Tokens) != sameText() || r.Finish != text.FinishedLength {
			t.Errorf("%d tokens, finish %q", len(r.Tokens), r.Finish)
		}
		return r
	}
	texts := map[string]string{}
	batched := generateBatch(t, gpu, tok, prompt)
	for name, p := range settings() {
		want := generate(cpu, p)
		if !slices.Equal(batched[name], want.Tokens) {
			t.Errorf("%s: the CPU drew %v, the Vulkan device in a batch %v", name, want.Tokens, batched[name])
		}
		if other, ok := texts[want.Text]; ok && !testing.Short() {
			t.Errorf("%s and %s wrote the same text", name, other)
		}
		texts[want.Text] = name
		if name != "default" {
			continue // the rest in the batch only, to save time; TestDemoReference has greedy ones alone
		}
		if got := generate(gpu, p); got.Text != want.Text || !slices.Equal(got.Tokens, want.Tokens) {
			t.Errorf("%s: the CPU wrote %q, the Vulkan device %q", name, want.Text, got.Text)
		}
	}
}

// generateBatch continues the prompt by all settings at once and returns each one's tokens.
func generateBatch(t *testing.T, e *engine.Engine, tok tokenizer.Tokenizer, prompt []int) map[string][]int {
	var names []string
	var rows []engine.Row
	drawn := map[string][]int{}
	for name, p := range settings() {
		s, err := sample.New(p, sample.NewVocabulary(e.Model.Vocab, tok))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		rows = append(rows, engine.Row{Seq: newSeq(t, e), Tokens: prompt, Want: engine.WantDraw, Sampler: s})
	}
	for range sameText() {
		if err := e.Feed(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if rows[i].Err != nil {
				t.Fatal(rows[i].Err)
			}
			rows[i].Tokens = []int{rows[i].ID}
			drawn[names[i]] = append(drawn[names[i]], rows[i].ID)
		}
	}
	for i := range rows {
		rows[i].Seq.Release()
	}
	return drawn
}
