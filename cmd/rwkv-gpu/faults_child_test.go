package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// faultCase is a run in the process whose calls fail.
type faultCase struct {
	Args  []string
	Fault faultvk.Fault // none: the answer has the trace
}

type faultAnswer struct {
	hostileAnswer
	State  []byte // file that was written
	Left   string // other files that were left
	Report faultvk.Report
	Trace  []faultvk.Call
}

func (r *faultAnswer) String() string {
	return fmt.Sprintf("status %d\nstdout: %.300q\nstderr: %q\n%d bytes of state, left: %s %+v", r.Status, r.Stdout, r.Stderr, len(r.State), r.Left, r.Report)
}

// wrong says what is wrong with the run of a fault, beside one without.
func (r *faultAnswer) wrong(plain *faultAnswer, varies bool) string {
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	switch {
	case r.Report.Live != "" || r.Report.Strange != 0:
		return "something was left, or destroyed twice"
	case r.Left != "":
		return "files were left"
	case r.Status == statusDone && (r.Stdout != plain.Stdout && !varies || !bytes.Equal(r.State, plain.State)):
		return "another result"
	case r.Status == statusDone:
		return ""
	case !r.Report.Fired:
		return "an error without a fault"
	case r.Status != statusDevice:
		return "the status is not that of device trouble"
	case len(r.State) > 0 || !strings.HasPrefix(plain.Stdout, strings.TrimSuffix(r.Stdout, "\n")):
		return "a result in spite of the error"
	case !strings.HasPrefix(last, "rwkv-gpu: ") || strings.Count("\n"+r.Stderr, "\nrwkv-gpu: ") != 1:
		return "no line of error, or more than one"
	case strings.Contains(last, "%!") || strings.Contains(last, "internal error"):
		return "not an error for people"
	}
	return ""
}

// faultChildEnv holds the folder with what a run without faults left in the caches.
const faultChildEnv = "RWKV_TEST_FAULT_CHILD"

// faultTime is how long a run may take, on a busy machine too.
const faultTime = 5 * time.Minute

// faultChild is the process.
type faultChild struct {
	cmd     *exec.Cmd
	in      *json.Encoder
	answers chan faultAnswer
	stderr  bytes.Buffer
}

// startFaults starts a process of the test that runs cases, one after the other.
func startFaults(t *testing.T, ctl *faultvk.Control) *faultChild {
	t.Helper()
	c := &faultChild{cmd: exec.Command(os.Args[0], "-test.run=^TestFaults$", "-test.timeout=0"), answers: make(chan faultAnswer)}
	c.cmd.Env = append(append(os.Environ(), ctl.Env()...), faultChildEnv+"="+t.TempDir())
	c.cmd.Dir = t.TempDir()
	c.cmd.Stderr = &c.stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.in = json.NewEncoder(in)
	go func() {
		defer close(c.answers)
		for d := json.NewDecoder(out); ; {
			var r faultAnswer
			if d.Decode(&r) != nil {
				return
			}
			c.answers <- r
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // the process ends with its input, and takes its folders with it
		late := time.AfterFunc(faultTime, func() { _ = c.cmd.Process.Kill() })
		defer late.Stop()
		for range c.answers { // what comes after an answer that nobody waited for
		}
		if err := c.cmd.Wait(); err != nil && !t.Failed() { // as of the race detector
			t.Errorf("the process with the faults: %v: %s", err, &c.stderr)
		}
	})
	return c
}

func (c *faultChild) run(t *testing.T, x faultCase) faultAnswer {
	t.Helper()
	if err := c.in.Encode(x); err != nil {
		t.Fatalf("%+v: %v: %s", x, err, &c.stderr)
	}
	select {
	case r, ok := <-c.answers:
		if !ok {
			_ = c.cmd.Wait() // so that what it said is complete
			t.Fatalf("%+v: the process died: %s", x, &c.stderr)
		}
		return r
	case <-time.After(faultTime):
		t.Fatalf("%+v: no end after %s", x, faultTime)
	}
	panic("unreachable")
}

// phaseWriter keeps what is written, and marks the calls that follow.
type phaseWriter struct {
	bytes.Buffer
	ctl   *faultvk.Control
	marks map[string]byte // by what a text contains
}

func (w *phaseWriter) Write(text []byte) (int, error) {
	for mark, phase := range w.marks {
		if bytes.Contains(text, []byte(mark)) {
			if err := w.ctl.Phase(phase); err != nil {
				return 0, err
			}
		}
	}
	return w.Buffer.Write(text)
}

// runFaults runs the cases that come on standard input.
func runFaults(t *testing.T) {
	ctl, err := faultvk.Open()
	if err != nil {
		t.Fatal(err)
	}
	warm := os.Getenv(faultChildEnv)
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var c faultCase
		if err := in.Decode(&c); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		r, err := runFault(ctl, c, warm)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
}

// runFault runs a case with a cache of its own, which holds the kernels that a run without a fault compiled, but no
// tuning.
func runFault(ctl *faultvk.Control, c faultCase, warm string) (r faultAnswer, err error) {
	cache, err := os.MkdirTemp("", "faults")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(cache) }()
	dir := filepath.Join(cache, "rwkv-gpu")
	if err := os.CopyFS(dir, os.DirFS(warm)); err != nil {
		return r, err
	}
	if err := os.Setenv("XDG_CACHE_HOME", cache); err != nil {
		return r, err
	}
	if err := ctl.Begin(c.Fault); err != nil {
		return r, err
	}
	stdout := &phaseWriter{ctl: ctl, marks: map[string]byte{}}
	if c.Args[0] == "generate" {
		stdout.marks[""] = phaseDecode
	}
	stderr := &phaseWriter{ctl: ctl, marks: map[string]byte{"running on": phasePrefill, "comparing": phasePrefill, "measuring at": phasePrefill, "measuring the": phaseTune, "prompt: ": phaseClose}}
	r.Status = run(context.Background(), c.Args, strings.NewReader(""), stdout, stderr)
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	if r.Report, err = ctl.Report(); err != nil {
		return r, err
	}
	if r.State, err = os.ReadFile("state"); err == nil {
		err = os.Remove("state")
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		return r, err
	}
	for _, pattern := range []string{filepath.Join(dir, "*.tmp"), filepath.Join(dir, "tuning-*"), "*", ".[^.]*"} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			return r, err
		}
		r.Left += strings.Join(left, " ")
	}
	if c.Fault.At > 0 {
		return r, nil
	}
	if r.Trace, err = ctl.Trace(); err != nil {
		return r, err
	}
	_ = os.Remove(filepath.Join(dir, "tuning.json")) // there may be none
	if err := os.RemoveAll(warm); err != nil {
		return r, err
	}
	return r, os.CopyFS(warm, os.DirFS(dir))
}
