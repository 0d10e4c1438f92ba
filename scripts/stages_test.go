// Package scripts tests the scripts that make runs.
package scripts

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checkout is a folder with the Makefile and the scripts, on a machine where only setup.sh brings drivers, and go only
// tells how it was called.
type checkout struct{ dir string }

// newCheckout has a setup.sh that ends with a status for SwiftShader, whose driver it brings if there is one to bring.
func newCheckout(t *testing.T, status int, brings bool) checkout {
	t.Helper()
	for _, tool := range []string{"make", "sh", "awk", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	c := checkout{t.TempDir()}
	c.write(t, "Makefile", c.read(t, "../Makefile"))
	c.write(t, "scripts/test.sh", c.read(t, "test.sh"))
	c.write(t, "scripts/lib.sh", c.read(t, "lib.sh")+"\ndriver() { cat \"$1\" 2>/dev/null || true; }\n")
	c.write(t, "scripts/setup.sh", fmt.Sprintf(`#!/bin/sh
case $1 in
test) echo lavapipe.json >lavapipe && echo radv.json >radv ;;
swiftshader)
	[ %t = false ] || echo swiftshader.json >swiftshader
	exit %d ;;
display) exit ${DISPLAY_STATUS:-3} ;;
esac
`, brings, status))
	c.write(t, "scripts/axe.sh", "exit 3\n")
	c.write(t, "scripts/with-go.sh", `#!/bin/sh
[ "$2" != list ] || { echo example/gpu && echo example/shaders && exit; }
echo "ran $VK_DRIVER_FILES$RWKV_RADV/$RWKV_DEVICE_TYPE/$LP_NATIVE_VECTOR_WIDTH${MESA_SHADER_CACHE_DIR+ in $MESA_SHADER_CACHE_DIR}${RWKV_POISON+/poison}${GORACE+ and $GORACE}: $*"
[ -z "${RWKV_AXE:-}" ] || echo "axe $RWKV_AXE"
case "$*" in *"$FAIL") exit 1 ;; esac
`)
	return c
}

func (c checkout) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (c checkout) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // scripts are run
		t.Fatal(err)
	}
}

// make returns what make says, whether it succeeds, and how often it got to go test.
func (c checkout) make(t *testing.T, args ...string) (text string, ok bool, runs int) {
	t.Helper()
	cmd := exec.Command("make", args...)
	cmd.Dir = c.dir
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "FAIL" && name != "STAGES" && name != "GORACE" && !strings.HasPrefix(name, "VK_") && !strings.HasPrefix(name, "MESA_") &&
			!strings.HasPrefix(name, "RWKV_") && !strings.HasPrefix(name, "LP_") && !strings.HasPrefix(name, "MAKE") && name != "MFLAGS" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "FAIL=no such call", "XDG_CACHE_HOME=cache")
	for i, a := range args {
		if v, is := strings.CutPrefix(a, "FAIL="); is {
			cmd.Env = append(cmd.Env, "FAIL="+v)
			cmd.Args = append(cmd.Args[:i+1], cmd.Args[i+2:]...)
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err == nil, strings.Count(string(out), "ran ")
}

// On a machine that has nothing yet, every stage runs on the driver that setup.sh has just brought: the first and the
// last alone, the others between them.
func TestStagesOfFreshMachine(t *testing.T) {
	const goTest = ": go test -vet=off -count=1 -timeout=30m -p=N "
	c := newCheckout(t, 0, true)
	text, ok, runs := c.make(t, "test")
	packages := regexp.MustCompile(`-p=([1-9][0-9]*) `)
	var most []int // packages at once, of each run
	for _, n := range packages.FindAllStringSubmatch(text, -1) {
		p, err := strconv.Atoi(n[1])
		if err != nil {
			t.Fatal(err)
		}
		most = append(most, p)
	}
	text = packages.ReplaceAllString(text, "-p=N ")
	first, rest, _ := strings.Cut(text, "test: two at a time: swiftshader gpu gpu4 cpu4 compilers\n")
	side, last, _ := strings.Cut(rest, "test: race: ")
	for _, want := range []struct{ part, text string }{
		{first, "test: stages: lavapipe swiftshader gpu gpu4 cpu4 compilers race\n"},
		{first, "test: lavapipe: every package on lavapipe\nran lavapipe.json//" + goTest + "./...\n"},
		{side, "test: gpu: device packages on lavapipe as on a discrete GPU, subgroups of 8\n" +
			"ran lavapipe.json/discrete/" + goTest + "-short -skip ^Test(RWKVCpp|LlamaCpp)$|/^cpu$|//^cpu$ ./engine "},
		{side, "\nran lavapipe.json/discrete/128 in cache/rwkv-gpu/narrow/poison" + goTest + "-short -skip ^Test(Golden|RWKVCpp|LlamaCpp|ExactInCompany|Lost.*|Reopen.*|ChangedFiles|RecordingsPure)$|/^cpu$|//^cpu$ ./engine "},
		{side, "\nran lavapipe.json//128 in cache/rwkv-gpu/narrow" + goTest + "-short ./engine/vulkan -run "},
		{side, "\nran swiftshader.json//" + goTest + "-short -skip "},
		{side, "\nran radv.json//: go test -vet=off -count=1 ./engine/vulkan/kernel -run ^TestGPUs$\n"},
		{last, "\nran lavapipe.json// and atexit_sleep_ms=100 " + goTest + "-race -short example/gpu\n"},
	} {
		if !strings.Contains(want.part, want.text) {
			t.Errorf("want %q in %q of\n%s", want.text, want.part, text)
		}
	}
	if !ok || runs != 7 {
		t.Errorf("success: %t, %d runs, want 7:\n%s", ok, runs, text)
	}
	if len(most) != 6 || most[0] <= most[1] || !slices.Equal(most, []int{most[0], most[1], most[1], most[1], most[1], most[0]}) {
		t.Errorf("want more packages at once where a stage runs alone, got %v", most)
	}
}

// Each package of engine/vulkan with tests on a device is one of those that the stages of devices run.
func TestStagesOfDevices(t *testing.T) {
	text, err := os.ReadFile("test.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\nvulkan='")
	list, _, _ = strings.Cut(list, "'")
	err = filepath.WalkDir("../engine/vulkan", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		dir := "." + strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "..")
		if bytes.Contains(source, []byte(`/gpu/gputest"`)) && !slices.Contains(strings.Fields(list), dir) {
			t.Errorf("%s is a test on devices: want %s among %q", path, dir, list)
		}
		return err
	})
	if err != nil || list == "" {
		t.Errorf("test.sh names %q (%v)", list, err)
	}
}

