package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// exactLoRA returns a model in F32, a LoRA of rank 2 for each of its matrices, and the model with it merged at scale 2:
// numbers with so few digits that float32 holds the sums exactly.
func exactLoRA() (base, lora, merged []*tensor.Tensor) {
	rng := rand.New(rand.NewPCG(8, 9))
	coarse := func(name string, shape ...int) (*tensor.Tensor, []float32) {
		x := make([]float32, shape[0]*shape[1])
		for i := range x {
			x[i] = float32(rng.IntN(5)-2) / 16
		}
		return tensor.FromFloats(name, shape, x), x
	}
	for _, t := range weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1) {
		x, err := t.Floats()
		if err != nil {
			panic(err)
		}
		base = append(base, tensor.FromFloats(t.Name, t.Shape, x))
		name, isWeight := strings.CutSuffix(t.Name, "weight")
		if isWeight && len(t.Shape) == 2 && strings.HasPrefix(name, "blocks.") {
			a, av := coarse(name+"lora_A", 2, t.Shape[1])
			b, bv := coarse(name+"lora_B", t.Shape[0], 2)
			for i := range x {
				row, col := i/t.Shape[1], i%t.Shape[1]
				x[i] += 2 * (bv[2*row]*av[col] + bv[2*row+1]*av[t.Shape[1]+col])
			}
			lora = append(lora, a, b)
		}
		merged = append(merged, tensor.FromFloats(t.Name, t.Shape, x))
	}
	return base, lora, merged
}

// A model with a LoRA has, to the bit, the logits of the model that was merged ahead, on every device; convert writes
// that model.
func TestLoRALogits(t *testing.T) {
	reference.Numbers(t)
	base, lora, merged := exactLoRA()
	model := writeFile(t, "base.safetensors", weightstest.Safetensors(base, nil))
	ahead := writeFile(t, "merged.safetensors", weightstest.Safetensors(merged, nil))
	file := writeFile(t, "l.pth", weightstest.Torch{Prefix: "_orig_mod."}.File(lora))
	out := filepath.Join(t.TempDir(), "out.safetensors")
	if r := cli("convert", out, "--model", model, "--lora", file+":2"); r.status != statusDone {
		t.Fatal(r)
	}
	devices(t, func(t *testing.T, device string) {
		var list []logitsAnswer
		runs := [][]string{{model, "--lora", file + ":2"}, {ahead}, {out}, {model, "--lora", file, "--lora", file + ":1"}, {model}}
		if device != "cpu" {
			runs = runs[:2] // the others differ in what is loaded, which the device does not see
		}
		for _, args := range runs {
			var a logitsAnswer
			cliJSON(t, &a, append([]string{"logits", "--tokens", "1,2,3,4,5", "--all", "--device", device, "--model"}, args...)...)
			list = append(list, a)
		}
		for i, a := range list[1:] {
			if same := slices.EqualFunc(list[0].Logits, a.Logits, slices.Equal[[]float32]); same != (i < 3) {
				t.Errorf("run %d: the same logits: %v", i+1, same)
			}
		}
	})
}

// What a LoRA does is said in a line; one that does not fit is a bad input file.
func TestLoRANotices(t *testing.T) {
	base, lora, _ := exactLoRA()
	model := writeFile(t, "base.safetensors", weightstest.Safetensors(base, nil))
	file := writeFile(t, "l.pth", weightstest.Torch{}.File(append(slices.Clone(lora), base[1])))
	info := func(l string) answer { return cli("info", "--model", model, "--lora", l) }
	if r, want := info(file), "merging "+file+": matrices changed: 12, rank 2, scale 1; tensors replaced: 1; --lora "+file+":ALPHA/RANK, as a number, if it was trained with another alpha than its rank\n"; !strings.HasPrefix(r.stderr, want) {
		t.Errorf("want %q, got %s", want, r)
	}
	if r, want := info(file+":3"), "merging "+file+": matrices changed: 12, rank 2, scale 3; tensors replaced: 1\n"; r.stderr != want {
		t.Errorf("want %q, got %s", want, r)
	}
	wantError(t, info(writeFile(t, "half.pth", weightstest.Torch{}.File(lora[:1]))), statusInput, "half.pth: tensor blocks.0.att.receptance.lora_A: partner: want")
	wantError(t, info(model), statusInput, "base.safetensors: tensors: want a LoRA", "got a model")
	wantError(t, info("no such file"), statusInput, "no such file: stat: ")
	wantError(t, info(writeFile(t, "bad.pth", []byte("\x80\x02c__builtin__\neval\n."))), statusInput, "bad.pth: ")
}

