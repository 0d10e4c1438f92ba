package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A model without a vocabulary continues ids, the likeliest ones as logits has them.
func TestGenerateTokens(t *testing.T) {
	size := weightstest.Size{Vocab: 131, Embed: 32, Layers: 2, Head: 16, FFN: 48, W: 8, A: 12, V: 4, G: 20}
	path := writeFile(t, "m.safetensors", weightstest.Safetensors(weightstest.RWKV7(size, tensor.F16, 1), nil))
	args := []string{"--quiet", "--device", "cpu", "--model", path}
	var got generated
	decode(t, cli(append(args, "generate", "--tokens", "1,2", "-n", "4", "--temperature", "0", "--json")...).stdout, &got)
	tokens, words := []int{1, 2}, ""
	for range 4 {
		var l logitsAnswer
		decode(t, cli(append(args, "logits", "--json", "--tokens", formatTokens(tokens))...).stdout, &l)
		last := l.Logits[len(l.Logits)-1]
		tokens = append(tokens, slices.Index(last, slices.Max(last)))
		words += fmt.Sprint(tokens[len(tokens)-1], " ")
	}
	if !slices.Equal(got.Tokens, tokens[2:]) || got.PromptTokens != 2 || strings.TrimSpace(got.Text) != strings.TrimSpace(words) {
		t.Errorf("want %v, %q, got %+v", tokens[2:], words, got)
	}
	wantError(t, cli(append(args, "generate", "--tokens", "1,131")...), statusUsage, "--tokens: token 1: want an id below 131, got 131")
	wantError(t, cli(append(args, "generate", "--tokens", "1", "text")...), statusUsage, "want either a text or --tokens, got both")
	wantError(t, cli(append(args, "generate", "--tokens", "1", "--vocab", path)...), statusInput, path)
	r := cli("generate", "--device", "cpu", "--model", path, "--tokens", "1", "-n", "1")
	if r.status != statusDone || !strings.Contains(r.stderr, "no vocabulary for the model's 131 ids") || !strings.Contains(r.stderr, "tokens are written as ids") {
		t.Errorf("want a notice, got %s", r)
	}
}
