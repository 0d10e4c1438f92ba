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
	"sync"
	"time"
)

// A stage is some tests of engine/vulkan on one driver, as "DRIVER REGEXP", without long cases but for "DRIVER long
// REGEXP"; or of engine/roofline, as "DRIVER roofline REGEXP"; or of view/paint, as "DRIVER paint REGEXP".
type stage string

// device is what a stage's driver stands for, as scripts/test.sh has it.
type device struct {
	driver string // of scripts/lib.sh
	env    []string
}

var devices = map[string]device{
	"lavapipe":    {driver: "lavapipe"},
	"gpu":         {"lavapipe", []string{"RWKV_DEVICE_TYPE=discrete"}},
	"gpu4":        {"lavapipe", []string{"RWKV_DEVICE_TYPE=discrete", "LP_NATIVE_VECTOR_WIDTH=128"}},
	"swiftshader": {driver: "swiftshader"},
}

// folders are those of the packages whose tests are stages, by their last name.
var folders = map[string]string{"vulkan": "engine/vulkan", "roofline": "engine/roofline", "paint": "view/paint"}

// own are the stages that should see the mutants of a file, by the beginning of its name. The first that fits counts.
var own = []struct {
	file   string
	stages []stage
}{
	{"embed", []stage{"lavapipe TestOps/.*/auto/Embed", "lavapipe long TestSplitWeights"}},
	{"layer_norm", []stage{"lavapipe TestOps/.*/auto/LayerNorm"}},
	{"shift_mix", []stage{"lavapipe TestOps/.*/auto/ShiftMix"}},
	{"shift_commit", []stage{"lavapipe TestOps/.*/auto/ShiftCommit"}},
	{"deep_embed", []stage{"lavapipe TestOps/.*/auto/DeepEmbed", "lavapipe long TestSplitWeights"}},
	{"bench_", []stage{"lavapipe roofline TestBenchKernels"}},
	{"view_", []stage{"lavapipe paint Test"}},
	{"lib/reduce", []stage{"gpu TestOps/.*/auto/(LayerNorm|ShiftMix|Embed/F16)", "gpu4 TestOps/.*/auto/(LayerNorm|ShiftMix|Embed/F16)"}},
	{"lib/chunk", []stage{"lavapipe TestChunked$"}},
	{"lib/heads", []stage{"gpu TestOps/.*/auto/WKV[67]"}},
	{"lib/draw", []stage{"lavapipe TestDraw"}},
	{"lib/quad", []stage{"swiftshader TestOps/.*/auto/WKV"}},
	{"sample_", []stage{"lavapipe TestDraw", "gpu TestDraw"}},
	{"wkv4", []stage{"lavapipe TestOps/.*/auto/WKV4"}},
	{"wkv6_narrow", []stage{"swiftshader TestOps/.*/auto/WKV6"}},
	{"wkv6", []stage{"lavapipe TestOps/.*/auto/WKV6", "gpu TestOps/.*/auto/WKV6"}},
	{"wkv7_narrow", []stage{"swiftshader TestOps/.*/auto/WKV7"}},
	{"wkv7_chunk", []stage{"lavapipe TestChunked$"}},
	{"wkv7_scan", []stage{"lavapipe TestChunked$"}},
	{"wkv7.comp", []stage{"gpu TestOps/.*/auto/WKV7"}},
	{"wkv7", []stage{"lavapipe TestOps/.*/auto/WKV7"}},
	{"matmul_panels", []stage{"lavapipe TestOps/.*/sparse/MatMul", "lavapipe TestSparse"}},
	{"matmul_sparse", []stage{"lavapipe TestOps/.*/sparse/MatMul", "lavapipe TestSparse"}},
	{"matmul_narrow", []stage{"swiftshader TestOps/.*/narrow/MatMul"}},
	{"matmul_hold", []stage{"swiftshader TestOps/.*/hold/MatMul"}},
	{"matmul_", []stage{"lavapipe TestOps/.*/KERNEL/MatMul"}},
}

