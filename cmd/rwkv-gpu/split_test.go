package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
)

// Wrong ways to name devices and shares are refused before anything is opened.
func TestSplitUsage(t *testing.T) {
	for _, c := range []struct {
		args string // separated by |
		want string
	}{
		{"generate|x|--device|0,1", `--device: want --split too, to divide the layers among several devices, got "0,1" alone`},
		{"serve|--device|cpu, gpu", "--device: want --split too"},
		{"generate|x|--split", `--split: want several devices, such as --device 0,1, got --device "auto"`},
		{"generate|x|--device|0|--split|1:1", `--split: want several devices, such as --device 0,1, got --device "0"`},
		{"generate|x|--device|0,|--split", "--split: want several devices"},
		{"generate|x|--device|cpu,cpu|--split|3:1:2", `--split: want a share of each of 2 devices, got 3 in "3:1:2"`},
		{"generate|x|--device|cpu,cpu|--split=0:1", `--split: want speed, or a share above 0 of each device, such as 3:1, got "0:1"`},
		{"generate|x|--device|cpu,cpu|--split=half", `got "half"`},
		{"generate|x|--device|cpu,cpu|--split=", "--split: want a value, got an empty one"},
		{"compare|--device|cpu,cpu|--split", "--split: want none: this command looks at one device"},
		{"doctor|--device|cpu,cpu|--split", "--split: want none: this command looks at one device"},
	} {
		wantError(t, cli(strings.Split(c.args, "|")...), statusUsage, c.want)
	}
	// Whatever the device, a prompt that is no share stays one.
	for _, args := range [][]string{{"--split", "speed"}, {"--split", "3:1"}, {"--split", "0.5:1:2"}} {
		if got := joinSplit(slices.Concat([]string{"a"}, args, []string{"b"})); !slices.Equal(got, []string{"a", args[0] + "=" + args[1], "b"}) {
			t.Errorf("%q: got %q", args, got)
		}
	}
	for _, args := range [][]string{{"--split", "Once"}, {"--split", "3"}, {"--split"}, {"--split", "12:"}, {"--", "--split", "3:1"}} {
		if got := joinSplit(args); !slices.Equal(got, args) {
			t.Errorf("%q: got %q", args, got)
		}
	}
}

// logitsOf returns the logits of a command line, and the state behind it as a file.
func logitsOf(t *testing.T, args ...string) (logits []float32, state []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "state")
	var r logitsAnswer
	cliJSON(t, &r, append([]string{"logits", "--tokens", "5,9,700,3,12,44,2", "--state-out", file}, args...)...)
	state, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return r.Logits[len(r.Logits)-1], state
}

// A divided model has the logits and the state of an undivided one to the last bit if all devices are alike; a state goes
// from the one to the other.
func TestSplitSame(t *testing.T) {
	want, state := logitsOf(t, "--device", "cpu")
	for _, args := range [][]string{{"--device", "cpu,cpu", "--split"}, {"--device", "cpu, cpu,cpu", "--split", "1:3:1"}} {
		logits, file := logitsOf(t, args...)
		if !slices.Equal(logits, want) || !bytes.Equal(file, state) {
			t.Errorf("%q: other logits or another state than on one device", args)
		}
	}
	in := writeFile(t, "in", state)
	from := []string{"generate", "And", "--state", in, "-n", "12", "--temperature", "0", "--device"}
	one, both := cli(append(from, "cpu")...), cli(append(from, "cpu,cpu", "--split", "5:1")...)
	if one.status != statusDone || both.status != statusDone || one.stdout != both.stdout {
		t.Errorf("on one device %s, on two %s", one, both)
	}
	if !strings.Contains(both.stderr, "(layers 0 to 4) + CPU") {
		t.Errorf("want which device has which layers, got %q", both.stderr)
	}
}

