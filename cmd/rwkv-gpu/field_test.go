package main

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// running are the commands that run a model, with what they need besides.
var running = [][]string{
	{"logits", "--tokens", "1,2,3"}, {"generate", "--tokens", "1,2,3", "-n", "1"}, {"compare", "--tokens", "1,2,3"},
	{"bench", "--pp", "4", "--tg", "0", "--repeat", "1"},
}

// Files of the kinds that users report are refused in a line that names the tensor or the field, by every command.
func TestFieldRefused(t *testing.T) {
	for _, c := range []struct {
		file []string // in shared/field
		want string
	}{
		{[]string{"unused-tensors-silent", "v4-head_qk.pth"}, "tensor copy_mask: want only what RWKV-4 computes, got head_qk"},
		{[]string{"unused-tensors-silent", "v7-unmerged-lora.ckpt"}, "tensor blocks.0.att.key.lora_A: want only what RWKV-7 computes, got a LoRA that is not merged"},
		{[]string{"gguf-block-count-ignored", "says-3-has-2.gguf"}, "rwkv7.block_count: want 2, as there are tensors (truncated file?), got 3"},
	} {
		path := reference.Shared(t, append([]string{"field"}, c.file...)...)
		for _, command := range append(running, []string{"info"}, []string{"convert", t.TempDir() + "/out.safetensors"}) {
			wantError(t, cli(append(command, "--model", path, "--device", "auto")...), statusInput, command[0]+": "+path+": "+c.want)
		}
	}
}

// Files of the kinds that users report run, and give the ids that the original implementation finds likeliest; where
// there is no such figure, as for names alone, those of a file that holds the same numbers.
func TestFieldRuns(t *testing.T) {
	devices(t, func(t *testing.T, device string) {
		for _, c := range []struct {
			tokens, version string
			likeliest       int
			file            []string
		}{
			{"5,17,200,3", "v8-rc00", 101, []string{"rwkv8-rc00-run-as-v7", "rwkv-8-rc00-tiny.pth"}},
			{"3,9,21,3,9,30,5", "v7", 0, []string{"norm-eps-ignored"}},
			{"3,9,21,3,9,30,5", "v7", 0, []string{"fla-fused-x_x"}},
			{"3,9,21,3,9,30,5", "v7", 39, []string{"wrapper-prefixes", "forward_module.pth"}},
		} {
			var a logitsAnswer
			path := reference.Shared(t, append([]string{"field"}, c.file...)...)
			cliJSON(t, &a, "logits", "--tokens", c.tokens, "--device", device, "--model", path)
			if order, _ := likeliest(a.Logits[0], 1); a.Version != c.version || order[0] != c.likeliest {
				t.Errorf("%s: want %s and the id %d, got %s and %d", path, c.version, c.likeliest, a.Version, order[0])
			}
		}
	})
}

// Every command that runs a model says what it does not use of the file.
func TestUnusedNotice(t *testing.T) {
	list := append(weightstest.RWKV7(weightstest.Tiny, tensor.BF16, 1), tensor.FromFloats("optimizer.step", []int{1}, []float32{3}))
	path := writeFile(t, "more.st", weightstest.Safetensors(list, nil))
	const want = "tensors that RWKV-7 does not use: 1 (optimizer.step)\n"
	for _, command := range running {
		if command[0] == "compare" {
			command = append(command, "--device", vulkanDevice(t))
		} else {
			command = append(command, "--device", "cpu")
		}
		if r := cli(append(command, "--model", path)...); r.status != statusDone || strings.Count(r.stderr, want) != 1 {
			t.Errorf("%s: want the notice once, got %s", command[0], r)
		}
	}
}
