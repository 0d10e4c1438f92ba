//go:build unix

package main

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

var hangArgs = []string{"generate", "Once upon", "-n", "6", "--temperature", "0", "--device", "gpu", "--quiet", "--tuning", "on"}

// hanging returns a control, the calls of a run with these arguments, and what starts one in a process of its own in
// which a call never returns, with a limit in seconds after which a wait is given up.
func hanging(t *testing.T, args ...string) (calls []faultvk.Call, start func(t *testing.T, f faultvk.Fault, limit string) (*exec.Cmd, *faultvk.Control)) {
	t.Helper()
	vulkanDevice(t)
	cache := t.TempDir()
	start = func(t *testing.T, f faultvk.Fault, limit string) (*exec.Cmd, *faultvk.Control) {
		t.Helper()
		ctl := faultvk.New(t)
		if f.Result == 0 {
			f.Mode = faultvk.Hang
		}
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
		c := child(args...)
		c.Env = append(append(c.Env, ctl.Env()...), "RWKV_WAIT_LIMIT="+limit, "XDG_CACHE_HOME="+cache)
		c.Stdout, c.Stderr = new(strings.Builder), new(strings.Builder)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill() }) // which has ended if all is well
		return c, ctl
	}
	kept := ""
	for range 20 { // until nothing is measured any more, so that every run makes the same calls
		c, ctl := start(t, faultvk.Fault{}, "100")
		if err := c.Wait(); err != nil {
			t.Fatalf("%v: %s", err, c.Stderr)
		}
		var err error
		if calls, err = ctl.Trace(); err != nil {
			t.Fatal(err)
		}
		found, err := os.ReadFile(filepath.Join(cache, "rwkv-gpu", "tuning.json"))
		if err != nil {
			t.Fatal(err)
		}
		if string(found) == kept || slices.Contains(args, "--retune") {
			break
		}
		kept = string(found)
	}
	return calls, start
}

// trialParts are shares of a run's waits that may be those of a tuning trial: how many waits there are depends on the
// time that each takes.
var trialParts = []float64{0.5, 0.3, 0.7, 0.1, 0.2, 0.4, 0.6, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.05, 0.8}

// callsOf returns how many calls of a function there are.
func callsOf(calls []faultvk.Call, function string) (n int) {
	for _, c := range calls {
		if c.Function == function {
			n++
		}
	}
	return n
}

// ended waits for a process that hangs to end, and returns its status and its line of error.
func ended(t *testing.T, c *exec.Cmd, within time.Duration) (status int, line string) {
	t.Helper()
	late := time.AfterFunc(within, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	if !late.Stop() {
		t.Errorf("no end within %s: %s", within, c.Stderr)
	}
	return c.ProcessState.ExitCode(), c.Stderr.(*strings.Builder).String()
}

// A device that never answers ends the command with the status of device trouble, in a line that names what it was at.
func TestHungDevice(t *testing.T) {
	reference.RacedIn(t, "TestSignalInDriver and the TestHang of package gpu")
	t.Parallel() // like the others here: processes that wait
	tuned := append(slices.Clone(hangArgs), "--retune")
	logits := []string{"logits", "--tokens", "3,1,4", "--state-out", os.DevNull, "--device", "gpu", "--quiet", "--tuning", "on"}
	for _, x := range []struct {
		name  string // that the error has
		args  []string
		parts []float64 // of all waits, one of which is that
	}{
		{"clearing of scratch and state", hangArgs, []float64{0}}, {"prefill of 2 tokens, step ", hangArgs, []float64{0.5, 0.4, 0.6, 0.3, 0.7, 0.2}}, {"decode of ", hangArgs, []float64{0.95, 0.98, 0.9, 0.96, 0.99, 0.93, 0.8, 0.7, 1}},
		{"tuning trial of ", tuned, trialParts}, // Where a copy is there at once, nothing waits for a state that is read but for what was written to it before.
		{" of the states of 1 slots, the first 0", logits, []float64{1}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			calls, start := hanging(t, x.args...)
			waits := callsOf(calls, "vkWaitForFences")
			var lines []string
			try := func(f faultvk.Fault) (*faultvk.Control, int, string) {
				c, ctl := start(t, f, "1")
				status, line := ended(t, c, faultTime)
				return ctl, status, line
			}
			for _, part := range x.parts {
				f := faultvk.Fault{Function: "vkWaitForFences", At: max(int(part*float64(waits)), 1)}
				ctl, status, line := try(f)
				if r, err := ctl.Report(); err == nil && !r.Fired {
					continue // it waited less often this time
				}
				if status != statusDevice || strings.Count(line, "\n") != 1 || !strings.Contains(line, ": the device hangs: no answer for ") {
					t.Errorf("status %d, %q", status, line)
				}
				if lines = append(lines, line); !strings.Contains(line, x.name) {
					continue
				}
				f.Mode, f.Result = faultvk.Sticky, faultvk.Timeout // of a driver that does return
				ctl, status, line = try(f)
				if r, err := ctl.Report(); err == nil && !r.Fired {
					continue // likewise
				}
				if status != statusDevice || strings.Count(line, "\n") != 1 || len(x.parts) == 1 && !strings.Contains(line, x.name) {
					t.Errorf("status %d, %q", status, line)
				}
				return
			}
			t.Errorf("want an error that names it, got %q", lines)
		})
	}
}

