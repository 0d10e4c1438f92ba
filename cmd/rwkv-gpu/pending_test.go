package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
)

// What a saved state has pending is fed first, whatever the state is given by; the state after it counts all tokens and
// keeps what the sampler had counted.
func TestPendingToken(t *testing.T) {
	path, dir := tinyModel(t, nil), t.TempDir()
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	before, pending, after := filepath.Join(dir, "before"), filepath.Join(dir, "pending"), filepath.Join(dir, "after")
	logits := func(args ...string) (a logitsAnswer) {
		cliJSON(t, &a, append([]string{"logits", "--all", "--device", "cpu", "--model", path}, args...)...)
		return a
	}
	want := logits("--tokens", "1,2,3,4,5")
	logits("--tokens", "1,2", "--state-out", before)
	s, err := state.Read(m, before)
	if err != nil || s.Tokens != 2 || s.Pending != state.None {
		t.Fatalf("%+v (%v)", s, err)
	}
	s.Pending, s.Sampler = 3, []byte("counts")
	if err := state.Write(m, pending, s, false); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--state-in", "--state"} {
		got := logits("--tokens", "4,5", flag, pending, "--state-out", after)
		if !slices.Equal(got.Tokens, []int{3, 4, 5}) || !slices.EqualFunc(got.Logits, want.Logits[2:], slices.Equal[[]float32]) {
			t.Errorf("%s: tokens %v, or other logits", flag, got.Tokens)
		}
		if s, err := state.Read(m, after); err != nil || s.Tokens != 5 || s.Pending != state.None || string(s.Sampler) != "counts" {
			t.Errorf("%s: %+v (%v)", flag, s, err)
		}
	}
	var text, next generated
	cliJSON(t, &text, "generate", "--device", "cpu", "--model", path, "--tokens", "1,2,3,4", "-n", "3", "--temperature", "0")
	cliJSON(t, &next, "generate", "--device", "cpu", "--model", path, "--state", pending, "--tokens", "4", "-n", "3", "--temperature", "0")
	if !slices.Equal(text.Tokens, next.Tokens) || next.PromptTokens != 2 {
		t.Errorf("want %v, got %v after %d tokens", text.Tokens, next.Tokens, next.PromptTokens)
	}
}
