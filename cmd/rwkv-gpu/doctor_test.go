package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/doctor"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// The exit status follows from the verdict; no report names a folder.
func TestDoctor(t *testing.T) {
	reference.RacedIn(t, "the tests of the executors")
	t.Setenv(childEnv, "1") // for the process that examines
	hidden := filepath.Join(t.TempDir(), "anna")
	t.Setenv("RWKV_VULKAN_LOADER", filepath.Join(hidden, "libvulkan.so.1"))
	model := tinyModel(t, nil)
	for _, c := range []struct {
		args    []string
		status  int
		verdict doctor.Level
	}{
		{[]string{"--device", "auto"}, statusDone, doctor.Warn},
		{[]string{"--device", "auto", "--strict"}, statusFailed, doctor.Warn},
		{[]string{"--device", "gpu"}, statusFailed, doctor.Fail},
	} {
		args := append([]string{"doctor", "--model", model}, c.args...)
		var r doctor.Report
		a := cli(append(args, "--json")...)
		if decode(t, a.stdout, &r); a.status != c.status || r.Verdict != c.verdict || len(r.Findings) == 0 {
			t.Errorf("%q: %s", args, a)
		}
		if c.status == statusDone != (a.stderr == "") || strings.Count(a.stderr, "\n") > 1 {
			t.Errorf("%q: %s", args, a)
		}
		text := cli(args...)
		if text.status != c.status || !strings.HasSuffix(text.stdout, "verdict: "+string(c.verdict)+"\n") || !strings.Contains(text.stdout, filepath.Base(model)) {
			t.Errorf("%q: %s", args, text)
		}
		for _, out := range []string{a.stdout, a.stderr, text.stdout, text.stderr} {
			if strings.Contains(out, "anna") || strings.Contains(out, filepath.Dir(model)) {
				t.Errorf("%q names a folder: %s", args, out)
			}
		}
	}
	if r := cli("doctor", "--model", filepath.Join(hidden, "none.st")); r.status != statusInput {
		t.Error(r)
	}
	if r := cli("doctor", "--precision", "f16", "--model", model, "--device", "cpu"); r.status != statusDone || !strings.Contains(r.stdout, "MatMul: right in ") {
		t.Error(r)
	}
	if r := cli("doctor", "--precision", "f16", "--exact"); r.status != statusUsage || !strings.Contains(r.stderr, "--precision: want f32 with --exact, got f16") {
		t.Error(r)
	}
}

// A kernel that computes wrong is found, named and remembered: later processes do not make it, whatever their command,
// and give what the CPU gives.
func TestDoctorBroken(t *testing.T) {
	if testing.Short() || reference.Race {
		t.Skip("runs every form of every op twice")
	}
	gputest.Instance(t)
	ctl := faultvk.New(t)
	var spoiled [][]byte
	for _, name := range []string{"matmul_bcast.f16.spv", "matmul_bcast.f16_tx.spv", "matmul_reg.f16.spv", "matmul_reg.f16_tx.spv"} { // of software
		code, err := os.ReadFile(filepath.Join(reference.Root(t), "shaders", "spv", name))
		if err != nil {
			t.Fatal(err)
		}
		spoiled = append(spoiled, code)
	}
	if err := ctl.Spoil(spoiled...); err != nil {
		t.Fatal(err)
	}
	env := append(ctl.Env(), "XDG_CACHE_HOME="+t.TempDir())
	met := 0
	run := func(args ...string) (r answer, made int) {
		t.Helper()
		c := child(append(args, "--tuning", "on")...) // which keeps the way to load
		c.Env = append(c.Env, env...)
		c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		r = finish(t, c)
		now, err := ctl.Spoiled()
		if err != nil {
			t.Fatal(err)
		}
		made, met = now-met, now
		return r, made
	}
	wants := func(r answer, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(r.stdout, part) {
				t.Errorf("want %q in %s\n%s", part, r.stderr, r.stdout)
			}
		}
	}
	r, made := run("doctor", "--device", "gpu")
	if made == 0 && os.Getenv("RWKV_REQUIRE_GPU") == "1" {
		t.Fatalf("no kernel was wrong: %s", r.stdout)
	}
	if made == 0 {
		t.Skipf("the device does not run the kernels that are wrong here: %s", r.stdout)
	}
	wants(r, "WRONG: MatMul/", "do not run any more with this driver", "verdict: warn")
	if r.status != statusDone {
		t.Error(r)
	}
	r, made = run("doctor", "--device", "gpu", "--strict")
	wants(r, "left out since an earlier run: F16 ", "verdict: warn")
	if made != 0 || r.status != statusFailed || strings.Contains(r.stdout, "WRONG") {
		t.Errorf("made %d, %s", made, r)
	}
	generate := []string{"generate", "Once upon a time", "-n", "8", "--temperature", "0"}
	r, made = run(append(generate, "--device", "gpu")...)
	if want := cli(append(generate, "--device", "cpu")...); made != 0 || r.status != statusDone || r.stdout != want.stdout {
		t.Errorf("made %d, %s, want %s", made, r, want)
	}
	if r, made = run("doctor", "--device", "gpu", "--retune"); made == 0 || !strings.Contains(r.stdout, "WRONG") {
		t.Errorf("--retune judges anew: made %d, %s", made, r)
	}
}

// A driver that crashes or does not answer is a finding: the report has the rest, the error is one line, and no trace is
// printed. It does not matter to the processor.
func TestDoctorCrash(t *testing.T) {
	gputest.Instance(t)
	for _, c := range []struct {
		fault   faultvk.Fault
		device  string
		status  int
		verdict doctor.Level
		want    string
	}{
		{faultvk.Fault{Function: "vkCreateDevice", Mode: faultvk.Crash}, "gpu", statusFailed, doctor.Fail, "the driver crashed (SIGSEGV), in the opening of "},
		{faultvk.Fault{Function: "vkCreateInstance", Mode: faultvk.Hang}, "gpu", statusFailed, doctor.Fail, "did not answer for 1s, in the search for devices"},
		{faultvk.Fault{Function: "vkCreateInstance", Mode: faultvk.Crash}, "cpu", statusDone, doctor.Warn, "the Vulkan loader or a driver crashed (SIGSEGV), in the search for devices"},
	} {
		ctl := faultvk.New(t)
		c.fault.At = 1
		if err := ctl.Begin(c.fault); err != nil {
			t.Fatal(err)
		}
		p := child("doctor", "--device", c.device, "--json", "--quiet")
		p.Env = append(append(p.Env, ctl.Env()...), "XDG_CACHE_HOME="+t.TempDir(), "RWKV_WAIT_LIMIT=0.1") // whose tenfold doctor waits
		p.Stdout, p.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		a := finish(t, p)
		var r doctor.Report
		decode(t, a.stdout, &r)
		if a.status != c.status || r.Verdict != c.verdict || len(r.Findings) == 0 || !strings.Contains(r.Findings[0].Text, c.want) || r.Findings[0].Do == "" {
			t.Errorf("%+v: %s", c, a)
		}
		if lines := strings.Count(a.stderr, "\n"); lines > 1 || c.status == statusDone && lines > 0 {
			t.Errorf("%+v: %s", c, a)
		}
	}
}
