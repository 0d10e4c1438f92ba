package vulkan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// shared are the kernels of all tests that need no device of their own.
var shared *Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// kernels returns the shared kernels, or with options those of a device for this test.
func kernels(tb testing.TB, opts ...gpu.DeviceOptions) *Kernels {
	if len(opts) == 0 {
		if dev := gputest.Shared(tb); shared == nil {
			shared = NewKernels(dev)
		}
		return shared
	}
	k := NewKernels(gputest.Device(tb, opts...))
	tb.Cleanup(k.Release)
	return k
}

// numbers skips under the race detector a test of numbers, which runs what others run and nothing besides at the same
// time.
func numbers(t *testing.T) {
	t.Helper()
	if reference.Race {
		t.Skip("compares numbers, and nothing in it is concurrent")
	}
}

// newProber is New for tests, which look into executors.
func newProber(k *Kernels, prog *op.Program, o Options) (*Prober, error) {
	e, err := New(k, prog, o)
	if err != nil {
		return nil, err
	}
	return e.Prober(), nil
}

// execWith returns an executor that the test's end closes.
func execWith(tb testing.TB, k *Kernels, prog *op.Program, o Options) *Prober {
	tb.Helper()
	e, err := newProber(k, prog, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func opener(k *Kernels, product string) optest.Open {
	return openerOf(k, product, profile.Measured)
}

func openerOf(k *Kernels, product string, l profile.Loads) optest.Open {
	return func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		return execWith(tb, k, prog, Options{Sizes: s, Guard: guard, MatMul: product, Loads: l})
	}
}

// Every form of every kernel takes every case, whatever it would be chosen for. In a short run, the kernels that no
// choice leads to load in one way only, and some types are enough for kernels on GPUs, and on a processor for those that
// only GPUs choose: to unpack a type is the same everywhere. The race detector sees one way to load, too, and only what
// is chosen.
func TestOps(t *testing.T) {
	k := kernels(t)
	for _, l := range []profile.Loads{profile.Texels, profile.Buffers} {
		for _, product := range append([]string{""}, form.Products...) {
			if reference.Race && (product != "" || l == profile.Buffers) || product != "" && testing.Short() && l == profile.Texels || ownLoads(product) && l == profile.Texels {
				continue
			}
			t.Run(l.String()+"/"+kernelName(product), func(t *testing.T) {
				offered(t, k, product)
				want := concerns(product, l)
				if product != "" && testing.Short() && (!k.set.Is.CPU || forGPUs(product)) && !ownLoads(product) {
					want = typesOf(want, someTypes(product))
				}
				runForced(t, k, product, l, want)
			})
		}
	}
}

// offered skips the test of a kernel that the device has not what it takes for. matmul_hold is for SwiftShader alone:
// lavapipe takes most of a minute to compile it for one type.
func offered(t *testing.T, k *Kernels, product string) {
	t.Helper()
	if !k.set.Forms().Offers(product) {
		t.Skipf("%s has not what the product needs", k.set.Dev.Info().Name)
	}
}

// runForced tests the cases that want accepts with one kernel, which has to run for a plain type and for a block type,
// if it takes one.
func runForced(t *testing.T, k *Kernels, product string, l profile.Loads, want func(name string) bool) {
	t.Helper()
	wanted, ran := 0, 0
	var plain, block int
	optest.RunIf(t, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		ran++
		e := openerOf(k, product, l)(tb, prog, s, guard).(*Prober)
		tb.Cleanup(func() { // while e is open, and has its batch
			for p, f := range e.running(tb) {
				switch {
				case f.Kernel != product:
				case p.Type.IsBlock():
					block++
				default:
					plain++
				}
			}
		})
		return e
	}, func(name string) bool {
		if !want(name) {
			return false
		}
		wanted++
		return true
	})
	if whole := ran == wanted; whole && product != "" && (plain == 0 && product != form.Shared || block == 0 && product != form.Sparse) {
		t.Errorf("%s ran for %d products of plain types and %d of block types, want some of each", product, plain, block)
	}
}

