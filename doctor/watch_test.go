package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

const (
	ownErrors = "rwkv-gpu: doctor: "
	onDevice  = 4
)

// actEnv makes the test binary a process that is watched, which does what the list says.
const actEnv = "RWKV_TEST_ACT"

// act does what the words of a list say, one after the other.
func act(list string) {
	r := &Report{Verdict: OK, Devices: []gpu.Info{{Name: "G", Driver: "D"}}, Why: "it is"}
	opened := *r
	opened.Chosen, opened.Driver = "G", "D"
	tell := func(x Event) {
		if err := x.Write(os.Stdout); err != nil {
			os.Exit(1)
		}
	}
	for word := range strings.FieldsSeq(list) {
		switch word {
		case "search":
			tell(Event{Step: "the search for devices", Asks: true, Report: &Report{}})
		case "open":
			tell(Event{Step: "the opening of G", Asks: true, Report: r})
		case "run":
			tell(Event{Step: "the conformance run on G", Asks: true, Report: &opened, Done: 1, All: 2})
		case "way":
			tell(Event{Step: "the conformance run on G: MatMul/1 in F16 fast", Asks: true, Way: "F16 fast", Of: &conform.Result{Op: "MatMul", Form: "fast"}})
		case "processor":
			tell(Event{Step: "the conformance run on CPU", Report: r})
		case "over":
			tell(Event{Step: "the end", Report: &opened, Over: true})
		case "garbage":
			fmt.Print("{\"step\":3}\n{}\nnull\nMESA: half a line")
		case "notice":
			fmt.Fprintln(os.Stderr, "a notice")
		case "error":
			fmt.Fprintln(os.Stderr, ownErrors+"m.st: no such file")
			os.Exit(3)
		case "trouble":
			fmt.Fprintln(os.Stderr, ownErrors+"device G: lost")
			os.Exit(onDevice)
		case "panic":
			panic("a mistake")
		case "exit":
			os.Exit(7)
		case "kill":
			_ = exec.Command("kill", "-9", fmt.Sprint(os.Getpid())).Run()
		case "wait":
			_, _ = os.Stdin.Read(make([]byte, 1))
			os.Exit(0)
		case "hang":
			select {}
		default:
			panic(word)
		}
	}
	os.Exit(0)
}

// watching watches a process that acts, and returns what was kept as unfit too.
func watching(ctx context.Context, t *testing.T, w Watch, list string) (r *Report, log string, left []string, err error) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), actEnv+"="+list)
	w.Errors, w.Trouble = ownErrors, onDevice
	if w.Patience == 0 {
		w.Patience = time.Hour
	}
	if w.LeaveOut == nil {
		w.LeaveOut = func(device, driver, way, why string) error {
			left = append(left, strings.Join([]string{device, driver, way, why}, "|"))
			return nil
		}
	}
	w.Progress, w.Slow = func(int, int) {}, func(string, time.Duration) {}
	r, log, err = w.Run(ctx, c)
	return r, log, left, err
}

// However a process ends, what it found is in the report, with what ended it and in which step.
func TestWatch(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("processes end by signals here")
	}
	for _, c := range []struct {
		list, device string
		level        Level  // of the finding
		want         string // in it
		left         string // what is left out
	}{
		{"notice search open run way over", "gpu", "", "", ""},
		{"garbage search garbage open garbage over", "gpu", "", "", ""},
		{"search open over exit", "gpu", Warn, "ended wrongly (exit status 7) when it was done", ""},
		{"search kill", "gpu", Fail, "the Vulkan loader or a driver crashed (signal: killed), in the search for devices", ""},
		{"search open kill", "auto", Fail, "the driver crashed (signal: killed), in the opening of G", ""},
		{"search open exit", "gpu", Fail, "the driver crashed (exit status 7), in the opening of G", ""},
		{"search open run way kill", "gpu", Fail, "the driver crashed (signal: killed), in the conformance run on G: MatMul/1 in F16 fast", ""},
		{"search open run way trouble", "gpu", Fail, "the driver failed: device G: lost, in the conformance run on G: MatMul/1", ""},
		{"processor kill", "cpu", Fail, "the program crashed (signal: killed), in the conformance run on CPU", ""},
		{"processor search kill", "cpu", Warn, "in the search for devices", ""},
	} {
		r, log, left, err := watching(t.Context(), t, Watch{Device: c.device}, c.list)
		if err != nil {
			t.Errorf("%s: %v", c.list, err)
			continue
		}
		if strings.Contains(c.list, "notice") != (log == "a notice") || strings.Join(left, "") != c.left {
			t.Errorf("%s: log %q, left out %q", c.list, log, left)
		}
		if c.level == "" {
			if len(r.Findings) > 0 || r.Chosen != "G" {
				t.Errorf("%s: %+v", c.list, r)
			}
			continue
		}
		if len(r.Findings) != 1 || r.Findings[0].Level != c.level || r.Verdict != c.level || !strings.Contains(r.Findings[0].Text, c.want) || r.Findings[0].Do == "" {
			t.Errorf("%s: want %s: %q, got %s, %+v", c.list, c.level, c.want, r.Verdict, r.Findings)
		}
	}
}

