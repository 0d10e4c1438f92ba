package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
)

// A text with a draft is the one without, whether the draft is right or not, and what the draft did is told. What cannot
// be a draft is refused, with both files.
func TestDraft(t *testing.T) {
	dir := t.TempDir()
	same, alike := filepath.Join(dir, "same.safetensors"), filepath.Join(dir, "alike.gguf")
	if err := os.WriteFile(same, demo.Weights(), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := cli("quantize", alike, "--type", "q4_0"); r.status != 0 {
		t.Fatal(r)
	}
	tell := []string{"generate", "Once upon a time", "-n", "80", "--seed", "4", "--presence", "0.2", "--device", "cpu", "--json"}
	var want, got generated
	cliJSON(t, &want, tell...)
	for _, args := range [][]string{{"--draft", same}, {"--draft", alike}, {"--draft", alike, "--draft-device", "cpu"}, {"--draft", alike, "--exact"}} {
		cliJSON(t, &got, append(slices.Clone(tell), args...)...)
		if got.Text != want.Text || !slices.Equal(got.Tokens, want.Tokens) || got.Finish != want.Finish {
			t.Errorf("%v: %+v, without a draft %+v", args, got, want)
		}
	}
	if r := cli("generate", "Once upon a time", "-n", "80", "--seed", "4", "--device", "cpu", "--draft", same); r.status != 0 ||
		!strings.Contains(r.stderr, "ids were right") {
		t.Errorf("want notice of what was right, got %+v", r)
	}
	wantError(t, cli("generate", "x", "--draft", "synthetic:0.1b"), statusInput,
		"synthetic:0.1b: --draft: want the vocabulary of demo, of 4096 ids, got one of 65536")
	wantError(t, cli("generate", "x", "--draft", filepath.Join(dir, "none")), statusInput, "none")
	wantError(t, cli("generate", "x", "--draft", "synthetic:0"), statusUsage, "--draft: ")
	wantError(t, cli("generate", "x", "--draft", ""), statusUsage, "--draft: want a file, got an empty name")
	wantError(t, cli("generate", "x", "--draft", same, "--draft-device", ""), statusUsage, "--draft-device: want a value, got an empty one")
	wantError(t, cli("generate", "x", "--draft-device", "cpu"), statusUsage, "--draft-device: want a --draft too")
}
