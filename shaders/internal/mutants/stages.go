package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A stage is some tests of one package on one driver, as "vulkan REGEXP" or "swiftshader REGEXP": both of package
// engine/vulkan, on lavapipe and on SwiftShader.
type stage string

// own are the stages that should see the mutants of a file, by the beginning of its name. The first that fits counts.
var own = []struct {
	file   string
	stages []stage
}{
	{"embed", []stage{"vulkan TestOps/.*/auto/Embed"}},
	{"layer_norm", []stage{"vulkan TestOps/.*/auto/LayerNorm"}},
	{"shift_mix", []stage{"vulkan TestOps/.*/auto/ShiftMix"}},
	{"shift_commit", []stage{"vulkan TestOps/.*/auto/ShiftCommit"}},
	{"deep_embed", []stage{"vulkan TestOps/.*/auto/DeepEmbed"}},
	{"bench_", []stage{"vulkan TestLimits", "vulkan TestBenchKernels"}},
	{"lib/reduce", []stage{"vulkan TestOps/.*/auto/(LayerNorm|ShiftMix|Embed/F16)"}},
	{"lib/chunk", []stage{"vulkan TestChunked$"}},
	{"lib/draw", []stage{"vulkan TestDraw"}},
	{"lib/quad", []stage{"swiftshader TestOps/.*/auto/WKV"}},
	{"sample_", []stage{"vulkan TestDraw"}},
	{"wkv4", []stage{"vulkan TestOps/.*/auto/WKV4"}},
	{"wkv6_narrow", []stage{"swiftshader TestOps/.*/auto/WKV6"}},
	{"wkv6", []stage{"vulkan TestOps/.*/auto/WKV6"}},
	{"wkv7_narrow", []stage{"swiftshader TestOps/.*/auto/WKV7"}},
	{"wkv7_chunk", []stage{"vulkan TestChunked$"}},
	{"wkv7_scan", []stage{"vulkan TestChunked$"}},
	{"wkv7.comp", []stage{"vulkan TestOtherShapes/.*/vec/WKV7"}},
	{"wkv7", []stage{"vulkan TestOps/.*/auto/WKV7"}},
	{"matmul_panels", []stage{"vulkan TestOps/.*/sparse/MatMul", "vulkan TestSparse"}},
	{"matmul_sparse", []stage{"vulkan TestOps/.*/sparse/MatMul", "vulkan TestSparse"}},
	{"matmul_narrow", []stage{"swiftshader TestOps/.*/narrow/MatMul"}},
	{"matmul_hold", []stage{"swiftshader TestOps/.*/hold/MatMul"}},
	{"matmul_", []stage{"vulkan TestOps/.*/KERNEL/MatMul"}},
}

// rest is what mutants that their own stages leave alive meet next: everything that runs on a device, the cheap first.
var rest = []stage{
	"vulkan TestOther|TestChunked$|TestSparse|TestDraw|TestEnded|TestLimits|TestCandidatesAlike|TestCoop",
	"vulkan TestOps|TestProperties",
	"vulkan TestGolden|TestRWKVCpp|TestLlamaCpp|TestFormats|TestSplitWeights",
	"swiftshader .",
}

// stagesOf returns the stages of a mutant in the order in which they are tried.
func stagesOf(m *mutant) []stage {
	var list []stage
	if m.Test != "" {
		list = append(list, stage(m.Test))
	} else {
		for _, o := range own {
			if strings.HasPrefix(m.File, o.file) {
				for _, s := range o.stages {
					kernel := strings.TrimSuffix(strings.TrimPrefix(m.File, "matmul_"), ".comp")
					list = append(list, stage(strings.ReplaceAll(string(s), "KERNEL", kernel)))
				}
				break
			}
		}
	}
	return append(list, rest...)
}

// bench is where mutants run.
type bench struct {
	src     *sources
	dir     string            // of the binaries
	drivers map[string]string // manifests, by name
	before  map[stage]outcome // without a mutant
}

// outcome is how a stage ended.
type outcome struct {
	failed string // the test, or what happened; "" if all passed
	ran    bool   // a test did, and not only its skip
	took   time.Duration
	output []byte
}

// drivers are the names of the stages and of their drivers in scripts/lib.sh.
var driverOf = map[string]string{"vulkan": "lavapipe", "swiftshader": "swiftshader"}

