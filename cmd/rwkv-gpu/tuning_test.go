package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
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

// With an empty cache, a first run ends up with what a second one begins with: the same kernels, and no weights held
// that the second does not hold. That it is as fast, bench's own test of it says.
func TestFirstRun(t *testing.T) {
	if testing.Short() || reference.Race {
		t.Skip("runs of a large model")
	}
	gputest.Device(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	run := func() (r bench.Report, kept string, measured bool) {
		t.Helper()
		a := cli("bench", "--synthetic", "0.1b", "--pp", "64", "--tg", "16", "--repeat", "1", "--device", "gpu", "--tuning", "on", "--json")
		data, err := os.ReadFile(filepath.Join(cache, "rwkv-gpu", "tuning.json"))
		if a.status != statusDone || err != nil {
			t.Fatalf("%s (%v)", a, err)
		}
		decode(t, a.stdout, &r)
		return r, string(data), strings.Contains(a.stderr, "measuring the fastest kernels")
	}
	first, found, measured := run()
	if !measured || strings.Contains(found, `"trying"`) {
		t.Errorf("want the first run to measure and to end no trial half way, got %s", found)
	}
	for runs := 1; strings.Contains(found, `"next"`); runs++ { // where others use the machine, not all gets done in its time
		if runs == 10 {
			t.Fatalf("10 runs do not get done: %s", found)
		}
		first, found, _ = run()
	}
	second, kept, again := run()
	if again || kept != found {
		t.Errorf("want nothing measured again, got %s", kept)
	}
	if first.Memory.DeviceBytes != second.Memory.DeviceBytes {
		t.Errorf("the first run holds %d bytes, the second %d", first.Memory.DeviceBytes, second.Memory.DeviceBytes)
	}
}

// A cache that can be neither read nor written costs time, and nothing else; nothing half-written stays in it.
func TestCacheUnusable(t *testing.T) {
	reference.RacedIn(t, "TestTuning")
	args := []string{"generate", "Once upon", "-n", "4", "--temperature", "0", "--tuning", "on", "--device", vulkanDevice(t)}
	good := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", good)
	want := cli(args...)
	if want.status != statusDone {
		t.Fatal(want)
	}
	list, err := os.ReadDir(filepath.Join(good, "rwkv-gpu"))
	if err != nil || len(list) < 2 {
		t.Fatalf("want the tuning and the driver's kernels kept, got %v (%v)", list, err)
	}
	folders := t.TempDir()
	for _, file := range list { // which cannot be replaced, since there is something in them
		if err := os.MkdirAll(filepath.Join(folders, "rwkv-gpu", file.Name(), "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, cache := range []string{writeFile(t, "file", nil), folders} {
		t.Setenv("XDG_CACHE_HOME", cache)
		if r := cli(args...); r.status != statusDone || r.stdout != want.stdout || !strings.Contains(r.stderr, "tuning is not kept: ") {
			t.Errorf("%s: want %q and a notice, got %s", cache, want.stdout, r)
		}
	}
	if left, err := os.ReadDir(filepath.Join(folders, "rwkv-gpu")); err != nil || len(left) != len(list) {
		t.Errorf("want %v and no more, got %v (%v)", list, left, err)
	}
}