// --state begins with the matrices of a file of state tuning, and with a state of --state-out as --state-in does, on
// every device.
func TestStateFlag(t *testing.T) {
	reference.Numbers(t)
	model := tinyModel(t, nil)
	s := weightstest.Tiny
	var states []*tensor.Tensor
	for l := range s.Layers {
		x := make([]float32, s.Embed*s.Head)
		for i := range x {
			x[i] = float32((i*7+l)%13)/8 - 0.75
		}
		states = append(states, tensor.FromFloats(fmt.Sprintf("blocks.%d.att.time_state", l), []int{s.Embed / s.Head, s.Head, s.Head}, x))
	}
	tuned := writeFile(t, "state.pth", weightstest.Torch{}.File(states))
	inside := writeFile(t, "inside.safetensors", weightstest.Safetensors(append(weightstest.RWKV7(s, tensor.F32, 1), states...), nil))
	devices(t, func(t *testing.T, device string) {
		out := filepath.Join(t.TempDir(), "out.st")
		run := func(tokens string, args ...string) [][]float32 {
			var a logitsAnswer
			cliJSON(t, &a, append([]string{"logits", "--all", "--device", device, "--tokens", tokens, "--model"}, args...)...)
			return a.Logits
		}
		same := func(a, b [][]float32) bool { return slices.EqualFunc(a, b, slices.Equal[[]float32]) }
		all := run("1,2,3,4", model, "--state", tuned)
		if same(all, run("1,2,3,4", model)) || !same(all, run("1,2,3,4", inside)) {
			t.Error("--state is not the state inside the model")
		}
		run("1,2", model, "--state", tuned, "--state-out", out)
		if !same(run("3,4", model, "--state", out), run("3,4", model, "--state-in", out)) {
			t.Error("--state and --state-in differ")
		}
		if device != "cpu" {
			if r := cli("compare", "--model", model, "--state", tuned, "--device", device, "--tokens", "1,2,3"); r.status != statusDone {
				t.Error(r)
			}
		}
	})
	halves := make([]*tensor.Tensor, len(states))
	for i, x := range states {
		f, err := x.Floats()
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, tensor.F16.Bytes(len(f)))
		tensor.F16.Encode(data, f)
		halves[i] = tensor.FromBytes(x.Name, tensor.F16, x.Shape, data)
	}
	assumed := writeFile(t, "assumed.st", weightstest.Safetensors(halves, nil))
	const notice = "in the form of web-rwkv (assumed: there are only states, all F16, as its converters write them); --state-layout original if it is not\n"
	logits := func(args ...string) answer {
		return cli(append([]string{"logits", "--tokens", "1,2", "--device", "cpu", "--model", model}, args...)...)
	}
	trained, guessed, told := logits("--state", tuned), logits("--state", assumed), logits("--state", assumed, "--state-layout", "original")
	if !strings.Contains(guessed.stderr, "reading "+assumed+" "+notice) || strings.Contains(told.stderr, "reading") || guessed.stdout == trained.stdout || told.stdout != trained.stdout {
		t.Errorf("want the layout assumed, then as told; got %s and %s", guessed, told)
	}
	wantError(t, cli("logits", "--tokens", "1", "--model", model, "--state", model), statusInput, "tiny.safetensors: tensor blocks.0.att.a0: name: want only blocks.N.att.time_state")
	wantError(t, cli("logits", "--tokens", "1", "--model", model, "--state-in", tuned), statusInput, "state.pth: format: want")
	wantError(t, cli("logits", "--tokens", "1", "--state", "a", "--state-in", "b"), statusUsage, "--state-in: want one state")
	wantError(t, cli("logits", "--tokens", "1", "--state", ""), statusUsage, "--state: want a file")
	wantError(t, cli("info", "--lora", ":1"), statusUsage, `--lora: want FILE or FILE:SCALE, got ":1"`)
}
