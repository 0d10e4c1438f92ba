package main

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// The first runs on a device say that they measure, later ones only when they are asked to.
func TestTuning(t *testing.T) {
	gputest.Device(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	measured := func(flags ...string) bool {
		t.Helper()
		r := cli(append([]string{"logits", "--tokens", "1", "--device", "gpu"}, flags...)...)
		if r.status != 0 {
			t.Fatal(r)
		}
		return strings.Contains(r.stderr, "measuring the fastest kernels")
	}
	if measured("--tuning", "off") || !measured("--tuning", "on") {
		t.Error("want no measurements with --tuning off, and some with on")
	}
	runs := 1
	for measured("--tuning", "on") { // a slow device does not get done in one run's time
		if runs++; runs == 20 {
			t.Fatal("20 runs measured, and none found everything kept")
		}
	}
	if !measured("--tuning", "on", "--retune") {
		t.Error("want measurements with --retune")
	}
	if r := cli("info", "--tuning", "maybe"); r.status != statusUsage {
		t.Errorf("want a usage error, got %s", r)
	}
}
