package main

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// TestBenchValidated measures a model of every version under the eyes of the validation layer, which may have nothing
// to say. It looks at no number, and asks for neither tuning nor times of ops, which not every such driver makes up: it
// is for drivers of GPUs that are not there, whose submissions do nothing (scripts/gpus.sh -validate).
func TestBenchValidated(t *testing.T) {
	gputest.Absent(t)
	t.Setenv("RWKV_VALIDATE", "1")
	for i, version := range weightstest.Versions {
		list := weightstest.RWKV(version, weightstest.Blocks256, tensor.F16, 1)
		path := writeFile(t, version+".safetensors", weightstest.Safetensors(list, nil))
		quant := []string{load.AsStored, "q4_k"}[i%2]
		r := finish(t, start(t, "bench", "--model", path, "--quant", quant, "--tuning", "off", "--device", vulkanDevice(t),
			"--pp", "64", "--tg", "8", "--gen", "8", "--batch", "1,4", "--depth", "0,33", "--repeat", "1"))
		if r.status != 0 || !strings.Contains(r.stdout, "tg8") {
			t.Errorf("%s, quant %s: %s", version, quant, r)
		}
		for line := range strings.Lines(r.stderr) {
			if strings.HasPrefix(line, "vulkan ") {
				t.Errorf("%s, quant %s: %s", version, quant, line)
			}
		}
	}
}