// Two Vulkan devices, of one driver and of two, have with --exact the same bits, or within rounding the same numbers.
func TestSplitVulkan(t *testing.T) {
	run := func(manifests string, args ...string) (logits []float32, device string) {
		t.Helper()
		c := child(append([]string{"logits", "--json", "--tokens", "5,9,700,3,12,44,2", "--exact"}, args...)...)
		c.Env = append(c.Env, "VK_DRIVER_FILES="+manifests, "VK_ICD_FILENAMES="+manifests)
		c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		done := finish(t, c)
		if done.status != statusDone {
			t.Fatal(done)
		}
		var r logitsAnswer
		decode(t, done.stdout, &r)
		return r.Logits[len(r.Logits)-1], r.Device
	}
	lavapipe, swiftshader := manifest(t, "lavapipe"), manifest(t, "swiftshader")
	if lavapipe == "" {
		t.Skip("no lavapipe here")
	}
	want, _ := run(lavapipe, "--device", "0")
	if got, on := run(lavapipe, "--device", "0,0", "--split", "1:1"); !slices.Equal(got, want) {
		t.Errorf("on %s: other logits than on one device", on)
	}
	if swiftshader == "" {
		t.Skip("no SwiftShader here")
	}
	both := lavapipe + string(os.PathListSeparator) + swiftshader
	for _, device := range []string{"llvmpipe,swiftshader", "swiftshader,llvmpipe"} {
		got, on := run(both, "--device", device, "--split", "1:1")
		if lower := strings.ToLower(on); !strings.Contains(lower, "llvmpipe") || !strings.Contains(lower, "swiftshader") {
			t.Errorf("--device %s: on %s", device, on)
		}
		var off, largest float64
		for i := range want {
			off, largest = max(off, math.Abs(float64(got[i]-want[i]))), max(largest, math.Abs(float64(want[i])))
		}
		if !(off <= 1e-4*largest) {
			t.Errorf("on %s: logits are off by %g of %g", on, off, largest)
		}
	}
}

// manifest returns the manifest of a driver of this machine; "" if there is none.
func manifest(t *testing.T, driver string) string {
	t.Helper()
	c := exec.Command("scripts/driver.sh", driver)
	c.Dir = "../.."
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

// A server on several devices keeps states in its folder, and goes on from them after a restart, also with other texts
// beside.
func TestSplitServe(t *testing.T) {
	args := []string{"--device", "cpu,cpu", "--split", "1:2", "--exact", "--cache-disk", t.TempDir()}
	var first, after stated
	for i, to := range []*stated{&first, &after} {
		s := startServing(t, args...)
		s.read(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Tell me of a fox."), to)
		if text := to.Choices[0].Message.Content; text == "" || text != first.Choices[0].Message.Content {
			t.Errorf("start %d: %q", i, text)
		}
		s.end(t, syscall.SIGTERM)
	}
	if first.Usage.Details.Cached != 0 || after.Usage.Details.Cached == 0 {
		t.Errorf("tokens from kept states: %d at first, %d after a restart", first.Usage.Details.Cached, after.Usage.Details.Cached)
	}
	one := startServing(t, "--device", "cpu", "--exact")
	var alone stated
	one.read(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Tell me of a fox."), &alone)
	one.end(t, syscall.SIGTERM)
	if got, want := first.Choices[0].Message.Content, alone.Choices[0].Message.Content; got != want {
		t.Errorf("on two devices %q, on one %q", got, want)
	}
}

// A benchmark on several devices says what it costs to go from one to the next.
func TestSplitBench(t *testing.T) {
	args := []string{"bench", "--pp", "8", "--tg", "4", "--repeat", "1", "--warmup", "0"}
	var one, both bench.Report
	cliJSON(t, &one, append(args, "--device", "cpu")...)
	cliJSON(t, &both, append(args, "--device", "cpu,cpu", "--split")...)
	for i, x := range both.Results {
		if x.CutUS == nil || *x.CutUS <= 0 || one.Results[i].CutUS != nil {
			t.Errorf("%s: %v on two devices, %v on one", x.Test, x.CutUS, one.Results[i].CutUS)
		}
	}
	if r := cli(append(args, "--device", "cpu,cpu", "--split", "1:1")...); r.status != statusDone || !strings.Contains(r.stdout, "From device to device") {
		t.Error(r)
	}
}
