package doctor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

var update = flag.Bool("update", false, "write testdata")

// childEnv makes the test binary examine the device that it names, and print the report.
const childEnv = "RWKV_TEST_DOCTOR"

func TestMain(m *testing.M) {
	if list := os.Getenv(actEnv); list != "" {
		act(list)
	}
	if spec := os.Getenv(childEnv); spec != "" {
		if err := examineHere(spec); err != nil {
			fmt.Fprintln(os.Stderr, ownErrors+err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// examineHere tells of an examination for the embedded model on a device, on a machine with nothing else to it.
func examineHere(spec string) error {
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		return err
	}
	m, err := model.New(f)
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	open := func() (*device.Device, error) {
		d, err := device.Open(spec, nil)
		if err == nil && !d.IsCPU() {
			d.Tuner = tune.New("", true, nil)
			d.Tuner.Budget = 0
		}
		return d, err
	}
	var told error
	_, err = Examine(context.Background(), Options{Device: spec, Open: open, Model: m, Version: "test",
		Machine: Machine{Root: filepath.Join(cache, "nothing"), Getenv: os.Getenv, CacheDir: cache},
		Tell:    func(x *Event) { told = errors.Join(told, x.Write(os.Stdout)) }})
	return errors.Join(err, told)
}

// driver returns the manifest of a driver on this machine, or skips the test.
func driver(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command("sh", "scripts/driver.sh", name)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSpace(string(out))
	if path == "" && os.Getenv("RWKV_REQUIRE_GPU") == "1" && name == "lavapipe" {
		t.Fatalf("required: %s", name)
	}
	if path == "" {
		t.Skipf("this machine has no %s", name)
	}
	return path
}

// examined returns the report of a process of its own, with a cache of its own unless env has one.
func examined(t *testing.T, spec string, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+spec, "XDG_CACHE_HOME="+t.TempDir(), "RWKV_DEVICE_TYPE=", "RWKV_CPU=", "LP_NATIVE_VECTOR_WIDTH=",
		"RWKV_POISON=", "RWKV_WAIT_LIMIT=300")
	const mesa = "MESA_SHADER_CACHE_DIR" // what Mesa compiled before stays
	if user, err := os.UserCacheDir(); err == nil && os.Getenv(mesa) == "" {
		cmd.Env = append(cmd.Env, mesa+"="+user)
	}
	cmd.Env = append(cmd.Env, env...)
	var cache string
	for _, v := range cmd.Env { // the last counts
		if dir, ok := strings.CutPrefix(v, "XDG_CACHE_HOME="); ok {
			cache = dir
		}
	}
	r, log, err := Watch{Device: spec, Patience: time.Hour, Errors: ownErrors, Trouble: onDevice,
		Progress: func(int, int) {}, Slow: func(string, time.Duration) {},
		LeaveOut: func(device, driver, way, why string) error {
			known := &unfit.Known{}
			known.Add(way, why)
			return known.Write(filepath.Join(cache, "rwkv-gpu", "unfit.json"), device, driver, nil)
		}}.Run(t.Context(), cmd)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return r.String()
}

// What changes from machine to machine: figures, the processor and how wide its vectors are, the version of the loader,
// and the features of a version of a driver, of which whether it tells free memory is one.
var (
	figures  = regexp.MustCompile(`-?\d+(\.\d+)*(e[-+]?\d+)?`)
	volatile = regexp.MustCompile(`(?m)^(program|processor|loader|drivers|speed|kept) .*\n`)
	featured = regexp.MustCompile(`(?ms)^(uses|lacks) .*?\n(limits|speed|model) `)
	blanks   = regexp.MustCompile(` {2,}`)
	units    = regexp.MustCompile(`N (B|KiB|MiB|GiB)`)
	counts   = regexp.MustCompile(`N (form|case)\b`)
	free     = regexp.MustCompile(`, N bytes free|note: the device does not say how much memory is free\n`)
	narrow   = regexp.MustCompile(`note: [^\n]* uses half of each vector that the processor has\n[^\n]*\n`)
)

// masked returns a report without them.
func masked(text string) string {
	text = volatile.ReplaceAllString(text, "")
	text = featured.ReplaceAllString(text, "$2 ")
	text = figures.ReplaceAllString(text, "N")
	text = units.ReplaceAllString(blanks.ReplaceAllString(text, "  "), "N bytes")
	return narrow.ReplaceAllString(free.ReplaceAllString(counts.ReplaceAllString(text, "N ${1}s"), ""), "")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got = masked(got)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: want\n%s\ngot\n%s", path, want, got)
	}
}

// Each machine gets its verdict: software devices, none at all, a driver that stands for a GPU that is not there, of two
// families, and the processor.
func TestVerdicts(t *testing.T) {
	with := func(manifest string) []string {
		return []string{"VK_DRIVER_FILES=" + manifest, "VK_ICD_FILENAMES=" + manifest}
	}
	missing := []string{"RWKV_VULKAN_LOADER=" + filepath.Join(t.TempDir(), "nobody", "libvulkan.so.1")}
	t.Run("lavapipe", func(t *testing.T) {
		golden(t, "lavapipe", examined(t, "gpu", with(driver(t, "lavapipe"))...))
	})
	t.Run("swiftshader", func(t *testing.T) {
		golden(t, "swiftshader", examined(t, "gpu", with(driver(t, "swiftshader"))...))
	})
	t.Run("no loader", func(t *testing.T) { golden(t, "no_loader", examined(t, "auto", missing...)) })
	t.Run("no loader for a GPU", func(t *testing.T) { golden(t, "no_loader_gpu", examined(t, "gpu", missing...)) })
	t.Run("no driver", func(t *testing.T) {
		golden(t, "no_driver", examined(t, "auto", with(filepath.Join(t.TempDir(), "none.json"))...))
	})
	for _, family := range []string{"vega20", "navi21"} {
		t.Run(family, func(t *testing.T) {
			golden(t, family, examined(t, "gpu", append(with(driver(t, "radv")), "RADV_FORCE_FAMILY="+family)...))
		})
	}
	t.Run("cpu", func(t *testing.T) { golden(t, "cpu", examined(t, "cpu", missing...)) })
}

// A GPU that an earlier run found to be wrong is no reason for the verdict ok, although the CPU runs in its place.
func TestRefused(t *testing.T) {
	manifest, cache := driver(t, "lavapipe"), t.TempDir()
	env := []string{"VK_DRIVER_FILES=" + manifest, "VK_ICD_FILENAMES=" + manifest, "RWKV_DEVICE_TYPE=discrete", "XDG_CACHE_HOME=" + cache}
	for _, v := range env[:3] {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	infos, err := device.List()
	if err != nil {
		t.Fatal(err)
	}
	known := &unfit.Known{}
	known.Add(unfit.Whole, unfit.NoneLeft("LayerNorm"))
	for _, in := range infos {
		if err := known.Write(filepath.Join(cache, "rwkv-gpu", "unfit.json"), in.Name, in.Driver, nil); err != nil {
			t.Fatal(err)
		}
	}
	out := examined(t, "auto", env...)
	for _, want := range []string{"cannot be used, so the CPU runs", "doctor --retune", "verdict: warn"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}