// A stage that was promised and cannot run fails the run before it begins; one that the system does not offer is named.
func TestStagesMissing(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		args   []string
		ok     bool
		runs   int
		text   string
	}{
		{"not offered", 3, nil, true, 6, "test: stage swiftshader is not offered on this system: device packages on SwiftShader"},
		{"not installed", 1, nil, false, 0, "test: stage swiftshader cannot run, what it needs is not here (make setup): "},
		{"installed, but not there", 0, nil, false, 0, "test: stage swiftshader cannot run, what it needs is not here (make setup): "},
		{"not asked for", 1, []string{"STAGES=race gpu4"}, true, 2, "test: stages: race gpu4\n"},
		{"no stage", 0, []string{"STAGES=race rice"}, false, 0, "test: no stage rice: there are lavapipe swiftshader gpu gpu4 cpu4 view compilers race\n"},
		{"no display offered", 0, []string{"STAGES=view race"}, true, 1, "test: stage view is not offered on this system: the window and its command on lavapipe"},
		{"a display not installed", 0, []string{"STAGES=view race", "DISPLAY_STATUS=1"}, false, 0, "test: stage view cannot run, what it needs is not here"},
		{"a stage fails", 3, []string{"FAIL= ./..."}, false, 1, "test: lavapipe: "},
		{"a later stage fails", 3, []string{"FAIL=/vulkan/trial"}, false, 5, "test: gpu: "}, // those beside it run, and none behind it
	} {
		t.Run(c.name, func(t *testing.T) {
			text, ok, runs := newCheckout(t, c.status, false).make(t, append([]string{"test"}, c.args...)...)
			if ok != c.ok || runs != c.runs || !strings.Contains(text, c.text) {
				t.Errorf("success: %t, %d runs; want %t, %d, and %q in\n%s", ok, runs, c.ok, c.runs, c.text, text)
			}
		})
	}
}

// The first stage looks at the web page with axe-core where that can be had, and says so where it cannot. A file that is not
// what it should be fails the run before it begins.
func TestStagesAxe(t *testing.T) {
	for script, want := range map[string]struct {
		ok   bool
		runs int
		text string
	}{
		"echo axe.js": {true, 1, "\naxe axe.js\n"},
		"exit 3":      {true, 1, "test: axe-core cannot be had here, for want of npm or of the network: the test of the web page with it is left out\n"},
		"exit 1":      {false, 0, ""},
	} {
		c := newCheckout(t, 3, false)
		c.write(t, "scripts/axe.sh", script+"\n")
		text, ok, runs := c.make(t, "test", "STAGES=lavapipe")
		if ok != want.ok || runs != want.runs || !strings.Contains(text, want.text) || strings.Contains(text, "\naxe ") != (script == "echo axe.js") {
			t.Errorf("%s: success: %t, %d runs; want %t, %d, and %q in\n%s", script, ok, runs, want.ok, want.runs, want.text, text)
		}
	}
}