// rest is what mutants that their own stages leave alive meet next: everything that runs on a device, the cheap first.
var rest = []stage{
	"lavapipe TestOther|TestChunked$|TestSparse|TestDraw|TestEnded|TestLimits|TestCandidatesAlike|TestCoop",
	"gpu TestOps|TestOther",
	"gpu4 TestOps|TestSparse|TestDraw",
	"lavapipe TestOps|TestProperties",
	"lavapipe long TestSplitWeights|TestGolden|TestRWKVCpp|TestLlamaCpp|TestFormats",
	"swiftshader Test(Ops|Other|Backwards|Chunked|Sparse|Draw|Ended|Limits|Coop|Properties|Exact|Golden|RWKVCpp|LlamaCpp|Formats)",
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
	src       *sources
	dir       string            // of the binaries
	manifests map[string]string // by driver
	mu        sync.Mutex
	before    map[stage]outcome // without a mutant
}

// outcome is how a stage ended.
type outcome struct {
	failed string // the test, or what happened; "" if all passed
	ran    bool   // a test did, and not only its skip
	took   time.Duration
	output []byte
}

func newBench(src *sources, dir string) (*bench, error) {
	b := &bench{src: src, dir: dir, manifests: map[string]string{}, before: map[stage]outcome{}}
	for _, d := range devices {
		cmd := exec.Command("scripts/driver.sh", d.driver)
		cmd.Dir = src.root
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("scripts/driver.sh %s: %w", d.driver, err)
		}
		if b.manifests[d.driver] = strings.TrimSpace(string(out)); b.manifests[d.driver] == "" {
			return nil, fmt.Errorf("no %s here", d.driver)
		}
	}
	if err := b.build(); err != nil {
		return nil, err
	}
	return b, nil
}

// build makes the binaries, which read what a mutant changes from a folder: so they are built once.
func (b *bench) build() error {
	overlay, err := b.src.overlay(b.dir)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"test", "-c", "-overlay", overlay, "-o", filepath.Join(b.dir, "vulkan.test"), "./" + folders["vulkan"]},
		{"test", "-c", "-overlay", overlay, "-o", filepath.Join(b.dir, "roofline.test"), "./" + folders["roofline"]},
		{"test", "-c", "-overlay", overlay, "-o", filepath.Join(b.dir, "paint.test"), "./" + folders["paint"]},
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

// environment is that of the tests: strict, on one device, with the modules in a folder, and caches of their own.
func (b *bench) environment(name, modules string) []string {
	d := devices[name]
	env := append(os.Environ(), "VK_DRIVER_FILES="+b.manifests[d.driver], "VK_ICD_FILENAMES="+b.manifests[d.driver],
		"RWKV_MUTANT="+modules, "RWKV_WAIT_LIMIT=300", "XDG_CACHE_HOME="+filepath.Join(b.dir, "cache-"+name), "RWKV_REQUIRE_GPU=1", "RWKV_REQUIRE_VALIDATION=1",
		"VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT",
		"VK_LAYER_VALIDATE_SYNC=1", "VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1")
	return append(env, d.env...)
}

// try runs a stage with the modules in a folder, or with "" as they are, for as long as a limit allows.
func (b *bench) try(s stage, modules string, limit time.Duration) outcome {
	driver, run, _ := strings.Cut(string(s), " ")
	run, long := strings.CutPrefix(run, "long ")
	tests := "vulkan"
	if first, rest, _ := strings.Cut(run, " "); folders[first] != "" {
		run, tests = rest, first
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, tests+".test"), "-test.v", "-test.failfast", "-test.run", run, fmt.Sprintf("-test.short=%t", !long))
	cmd.Dir = filepath.Join(b.src.root, folders[tests])
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

// ran reports whether any test did more than skip, or hold what did.
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
	b.mu.Lock()
	defer b.mu.Unlock()
	if o, ok := b.before[s]; ok {
		return o, nil
	}
	o := b.try(s, "", 15*time.Minute)
	if o.failed != "" {
		return o, fmt.Errorf("without a mutant, %s fails: %s\n%s", s, o.failed, tail(o.output))
	}
	b.before[s] = o
	return o, nil
}

func tail(out []byte) []byte { return out[max(len(out)-2000, 0):] }
