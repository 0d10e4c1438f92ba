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
	} {
		path := reference.Shared(t, append([]string{"field"}, c.file...)...)
		for _, command := range append(running, []string{"info"}, []string{"convert", t.TempDir() + "/out.safetensors"}) {
			wantError(t, cli(append(command, "--model", path, "--device", "auto")...), statusInput, command[0]+": "+path+": "+c.want)
		}
	}
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