// busy is by how much longer than on an idle machine an end may take here, where other tests run too.
const busy = 10

// A signal ends the program within a second, busy times that on a busy machine, even if it is stuck in a call that
// never returns.
func TestSignalInDriver(t *testing.T) {
	t.Parallel()
	calls, start := hanging(t, hangArgs...)
	for _, x := range []struct {
		function string
		signal   os.Signal
	}{
		{"vkCreateInstance", syscall.SIGTERM}, {"vkCreateDevice", os.Interrupt}, {"vkAllocateMemory", syscall.SIGHUP}, {"vkCreateComputePipelines", os.Interrupt},
		{"vkQueueSubmit", syscall.SIGTERM}, {"vkWaitForFences", os.Interrupt}, {"vkDeviceWaitIdle", syscall.SIGTERM}, {"vkGetPipelineCacheData", os.Interrupt},
	} {
		n := callsOf(calls, x.function)
		if n == 0 {
			t.Errorf("%s is never called", x.function)
			continue
		}
		if x.signal == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
			continue // as under nohup
		}
		c, ctl := start(t, faultvk.Fault{Function: x.function, At: (n + 1) / 2}, "1000")
		for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			if r, err := ctl.Report(); err != nil || r.Fired || time.Since(begin) > faultTime {
				break
			}
		}
		sent := time.Now()
		if err := c.Process.Signal(x.signal); err != nil {
			t.Errorf("%s: %v", x.function, err)
			continue
		}
		status, line := ended(t, c, faultTime)
		if took := time.Since(sent); status != statusInterrupted || line != "rwkv-gpu: generate: interrupted\n" || took > busy*time.Second {
			t.Errorf("%s, %s: status %d after %s, %q", x.function, x.signal, status, took, line)
		}
	}
}

// A kernel that is being tried when a signal ends the program, which is stuck in the driver, is tried again by a later
// run. One in whose trial the program is killed is not: what ended it is not known then.
func TestSignalInTrial(t *testing.T) {
	t.Parallel()
	calls, start := hanging(t, append(slices.Clone(hangArgs), "--retune")...)
	waits := callsOf(calls, "vkWaitForFences")
	for _, x := range []struct {
		signal os.Signal
		kept   bool
	}{{syscall.SIGTERM, false}, {syscall.SIGKILL, true}} {
		tried := false
		for _, part := range trialParts {
			c, ctl := start(t, faultvk.Fault{Function: "vkWaitForFences", At: max(int(part*float64(waits)), 1)}, "1000")
			for begin := time.Now(); time.Since(begin) < faultTime; time.Sleep(10 * time.Millisecond) {
				if r, err := ctl.Report(); err != nil || r.Fired {
					break
				}
			}
			var cache string
			for _, e := range c.Env { // the last counts
				if value, ok := strings.CutPrefix(e, "XDG_CACHE_HOME="); ok {
					cache = value
				}
			}
			trying := func() bool {
				t.Helper()
				data, err := os.ReadFile(filepath.Join(cache, "rwkv-gpu", "tuning.json"))
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(data), `"trying"`)
			}
			tried = trying()
			signal := x.signal
			if !tried { // the usual form, which is not written down
				signal = syscall.SIGKILL
			}
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			ended(t, c, faultTime)
			if tried {
				if kept := trying(); kept != x.kept {
					t.Errorf("%s: want the kernel written down afterwards: %t, got %t", x.signal, x.kept, kept)
				}
				break
			}
		}
		if !tried {
			t.Errorf("%s: no trial was met", x.signal)
		}
	}
}
