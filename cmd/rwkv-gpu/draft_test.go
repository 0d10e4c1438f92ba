package main

import (
	"fmt"
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

// ahead generates with a draft and returns, beside the answer, how many ids the draft drew and how many were right.
func ahead(t *testing.T, args ...string) (g generated, right, drawn int) {
	t.Helper()
	r := cli(append(args, "--json")...)
	if r.status != statusDone {
		t.Fatalf("%q: %s", args, r)
	}
	decode(t, r.stdout, &g)
	_, line, ok := strings.Cut(r.stderr, "draft: ")
	if _, err := fmt.Sscanf(line, "%d of %d ids were right", &right, &drawn); !ok || err != nil {
		t.Fatalf("%q: want what the draft did, got %q", args, r.stderr)
	}
	return g, right, drawn
}

// With the embedded draft the embedded model's greedy text is, with --exact, the one without a draft, on the CPU and on a
// Vulkan device. The draft was trained for this model, so many of its ids are right. It is a model as well.
func TestDemoDraft(t *testing.T) {
	devices(t, func(t *testing.T, device string) {
		tell := []string{"generate", "Once upon a time", "-n", "100", "--temperature", "0", "--exact", "--tuning", "off", "--device", device}
		var want generated
		cliJSON(t, &want, tell...)
		got, right, drawn := ahead(t, append(tell, "--draft", "demo:draft")...)
		if got.Text != want.Text || !slices.Equal(got.Tokens, want.Tokens) || got.Finish != want.Finish {
			t.Errorf("%+v, without a draft %+v", got, want)
		}
		if drawn < 20 || right < drawn/6 {
			t.Errorf("%d of %d ids of the draft were right", right, drawn)
		}
	})
	wantError(t, cli("generate", "--tokens", "5", "--model", "synthetic:0.1b", "--draft", "demo:draft", "--quiet"), statusInput,
		"demo:draft: --draft: want the vocabulary of synthetic 0.1b, of 65536 ids, got one of 4096")
	wantError(t, cli("generate", "x", "--draft", "g1:0.1b"), statusInput, "--draft: ")
	var alone generated
	if cliJSON(t, &alone, "generate", "Once upon a time", "-n", "5", "--model", "demo:draft", "--device", "cpu"); len(alone.Tokens) != 5 {
		t.Errorf("as a model: %+v", alone)
	}
}

// With --split the draft's layers are not divided, since it may have fewer than there are devices: it runs on the first
// device, or on one of its own.
func TestDraftSplit(t *testing.T) {
	tell := []string{"generate", "Once upon a time", "-n", "60", "--seed", "4", "--device"}
	var want generated
	cliJSON(t, &want, append(slices.Clone(tell), "cpu")...)
	for _, args := range [][]string{nil, {"--draft-device", "cpu"}} {
		got, _, _ := ahead(t, append(append(slices.Clone(tell), " cpu,cpu,cpu", "--split", "--draft", "demo:draft"), args...)...)
		if got.Text != want.Text || !slices.Equal(got.Tokens, want.Tokens) {
			t.Errorf("%q: %+v, on one device %+v", args, got, want)
		}
	}
	wantError(t, cli("generate", "x", "--device", "cpu,cpu", "--split", "--draft", "demo:draft", "--draft-device", "none such", "--quiet"),
		statusDevice, `"none such"`)
}