// An error of the process that is not about a driver is its own.
func TestWatchErrors(t *testing.T) {
	for _, c := range []struct {
		list   string
		status int
		want   string
	}{
		{"notice error", 3, "m.st: no such file"}, {"search error", 3, "m.st: no such file"}, {"trouble", onDevice, "device G: lost"},
		{"exit", -1, "exit status 7"}, {"search panic", -1, "a mistake"},
	} {
		r, _, left, err := watching(t.Context(), t, Watch{}, c.list)
		var end *EndError
		if !errors.As(err, &end) || end.Status != c.status || !strings.Contains(err.Error(), c.want) || r != nil || left != nil {
			t.Errorf("%s: %v, %+v", c.list, err, r)
		}
	}
	c := exec.Command(filepath.Join(t.TempDir(), "none"))
	if _, _, err := (Watch{}).Run(t.Context(), c); err == nil {
		t.Error("a program that is not there runs")
	}
}

// A driver that does not answer is given up, and what it was asked for is left out; one that is slow only is told of. A
// step that asks no driver takes as long as it takes.
func TestWatchHang(t *testing.T) {
	r, _, left, err := watching(t.Context(), t, Watch{Patience: time.Millisecond}, "search open run way hang")
	if err != nil || r.Verdict != Fail || len(r.Ops) != 1 || r.Ops[0].OK || !strings.Contains(r.Findings[0].Text, "did not answer for 1ms, in the conformance run on G: MatMul/1 in F16 fast") ||
		len(left) != 1 || left[0] != "G|D|F16 fast|the driver did not answer for 1ms" {
		t.Errorf("%v, %+v, %q", err, r, left)
	}
	refuse := func(string, string, string, string) error { return errors.New("read-only") }
	r, _, _, err = watching(t.Context(), t, Watch{Patience: time.Millisecond, LeaveOut: refuse}, "search open run way hang")
	if err != nil || len(r.Unfit) > 0 || len(r.Findings) != 2 || !strings.Contains(r.Findings[1].Text, "cannot be remembered: read-only") {
		t.Errorf("%v, %+v", err, r)
	}
	list := make(chan *Event, 1)
	list <- &Event{Step: "a step that asks nobody"}
	var told []string
	s := &watched{Watch: Watch{Patience: time.Millisecond, Slow: func(step string, _ time.Duration) { told = append(told, step) }}}
	ctx, cancel := context.WithTimeout(t.Context(), 3*beat)
	defer cancel()
	if s.follow(ctx, list) || len(told) > 0 {
		t.Errorf("given up, told %q", told)
	}
	s.Patience = 9 * beat
	list <- &Event{Step: "a slow one", Asks: true}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	s.Slow = func(step string, _ time.Duration) {
		told = append(told, step)
		end()
	}
	if s.follow(ctx, list) || len(told) != 1 || told[0] != "a slow one" {
		t.Errorf("given up, told %q", told)
	}
}

// A process ends with what watches it.
func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := Watch{}
	time.AfterFunc(beat/10, cancel)
	if _, _, _, err := watching(ctx, t, w, "search wait"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What tells of a fault in a library is found in what Go and the systems write.
func TestFaultIn(t *testing.T) {
	for text, want := range map[string]string{
		"exit status 2\nfatal error: unexpected signal during runtime execution\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x1]": "SIGSEGV",
		"exit status 2\nlvp: assertion failed\nSIGABRT: abort\nPC=0x7f m=0":                                                                         "SIGABRT",
		"exit status 2\nException 0xc0000005 0x0 0x8 0x7ff\nPC=0x7ff":                                                                               "Exception 0xc0000005",
		"signal: segmentation fault (core dumped)\n":                                                                                                "segmentation fault",
		"signal: killed\n":             "",
		"exit status 1\nSIGSEGV?":      "",
		"exit status 2\nSIGQUIT: quit": "",
	} {
		if got := faultIn(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}

// A driver that crashes when it lists its devices, opens one, or runs a kernel, gets its verdict, and the process that
// watches lives on. The form in which it crashed does not run any more.
func TestCrash(t *testing.T) {
	manifest, cache := driver(t, "lavapipe"), t.TempDir()
	crashing := func(function string, at int) string {
		ctl := faultvk.New(t)
		if err := ctl.Begin(faultvk.Fault{Function: function, At: at, Mode: faultvk.Crash}); err != nil {
			t.Fatal(err)
		}
		return examined(t, "gpu", append(ctl.Env(), "VK_DRIVER_FILES="+manifest, "VK_ICD_FILENAMES="+manifest, "XDG_CACHE_HOME="+cache)...)
	}
	golden(t, "crash_search", crashing("vkCreateInstance", 1))
	golden(t, "crash_open", crashing("vkCreateDevice", 1))
	for at := 100; at < 110; at++ { // until it is not one that sets up a case
		out := crashing("vkQueueSubmit", at)
		if !strings.Contains(out, "fail: the driver crashed (SIGSEGV), in the conformance run on llvmpipe") || !strings.Contains(out, "square error") {
			t.Fatal(out)
		}
		if !strings.Contains(out, "WRONG: the driver crashed (SIGSEGV)") {
			continue
		}
		read, err := os.ReadFile(filepath.Join(cache, "rwkv-gpu", "unfit.json"))
		if err != nil || strings.Count(string(read), "crashed (SIGSEGV)") != 1 || !strings.Contains(out, "run doctor again") || !strings.Contains(out, "1 way left out") {
			t.Errorf("%v: %s\n%s", err, read, out)
		}
		return
	}
	t.Error("no way crashed")
}
