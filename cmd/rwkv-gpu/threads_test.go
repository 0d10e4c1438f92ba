package main

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// --threads sets how many threads work on the CPU, for any command that runs a model. The numbers do not depend on it.
func TestThreads(t *testing.T) {
	var texts []string
	for _, threads := range []string{"1", "3"} {
		r := cli("generate", "Once", "-n", "4", "--temperature", "0", "--device", "cpu", "--threads", threads)
		if r.status != statusDone || !strings.Contains(r.stderr, "running on CPU ("+threads+" thread") {
			t.Error(r)
		}
		texts = append(texts, r.stdout)
	}
	if texts[0] == "" || texts[0] != texts[1] {
		t.Errorf("by one thread %q, by three %q", texts[0], texts[1])
	}
	for _, bad := range []string{"-1", "1025", "x"} {
		wantError(t, cli("generate", "x", "--threads", bad), statusUsage, "threads")
	}
}

// A Vulkan device has no threads to set, which a notice says. Nothing is said where the flag counts, or is not there.
func TestThreadsOnVulkan(t *testing.T) {
	gputest.Device(t)
	for _, c := range []struct {
		flags  []string
		notice bool
	}{
		{[]string{"--device", "gpu", "--threads", "3"}, true},
		{[]string{"--device", "gpu"}, false},
		{[]string{"--device", "cpu", "--threads", "3"}, false},
	} {
		r := cli(append([]string{"logits", "--tokens", "1", "--tuning", "off"}, c.flags...)...)
		if r.status != statusDone || strings.Contains(r.stderr, "--threads 3 is for the CPU") != c.notice {
			t.Errorf("%q: want a notice: %t, got %s", c.flags, c.notice, r)
		}
	}
}
