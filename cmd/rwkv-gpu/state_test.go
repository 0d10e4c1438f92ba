package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// What a saved state has pending is fed first, whatever the state is given by; the state after it counts all tokens and
// keeps what the sampler had counted, since tokens of a prompt are not counted. From there the sampler goes on.
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
	drawn, err := sample.New(sample.Params{Frequency: 1}, sample.NewVocabulary(m.Vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	favourite := likeliestID(want.Logits[3])
	if err := drawn.Accept(favourite); err != nil {
		t.Fatal(err)
	}
	counts, err := drawn.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	s.Pending, s.Sampler = 3, counts
	if err := state.Write(m, pending, s, false); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--state-in", "--state"} {
		got := logits("--tokens", "4,5", flag, pending, "--state-out", after)
		if !slices.Equal(got.Tokens, []int{3, 4, 5}) || !slices.EqualFunc(got.Logits, want.Logits[2:], slices.Equal[[]float32]) {
			t.Errorf("%s: tokens %v, or other logits", flag, got.Tokens)
		}
		if s, err := state.Read(m, after); err != nil || s.Tokens != 5 || s.Pending != state.None || !bytes.Equal(s.Sampler, counts) {
			t.Errorf("%s: %+v (%v)", flag, s, err)
		}
	}
	var text, next generated
	cliJSON(t, &text, "generate", "--device", "cpu", "--model", path, "--tokens", "1,2,3,4", "-n", "3", "--temperature", "0")
	cliJSON(t, &next, "generate", "--device", "cpu", "--model", path, "--state", pending, "--tokens", "4", "-n", "3", "--temperature", "0")
	if !slices.Equal(text.Tokens, next.Tokens) || next.PromptTokens != 2 {
		t.Errorf("want %v, got %v after %d tokens", text.Tokens, next.Tokens, next.PromptTokens)
	}
	penalized := func(args ...string) []int {
		var g generated
		cliJSON(t, &g, append([]string{"generate", "--device", "cpu", "--model", path, "-n", "3", "--temperature", "0", "--frequency", "1000"}, args...)...)
		return g.Tokens
	}
	plain, counted := penalized("--tokens", "1,2,3,4"), penalized("--state", pending, "--tokens", "4")
	if plain[0] != favourite || slices.Contains(counted, favourite) {
		t.Errorf("token %d was drawn before the state: got %v without it and %v with it", favourite, plain, counted)
	}
	for _, c := range [][]string{{"--tokens", "4,5,6", "--state", pending}, {"--tokens", "6", "--state", after}} {
		if got, want := penalized(c...), penalized("--tokens", "4,5,6", "--state", pending); !slices.Equal(got, want) {
			t.Errorf("%q: want %v, got %v", c, want, got)
		}
	}
	s.Sampler = []byte("counts")
	if err := state.Write(m, pending, s, false); err != nil {
		t.Fatal(err)
	}
	wantError(t, cli("generate", "--quiet", "--device", "cpu", "--model", path, "--state", pending, "--tokens", "4"), statusInput,
		pending+": sample: stored sampler: want 16 bytes and a multiple of 8, got 6")
}

// likeliestID returns the id of the largest logit.
func likeliestID(logits []float32) int {
	ids, _ := likeliest(logits, 1)
	return ids[0]
}

// A state goes on with the same weights in whatever file, and however they are held; other weights or LoRAs refuse it
// in a line that says so.
func TestStateOfOtherModels(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	same := writeFile(t, "same.pth", weightstest.Torch{}.File(list))
	made := writeFile(t, "made.st", weightstest.Safetensors(list, nil))
	other := writeFile(t, "other.st", weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 2), nil))
	lora := writeFile(t, "l.pth", weightstest.Torch{}.File(weightstest.LoRA(list, 2, tensor.F16, 1)))
	kept := filepath.Join(t.TempDir(), "kept")
	logits := func(args ...string) answer {
		return cli(append([]string{"logits", "--quiet", "--device", "cpu", "--tokens", "1", "--model"}, args...)...)
	}
	if r := logits(made, "--state-out", kept); r.status != statusDone {
		t.Fatal(r)
	}
	for _, args := range [][]string{{same, "--state-in", kept}, {same, "--state", kept}, {made, "--quant", "q8_0", "--state-in", kept}} {
		if r := logits(args...); r.status != statusDone {
			t.Errorf("%q: %s", args, r)
		}
	}
	for _, flag := range []string{"--state-in", "--state"} {
		wantError(t, logits(other, flag, kept), statusInput, kept+": model_id: want \"", "\", which is "+other+", got \"", "(the state of a model of other weights)")
		wantError(t, logits(made, "--lora", lora, flag, kept), statusInput, kept+": lora: want \"", "got none (the state of this model without a LoRA)")
	}
}

// A state of a model that had another epsilon of the group norm is refused in a line that names the epsilons and the
// flag, and fits with that flag.
func TestStateOfOtherEpsilon(t *testing.T) {
	path := writeFile(t, "v5.st", weightstest.Safetensors(weightstest.RWKV("v5.2", weightstest.Tiny, tensor.F16, 1), nil))
	kept := filepath.Join(t.TempDir(), "kept")
	logits := func(args ...string) answer {
		return cli(append([]string{"logits", "--quiet", "--device", "cpu", "--tokens", "1", "--model", path}, args...)...)
	}
	if r := logits("--group-norm-eps", "1e-5", "--state-out", kept); r.status != statusDone {
		t.Fatal(r)
	}
	for _, flag := range []string{"--state-in", "--state"} {
		wantError(t, logits(flag, kept), statusInput, kept+": group_norm_eps: want \"0.00064\", which "+path+" has, got \"1e-05\": the state of a model with another epsilon of the group norm; for RWKV-5 --group-norm-eps sets it")
		if r := logits("--group-norm-eps", "1e-5", flag, kept); r.status != statusDone {
			t.Errorf("%s with the epsilon of the state: %s", flag, r)
		}
	}
}
