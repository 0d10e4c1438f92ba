package gputest

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

func TestChoose(t *testing.T) {
	infos := []gpu.Info{{Index: 0, Name: "llvmpipe (LLVM)", Type: gpu.CPU}, {Index: 1, Name: "Big Card", Type: gpu.Discrete}, {Index: 2, Name: "Small Card", Type: gpu.Integrated}}
	for want, index := range map[string]int{"": 1, "0": 0, "2": 2, "LLVMPIPE": 0, "small": 2, "card": 1} {
		if got, err := Choose(infos, want); err != nil || got != index {
			t.Errorf("Choose(%q) = %d, %v, want %d", want, got, err, index)
		}
	}
	for _, want := range []string{"3", "-1", "medium"} {
		if got, err := Choose(infos, want); err == nil {
			t.Errorf("Choose(%q) = %d, want an error", want, got)
		}
	}
}

// Tests fail for what the layer says of a program, and not for what it says of itself.
func TestCounts(t *testing.T) {
	for text, want := range map[string]bool{
		"Validation Error: [ VUID-vkQueueSubmit-fence-00063 ] a fence is in use":                            true,
		"Validation Error: [ UNASSIGNED-VkFence-state-timeout ] Timeout waiting for fence state to update.": false,
	} {
		if counts(gpu.Note, text) || counts(gpu.Warning, text) != want || counts(gpu.Fault, text) != want {
			t.Errorf("%q: a warning counts: %t, want %t; a note: %t", text, counts(gpu.Warning, text), want, counts(gpu.Note, text))
		}
	}
}