// choicesOf returns the choices of all steps for a shape.
func choicesOf(e *Prober, s kernel.Shape) (list []kernel.Choice) {
	for _, step := range e.steps {
		list = append(list, step.Choices(s)...)
	}
	return list
}

// running returns the forms that run the products of the executor's batch.
func (e *Prober) running(tb testing.TB) map[*kernel.Product]tune.Form {
	s := shapeOf(&e.batch)
	f, err := e.choose(s)
	if err != nil {
		tb.Error(err)
		return nil
	}
	run := map[*kernel.Product]tune.Form{}
	for i, step := range e.steps {
		for j, c := range step.Choices(s) {
			switch w := c.Work.(type) {
			case *kernel.Dense:
				run[w.Product] = f.chosen[i][j]
			case *kernel.Zeros:
				if f.chosen[i][j].Kernel == form.Sparse {
					run[w.Product] = f.chosen[i][j]
				}
			}
		}
	}
	return run
}

// products returns all units of products, in the program's order.
func (e *Prober) products() (list []*kernel.Product) {
	for _, c := range choicesOf(e, kernel.Shape{Rows: 1, Seqs: 1, Outs: 1}) {
		if d, ok := c.Work.(*kernel.Dense); ok && !slices.Contains(list, d.Product) {
			list = append(list, d.Product)
		}
	}
	return list
}

// kernelName names a forced kernel in tests.
func kernelName(product string) string {
	if product == "" {
		return "auto"
	}
	return product
}

// ownLoads reports whether a kernel loads in a way of its own, whatever the others do.
func ownLoads(product string) bool {
	return product == form.Narrow || product == form.Hold || product == form.Coop
}

// forGPUs reports whether no choice leads to a kernel on a processor.
func forGPUs(product string) bool {
	return slices.Contains([]string{form.Vec, form.Shared, form.Tile, form.Segment, form.SegmentTile}, product)
}

// someTypes picks the cases of one plain type and one block type that a kernel takes.
func someTypes(product string) func(name string) bool {
	block := tensor.Q6_K
	if product == form.Narrow {
		block = tensor.Q4_0
	}
	return func(name string) bool {
		return strings.Contains(name, "/F16/") || strings.Contains(name, "/"+block.String()+"/")
	}
}

// otherHeads are cases of recurrences for each way that heads of a size lie in subgroups and workgroups: the others
// take the same forms where these are what a device chooses.
var otherHeads = regexp.MustCompile(`^WKV(6/(one row|N4|N20|N132|long)|7/(one row|N4|N20|N68|long|one each/.*))$`)

// Weights in the layout that the device would not choose, rows whole as GPUs have them or in bands, give every kernel
// the same products; recurrences hold in the form that it would not choose, too.
func TestOtherShapes(t *testing.T) {
	numbers(t)
	k := kernels(t)
	s, usual := &k.set.Is, k.set.Is
	defer func() { *s = usual }()
	if s.Shared = !s.Shared; s.Band == 1 {
		s.Band = int(s.Local.Reg)
	} else {
		s.Band = 1
	}
	if s.Local.Step == s.Lanes { // a workgroup of one subgroup or of several
		s.Local.Step = 8 * s.Lanes
	} else if s.Local.Step > 0 {
		s.Local.Step = s.Lanes
	}
	recurrences := !s.Shared || k.set.Dev.Info().Features.FullSubgroups
	for _, l := range []profile.Loads{profile.Texels, profile.Buffers} {
		for _, product := range form.Products {
			if l == profile.Texels && ownLoads(product) {
				continue
			}
			everyType := l == profile.Buffers && (product == form.Vec || product == form.Shared || product == form.Tile) && !testing.Short() // each is a compilation
			t.Run(l.String()+"/"+kernelName(product), func(t *testing.T) {
				s.Narrow.Quads = usual.Narrow.Quads && product == form.Hold // for recurrences, they are the device's choice
				offered(t, k, product)
				some := someTypes(product)
				runForced(t, k, product, l, func(name string) bool {
					if strings.HasPrefix(name, "WKV") {
						return product == form.Vec && recurrences && otherHeads.MatchString(name)
					}
					last := name[strings.LastIndex(name, "/")+1:]
					return strings.HasPrefix(name, "MatMul/") && (last == "rows1" || last == "rows33") && (everyType && !useful(name) || some(name))
				})
			})
		}
	}
}