func newBench(src *sources, dir string) (*bench, error) {
	b := &bench{src: src, dir: dir, drivers: map[string]string{}, before: map[stage]outcome{}}
	for name, driver := range driverOf {
		cmd := exec.Command("scripts/driver.sh", driver)
		cmd.Dir = src.root
		out, err := cmd.Output()
		path := strings.TrimSpace(string(out))
		if err != nil || path == "" {
			return nil, fmt.Errorf("no %s here (%v)", driver, err)
		}
		b.drivers[name] = path
	}
	return b, b.build()
}

// build makes the binaries, which read what a mutant changes from a folder: so they are built once.
func (b *bench) build() error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	overlay := filepath.Join(b.dir, "overlay.json")
	text := fmt.Sprintf("{\"Replace\": {%q: %q}}\n", filepath.Join(b.src.root, "shaders", "zmutant.go"),
		filepath.Join(b.src.root, "shaders", "internal", "mutants", "replace.go.txt"))
	if err := os.WriteFile(overlay, []byte(text), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"test", "-c", "-overlay", overlay, "-o", filepath.Join(b.dir, "vulkan.test"), "./engine/vulkan"},
		{"build", "-overlay", overlay, "-buildvcs=false", "-o", filepath.Join(b.dir, "rwkv-gpu"), "./cmd/rwkv-gpu"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = b.src.root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// environment is that of the tests: strict, on one driver, with the modules in a folder, and caches of their own.
func (b *bench) environment(driver, modules string) []string {
	manifest := b.drivers[driver]
	return append(os.Environ(), "VK_DRIVER_FILES="+manifest, "VK_ICD_FILENAMES="+manifest, "RWKV_MUTANT="+modules,
		"XDG_CACHE_HOME="+filepath.Join(b.dir, "cache"), "RWKV_REQUIRE_GPU=1", "RWKV_REQUIRE_VALIDATION=1",
		"VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT")
}

// try runs a stage with the modules in a folder, or with "" as they are.
func (b *bench) try(s stage, modules string) outcome {
	driver, run, _ := strings.Cut(string(s), " ")
	limit := 15 * time.Minute
	if before, ok := b.before[s]; ok { // a mutant may never end
		limit = time.Minute + 5*before.took
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "vulkan.test"), "-test.v", "-test.short", "-test.failfast", "-test.run", run)
	cmd.Dir = filepath.Join(b.src.root, "engine", "vulkan")
	cmd.Env = b.environment(driver, modules)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	o := outcome{took: time.Since(start), output: out, ran: ran(out)}
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		o.failed = "never ends"
	default:
		o.failed = cmp.Or(failure(out), "crash")
	}
	return o
}

var verdicts = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)

// failure returns the first of the tests that failed, without those that only hold it.
func failure(out []byte) string {
	best := ""
	for _, m := range verdicts.FindAllSubmatch(out, -1) {
		if name := string(m[2]); string(m[1]) == "FAIL" && strings.Count(name, "/") >= strings.Count(best, "/")+min(len(best), 1) {
			best = name
		}
	}
	if best == "" && bytes.Contains(out, []byte("panic:")) {
		return "panic"
	}
	return best
}

// ran tells whether any test did more than skip, or hold what did.
func ran(out []byte) bool {
	var passed, skipped []string
	for _, m := range verdicts.FindAllSubmatch(out, -1) {
		if string(m[1]) == "SKIP" {
			skipped = append(skipped, string(m[2]))
		} else {
			passed = append(passed, string(m[2]))
		}
	}
	return slices.ContainsFunc(passed, func(name string) bool {
		return !slices.ContainsFunc(skipped, func(s string) bool { return strings.HasPrefix(s, name+"/") })
	})
}

// baseline runs a stage without a mutant, once.
func (b *bench) baseline(s stage) (outcome, error) {
	if o, ok := b.before[s]; ok {
		return o, nil
	}
	o := b.try(s, "")
	if o.failed != "" {
		return o, fmt.Errorf("without a mutant, %s fails: %s\n%s", s, o.failed, tail(o.output))
	}
	b.before[s] = o
	return o, nil
}

func tail(out []byte) []byte { return out[max(len(out)-2000, 0):] }
