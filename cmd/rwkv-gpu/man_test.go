package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command that help lists has a page with all its flags but hidden ones, which the checker of mandoc accepts.
func TestManual(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "man1")
	var made struct {
		Dir   string `json:"dir"`
		Pages int    `json:"pages"`
	}
	cliJSON(t, &made, "man", dir)
	written, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || made.Dir != dir || made.Pages != len(written) || made.Pages < 20 {
		t.Errorf("%+v: %v, %v", made, written, err)
	}
	a := &app{}
	eachCommand(a.rootCommand(), func(c *cobra.Command) {
		data, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if flag := `\fB\-\-` + strings.ReplaceAll(f.Name, "-", `\-`) + `\fR`; strings.Contains(string(data), flag) == f.Hidden {
				t.Errorf("%s: want --%s unless it is hidden (%t)", c.CommandPath(), f.Name, f.Hidden)
			}
		})
	})
	if r := cli("man", dir); r.status != statusDone || r.stdout != fmt.Sprintf("%d pages in %s\n", made.Pages, dir) {
		t.Error(r) // they are replaced
	}
	wantError(t, cli("man"), statusUsage, "man: DIR: want one folder, got 0 arguments")
	wantError(t, cli("man", filepath.Join(written[0], "x")), statusFailed, "man: DIR: mkdir", "not a directory")
	if _, err := exec.LookPath("mandoc"); err != nil {
		if os.Getenv("RWKV_REQUIRE_SHELLS") == "1" {
			t.Fatal(err)
		}
		t.Skip("mandoc, which checks pages, is not here")
	}
	if out, err := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"}, written...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
