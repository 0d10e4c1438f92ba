package engine

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// Engines on one device, each in a goroutine of its own, share its kernels and the tuner, and give what each gives
// alone.
func TestEnginesSideBySide(t *testing.T) {
	m := golden.Tiny(t)
	d := vulkanDevice(t)
	rng := rand.New(rand.NewPCG(9, 4))
	tokens := randomTokens(rng, 23, m.Vocab)
	alone := newEngine(t, m, d, Options{})
	want := step(t, alone, input{newSeq(t, alone), tokens, 1})[0][0]

	tuned := vulkanDevice(t)
	tuned.Tuner = tune.New(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	var wait sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs[i] = sideBySide(t, tuned, tokens, want)
		}()
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// sideBySide feeds tokens in several ways to an engine of its own.
func sideBySide(t *testing.T, d *device.Device, tokens []int, want []float32) (err error) {
	e, err := New(golden.Tiny(t), d, Options{Slots: 2})
	if err != nil {
		return err
	}
	defer func() {
		if closed := e.Close(); err == nil {
			err = closed
		}
	}()
	for _, chunk := range []int{len(tokens), 1, 5} {
		s, err := e.NewSeq(nil)
		if err != nil {
			return err
		}
		var got []float32
		for at := 0; at < len(tokens); at += chunk {
			rows := []Row{{Seq: s, Tokens: tokens[at:min(at+chunk, len(tokens))], Want: WantLogits, Each: func(_ int, logits []float32) error {
				got = append(got[:0], logits...)
				return nil
			}}}
			if err := e.Feed(t.Context(), rows); err != nil {
				return err
			}
			if rows[0].Err != nil {
				return rows[0].Err
			}
		}
		if off := distance(got, want); !(off < 1e-4) {
			return fmt.Errorf("%d tokens at once: off by %g", chunk, off)
		}
		s.Release()
	}
	return nil
}
