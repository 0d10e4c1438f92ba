package generate

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// Two texts that are generated at once, by one tuned engine and by two, are those that each gives alone, untuned.
func TestTextsSideBySide(t *testing.T) {
	d := vulkanDevice(t)
	m, tok := demo(t)
	var requests []Request
	for i, prompt := range []string{"Once upon a time there was a little", "The dog ran into the"} {
		p := sample.Default()
		p.Seed = uint64(i)
		requests = append(requests, Request{Prompt: encode(tok, prompt), Max: 12, Sample: p})
	}
	var want []*Result
	for _, q := range requests {
		want = append(want, story(t, newEngine(t, m, d, engine.Options{}), tok, q))
	}
	tuned := vulkanDevice(t)
	tuned.Tuner = tune.New(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	tuned.Tuner.Budget = 200 * time.Millisecond
	shared := newEngine(t, m, tuned, engine.Options{Slots: 2})
	for _, engines := range [][]*engine.Engine{{newEngine(t, m, tuned, engine.Options{}), newEngine(t, m, tuned, engine.Options{})}, {shared, shared}} {
		var wait sync.WaitGroup
		for i, e := range engines {
			s := newSeq(t, e)
			wait.Add(1)
			go func() {
				defer wait.Done()
				got, err := Text(t.Context(), e, s, tok, requests[i])
				if err != nil || !slices.Equal(got.Tokens, want[i].Tokens) || got.Text != want[i].Text {
					t.Errorf("text %d: %+v (%v), want %+v", i, got, err, want[i])
				}
			}()
		}
		wait.Wait()
	}
	if tuned.Tuner.Spent() == 0 {
		t.Error("nothing was measured: the test cannot tell")
	}
}