// concerns picks the cases that a choice of kernel changes: without one, all. How many tokens a kernel takes at once,
// how large a product is and how its weights are loaded are other matters than how it unpacks a type. So the numbers
// between one and many, products of a useful size, and all but a few products by texels are for some types only.
func concerns(product string, l profile.Loads) func(name string) bool {
	some := someTypes(product)
	return func(name string) bool {
		parts := strings.Split(name, "/")
		last := parts[len(parts)-1]
		if product == "" {
			return true
		}
		if parts[0] != "MatMul" || product == form.Sparse && last != "rows1" {
			return false
		}
		if _, ok := tensor.ParseType(parts[1]); !ok || some(name) { // a function, or one of these types
			return true
		}
		if useful(name) {
			return false
		}
		if l == profile.Texels {
			return last == "rows1" || last == "rows33"
		}
		return last != "rows2" && last != "rows3"
	}
}

// typesOf accepts of the products of a type that want accepts those that some accepts, too.
func typesOf(want, some func(name string) bool) func(name string) bool {
	return func(name string) bool {
		_, typed := tensor.ParseType(strings.Split(name, "/")[1])
		return want(name) && (!typed || some(name))
	}
}

// useful reports whether a case is a product of a size that a model has.
func useful(name string) bool {
	return strings.Contains(name, "/768x") || strings.Contains(name, "/3072x")
}

// A device that binds little makes every weight fall into pieces. Only weights can: cases whose vectors do not fit are
// left out, as long as some of every op that has matrices remain.
func TestSplitWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("where weights are cut is no matter of the device")
	}
	const limit = 48 << 10
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBufferRange = limit }})
	split := map[string]int{}
	optest.Run(t, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		if p := op.NewPlan(prog, s, guard); 4*max(p.Scratch, p.State) > limit {
			tb.Skip("vectors beyond the binding limit")
		}
		for _, w := range prog.Of(op.Weight) {
			if len(w.Shape) == 2 && w.Source.Type.Bytes(w.Width) > limit {
				split[fmt.Sprintf("%T/%s", prog.Steps[0].Op, w.Source.Type)]++
			}
		}
		return opener(k, "")(tb, prog, s, guard)
	})
	for _, typ := range slices.Concat(tensor.Types, tensor.BlockTypes) {
		for _, name := range []string{"*op.Embed/", "*op.MatMul/"} {
			if n := split[name+typ.String()]; n == 0 {
				t.Errorf("no case of %s%s has a weight in pieces", name, typ)
			}
		}
	}
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16} {
		if split["*op.DeepEmbed/"+typ.String()] == 0 {
			t.Errorf("no case of DeepEmbed of type %s has a table in pieces", typ)
		}
	}
}

func TestGolden(t *testing.T) {
	numbers(t)
	k := kernels(t)
	golden.Run(t, true, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return opener(k, "")(tb, m.Program, s, 0)
	})
}

func TestRWKVCpp(t *testing.T) {
	numbers(t)
	golden.RunRWKVCpp(t, true, func(string) bool { return true }, modelOpener(kernels(t), ""))
}

func TestLlamaCpp(t *testing.T) {
	numbers(t)
	golden.RunLlamaCpp(t, modelOpener(kernels(t), ""))
}

func BenchmarkOps(b *testing.B) { optest.Bench(b, opener(kernels(b), "")) }
