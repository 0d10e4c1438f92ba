package conform

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

func TestMain(m *testing.M) { gputest.Main(m, func() {}) }

func demoModel(t *testing.T) *model.Model {
	t.Helper()
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// breaker spoils the modules of some shaders as the driver gets them, and counts how often it got them.
type breaker struct {
	modules [][]byte
	met     int
}

// modules returns the compiled variants of a shader.
func modules(t *testing.T, pattern string) (list [][]byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../../shaders/spv", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no module is called %s (%v)", pattern, err)
	}
	for _, path := range paths {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, code)
	}
	return list
}

func (b *breaker) rewrite(code []byte, _ [3]int) []byte {
	if !slices.ContainsFunc(b.modules, func(m []byte) bool { return bytes.Equal(m, code) }) {
		return code
	}
	b.met++
	c, err := spirv.Decode(code)
	if err != nil {
		panic(err) // the project's own module
	}
	const fAdd, fSub = 129, 131
	for i := range c.Instructions {
		if c.Instructions[i].Op == fAdd {
			c.Instructions[i].Op = fSub
		}
	}
	return c.Encode()
}

// on returns the kernels of a device whose driver gets spoiled modules.
func (b *breaker) on(t *testing.T) *vulkan.Kernels {
	t.Helper()
	k := vulkan.NewKernels(gputest.Device(t, gpu.DeviceOptions{Rewrite: b.rewrite,
		FeatureOverride: func(f *gpu.Features) { f.UniformFlow = false }})) // so that modules are as they are in the folder
	t.Cleanup(k.Release)
	return k
}

