package gputest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// Faulty runs the test again, in a process of its own that uses the loader of faultvk and has env besides. There it
// returns the control, here nil, when that process is done.
func Faulty(t *testing.T, env ...string) *faultvk.Control {
	t.Helper()
	if !IsFaulty() {
		out, err := FaultyProcess(t, faultvk.New(t), env...).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		} else if !strings.Contains(string(out), "PASS") {
			t.Errorf("the test did not run: %s", out)
		}
		return nil
	}
	c, err := faultvk.Open()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// IsFaulty reports whether this is a process that FaultyProcess made.
func IsFaulty() bool { return os.Getenv(faultyEnv) != "" }

const faultyEnv = "RWKV_TEST_FAULTS"

// FaultyProcess returns the test as a process that uses the control's loader and has env besides.
func FaultyProcess(t *testing.T, ctl *faultvk.Control, env ...string) *exec.Cmd {
	t.Helper()
	Instance(t)
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=20m", // within what the whole test may take
		fmt.Sprintf("-test.short=%t", testing.Short()))
	cmd.Env = append(append(append(os.Environ(), ctl.Env()...), faultyEnv+"=1"), env...)
	return cmd
}
