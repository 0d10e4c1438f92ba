//go:build unix

package tune

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What lies in the place of the tuning file and is none costs a notice: a pipe that nobody writes, a folder, a file
// without end or of any size. What was found then takes the place of what can be replaced.
func TestTuningFileOfOtherKinds(t *testing.T) {
	dir := t.TempDir()
	pipe, folder, large, zero := filepath.Join(dir, "pipe"), filepath.Join(dir, "folder"), filepath.Join(dir, "large"), filepath.Join(dir, "zero")
	for _, err := range []error{syscall.Mkfifo(pipe, 0o600), os.Mkdir(folder, 0o700), os.WriteFile(large, nil, 0o600), os.Truncate(large, 1<<40),
		os.Symlink("/dev/zero", zero)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{pipe: "special file", folder: "got a directory", large: "want at most 16777216 bytes, got 1099511627776", zero: "special file"} {
		var told []string
		tuner := New(path, false, func(line string) { told = append(told, line) })
		if len(told) != 1 || !strings.HasPrefix(told[0], "tuning file ignored: ") || !strings.Contains(told[0], want) {
			t.Errorf("%s: %q", path, told)
		}
		tuner.kept.found["x"] = found{Form: Form{Kernel: "vec"}}
		tuner.keep()
		again := New(path, false, func(line string) { told = append(told, line) })
		if path != folder && (len(told) != 1 || again.kept.found["x"].Kernel != "vec") {
			t.Errorf("%s: not kept: %q", path, told)
		}
		if path == folder && len(told) != 3 { // it can be neither replaced nor read
			t.Errorf("%s: %q", path, told)
		}
	}
}