// judgedBy judges the ops of a program on a device that loads in a way.
func judgedBy(t *testing.T, k *vulkan.Kernels, prog *op.Program, loads profile.Loads) *Report {
	t.Helper()
	r, err := vulkanBy(t.Context(), k, loads, Options{Program: prog})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// All is right on the processor and on a device, for every op of the model, and so nothing is unfit.
func TestRight(t *testing.T) {
	m := demoModel(t)
	check := func(t *testing.T, r *Report, err error) {
		t.Helper()
		if err != nil || !r.OK() || len(r.Lost) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, name := range []string{"Embed", "LayerNorm", "ShiftMix", "ShiftCommit", "MatMul", "WKV7"} {
			if !slices.ContainsFunc(r.Results, func(x Result) bool { return x.Op == name && x.Cases > 0 }) {
				t.Errorf("op %s did not run", name)
			}
		}
	}
	t.Run("cpu", func(t *testing.T) {
		r, err := CPU(t.Context(), Options{Program: m.Program, Threads: 2})
		check(t, r, err)
	})
	t.Run("vulkan", func(t *testing.T) {
		var b breaker
		k := b.on(t)
		last, all := 0, 0
		r, err := Vulkan(t.Context(), k, Options{Program: m.Program, Progress: func(done, of int) { last, all = done, of }})
		check(t, r, err)
		if ways, _ := k.Unfit().All(); len(ways) > 0 || last != all || all == 0 {
			t.Errorf("unfit %q, %d of %d cases", ways, last, all)
		}
		forms := 0
		for _, x := range r.Results {
			if x.Op == "MatMul" && x.Form != "" {
				forms++
			}
		}
		if forms < 2 {
			t.Errorf("want products in several forms, got %+v", r.Results)
		}
	})
}

// only returns the program of a model without other ops than some.
func only(m *model.Model, names ...string) *op.Program {
	prog := *m.Program
	prog.Steps = slices.DeleteFunc(slices.Clone(prog.Steps), func(s op.Step) bool { return !slices.Contains(names, opcase.NameOf(s.Op)) })
	return &prog
}

// A form that gives wrong results is left out, and another stands in. With what is kept of that, a later process does
// not even make its kernel; with another driver it is judged anew.
func TestBrokenForm(t *testing.T) {
	prog := only(demoModel(t), "WKV7")
	b := breaker{modules: modules(t, "wkv7_step.*")}
	step := Result{Op: "WKV7", Form: kernel.Stepwise}
	find := func(r *Report) int {
		return slices.IndexFunc(r.Results, func(x Result) bool { return x.Op == step.Op && x.Form == step.Form })
	}
	k := b.on(t)
	r := judgedBy(t, k, prog, profile.Buffers) // the same way in each process: what is unfit is known of one way to load
	i := find(r)
	if i < 0 {
		t.Skipf("%s has no form of one step", gputest.Device(t).Info().Name)
	}
	if b.met == 0 || len(r.Lost) > 0 {
		t.Fatalf("lost %q, %d spoiled modules, %+v", r.Lost, b.met, r.Results)
	}
	serial := 0
	for j, x := range r.Results {
		if x.OK == (i == j) || x.OK != (x.Fault == "") {
			t.Errorf("%+v", x)
		}
		if x.Form == kernel.Serial {
			serial = x.Cases
		}
	}
	ways, why := k.Unfit().All()
	if len(ways) != 1 || !strings.HasPrefix(ways[0], "WKV7 step (") || !strings.Contains(why[ways[0]], "WKV7/one") {
		t.Errorf("unfit: %q", why)
	}
	if r.Results[i].Cases != 1 || serial < 11 {
		t.Errorf("want the wrong form to run once, and all cases in its place, got %+v", r.Results)
	}

	path := filepath.Join(t.TempDir(), "unfit.json")
	if err := k.Unfit().Write(path, "device", "driver 1", nil); err != nil {
		t.Fatal(err)
	}
	again := func(driver string) (*Report, int) {
		known, err := unfit.Read(path, "device", driver)
		if err != nil {
			t.Fatal(err)
		}
		b.met = 0
		k := b.on(t)
		k.Avoid(known)
		return judgedBy(t, k, prog, profile.Buffers), b.met
	}
	if r, met := again("driver 1"); !r.OK() || met != 0 || len(r.Lost) > 0 || find(r) >= 0 {
		t.Errorf("a later process: lost %q, made spoiled modules %d times, %+v", r.Lost, met, r.Results)
	}
	if r, met := again("driver 2"); r.OK() || met == 0 {
		t.Errorf("another driver begins with nothing known: %d, %+v", met, r.Results)
	}
}

// Where an op has one form, the other way to load is tried; where that is wrong too, the device as a whole is unfit.
func TestBrokenOp(t *testing.T) {
	prog := only(demoModel(t), "LayerNorm")
	module := map[profile.Loads]string{profile.Buffers: "layer_norm.buf.spv", profile.Texels: "layer_norm.tx.spv"}
	for _, spoiled := range []profile.Loads{profile.Buffers, profile.Texels} {
		one := breaker{modules: modules(t, module[spoiled])}
		k := one.on(t)
		r := judgedBy(t, k, prog, spoiled)
		if known := k.Unfit(); len(r.Lost) > 0 || known.Has(unfit.Whole) || !known.Has(unfit.Loading(spoiled.String())) || r.Loads != spoiled.Other().String() || one.met == 0 {
			ways, _ := known.All()
			t.Errorf("%s: lost %q, loads %s, unfit %q", spoiled, r.Lost, r.Loads, ways)
		}
		if now, err := k.Loads(nil); err != nil || now != spoiled.Other() {
			t.Errorf("want the other way to load, got %s (%v)", now, err)
		}
	}
	both := breaker{modules: modules(t, "layer_norm.*.spv")}
	k := both.on(t)
	r := judgedBy(t, k, prog, profile.Buffers)
	if !slices.Equal(r.Lost, []string{"LayerNorm"}) || !k.Unfit().Has(unfit.Whole) || k.Unfit().Has(unfit.Loading(profile.Buffers.String())) {
		t.Errorf("both: %+v", r)
	}
}
