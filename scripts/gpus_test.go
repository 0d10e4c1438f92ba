package scripts

import (
	"os/exec"
	"strings"
	"testing"
)

// A GPU that the driver does not know is refused in one line before anything is built: the driver itself would crash.
func TestGPUsUnknown(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	for _, names := range [][]string{{"gfx9"}, {"gfx906", "navi99"}} {
		c := exec.Command(sh, append([]string{"gpus.sh"}, names...)...)
		out, err := c.CombinedOutput()
		last := names[len(names)-1]
		if c.ProcessState.ExitCode() != 2 || !strings.HasSuffix(string(out), "got "+last+"\n") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q: %v: %s", names, err, out)
		}
	}
}
