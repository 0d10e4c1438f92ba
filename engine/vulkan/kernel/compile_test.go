package kernel

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// compiled are kernels with what a driver's compiler said of them.
type compiled struct {
	what  string // the kernel is made for that is made now
	usual bool
	order []*compiledKernel
}

// compiledKernel is one of them, by the name of its shader's form, followed by what it is made for.
type compiledKernel struct {
	name, shader string
	usual        bool // not only tried by the tuner
	gpu.Statistics
}

// add takes what the driver says.
func (c *compiled) add(s gpu.Statistics) {
	name := strings.TrimSpace(s.Kernel + " " + c.what)
	shader, _, _ := strings.Cut(s.Kernel, ".")
	c.order = append(c.order, &compiledKernel{name: name, shader: shader, usual: c.usual, Statistics: s})
}

// The sizes that kernels are made for: heads of the published models and of what others trained, weights of those that
// are most used, units of few rows and of many.
var (
	compiledHeads = []int{64, 128}
	compiledTypes = []tensor.Type{tensor.F16, tensor.Q8_0, tensor.Q4_K, tensor.Q6_K}
	compiledRows  = []int{768, 4096}
)

// all makes every kernel that the engine could choose on a device, with either way to load: where a form is usual for
// one product and tried for another, it counts as usual.
func (c *compiled) all(k *Set) error {
	for _, texel := range []bool{false, true} {
		for _, typ := range compiledTypes {
			if err := c.products(k, typ, texel); err != nil {
				return err
			}
		}
		if err := c.others(k, texel); err != nil {
			return err
		}
	}
	return c.view(k.Dev)
}

// view makes the kernels of the window's picture.
func (c *compiled) view(dev *gpu.Device) error {
	c.what, c.usual = "", true
	largest, err1 := shaders.NewViewLargest(dev, shaders.ViewLargestOnly, shaders.ViewLargestSpec{})
	state, err2 := shaders.NewViewState(dev, shaders.ViewStateOnly, shaders.ViewStateSpec{})
	keys, err3 := shaders.NewViewKeys(dev, shaders.ViewKeysOnly, shaders.ViewKeysSpec{})
	quads, err4 := shaders.NewViewQuads(dev, shaders.ViewQuadsOnly, shaders.ViewQuadsSpec{})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	largest.Release()
	state.Release()
	keys.Release()
	quads.Release()
	return nil
}

// products makes the kernels of products with weights of a type.
func (c *compiled) products(k *Set, typ tensor.Type, texel bool) error {
	s, w := k.forms, layout.Stored{Type: typ, Band: k.Is.Band}
	forms := map[tune.Form]bool{} // and whether it is usual
	var order []tune.Form
	for _, rows := range compiledRows {
		u := slabOf(typ, [2]int{rows, rows})
		for _, n := range []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 512} {
			lists := [][]tune.Form{s.Candidates(u, n), s.Exact(u, n)}
			if n > form.FewTokens {
				lists = append(lists, s.Halves(u, n))
			}
			for _, list := range lists {
				for i, f := range list {
					usual, seen := forms[f]
					if !seen {
						order = append(order, f)
					}
					forms[f] = usual || i == 0
				}
			}
		}
	}
	if !typ.IsBlock() {
		order = append(order, s.Sparse()...)
	}
	for _, f := range order {
		if (f.Kernel == form.Coop || f.Kernel == form.Half || f.Kernel == form.HalfWide) && texel {
			continue
		}
		w := w
		if f.Kernel == form.Segment || f.Kernel == form.SegmentTile {
			w.Band = s.BandOf(true)
		}
		if err := c.make(f.String(), forms[f], func() error { return makeForm(k, w, texel, f) }); err != nil {
			return err
		}
	}
	return c.make("", true, func() error {
		_, err := k.embed(typ, texel)
		if err == nil && !typ.IsBlock() {
			_, err = k.deepEmbed(typ, texel)
		}
		if err == nil && !typ.IsBlock() {
			_, err = k.matMulPanels(w)
		}
		return err
	})
}

// slabOf returns a slab of matrices of so many rows and columns.
func slabOf(typ tensor.Type, matrices ...[2]int) *layout.Slab {
	u := &layout.Slab{Stored: layout.Stored{Type: typ, Band: 1}}
	for _, m := range matrices {
		w := &op.Operand{Shape: m[:], Source: tensor.New("w", typ, m[:], nil)}
		u.Parts = append(u.Parts, layout.Part{Part: &op.Part{W: w}, Rows: m[0]})
		u.Rows += m[0]
	}
	return u
}

// makeForm makes the kernel of a product's form.
func makeForm(k *Set, w layout.Stored, texel bool, f tune.Form) (err error) {
	switch f.Kernel {
	case form.Vec, form.Shared:
		_, err = k.matMulVec(w, texel, f)
	case form.Reg:
		_, err = k.matMulReg(w, texel, f)
	case form.Bcast:
		_, err = k.matMulBcast(w, texel, f)
	case form.Tile, form.SegmentTile:
		_, err = k.matMulTile(w, texel, f.Kernel)
	case form.Segment:
		_, err = k.matMulSegment(w, texel, f)
	case form.Coop, form.Half, form.HalfWide:
		_, err = k.matMulCoop(w, f)
	case form.Sparse:
		_, err = k.matMulSparse(w.Type, texel, f)
	default:
		err = fmt.Errorf("no GPU runs form %s", f)
	}
	return err
}

// others makes the kernels of all ops but products, the recurrences for every head size.
func (c *compiled) others(k *Set, texel bool) error {
	err := c.make("", true, func() error {
		for _, inPlace := range []bool{false, true} {
			if _, err := k.shiftMix(texel, inPlace, true); err != nil {
				return err
			}
		}
		return first(func() error { _, err := k.layerNorm(texel); return err },
			func() error { _, err := k.wkv4(texel); return err },
			func() error { _, err := k.wkv6Norm(texel); return err },
			func() error { _, err := k.wkv7Norm(texel); return err },
			func() error { _, err := k.shiftCommit(); return err },
			func() error { _, err := k.SampleAdjust(); return err },
			func() error { _, err := k.SampleDraw(texel); return err })
	})
	for _, n := range compiledHeads {
		if err != nil {
			return err
		}
		err = c.make(fmt.Sprintf("N=%d", n), true, func() error {
			return first(func() error { _, err := k.wkv6(n, texel); return err },
				func() error { _, err := k.wkv7(n, texel); return err },
				func() error {
					if !k.heads.TakesStep(n) {
						return nil
					}
					_, err := k.wkv7Step(n, texel)
					return err
				})
		})
		if err == nil && n <= glsl.ChunkHead && k.Dev.Info().Limits.SharedMemory >= chunkMemory {
			err = c.make(fmt.Sprintf("N=%d", n), false, func() error {
				return first(func() error { _, err := k.wkv7Chunk(n, texel); return err },
					func() error { _, err := k.wkv7Scan(n, texel); return err })
			})
		}
	}
	return err
}

// first returns the first error of functions called in order.
func first(list ...func() error) error {
	for _, f := range list {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// make names what the kernels of f are made for.
func (c *compiled) make(what string, usual bool, f func() error) error {
	c.what, c.usual = what, usual
	return f()
}

// figures are the names that drivers give a figure, the first that there is counts; what several stand for is their
// sum.
var figures = []struct {
	title string
	names [][]string
}{
	{"registers", [][]string{{"VGPRs"}, {"Max live registers"}, {"Number of GPRs"}, {"GPRs"}, {"Registers used"}}},
	{"spills", [][]string{{"Spilled VGPRs", "Spilled SGPRs"}, {"Spills"}, {"Spills to memory"}, {"STP Count"}}},
	{"scratch", [][]string{{"Scratch size"}, {"Scratch Memory Size"}, {"SLM size"}, {"Scratch"}}},
	{"shared", [][]string{{"LDS size"}, {"Workgroup Memory Size"}}},
	{"occupancy", [][]string{{"Subgroups per SIMD"}, {"Max warps/SM"}, {"Max Waves Per Core"}, {"Threads"}}},
	{"cycles", [][]string{{"Latency"}, {"Cycles"}, {"Static cycle count"}}},
	{"busy", [][]string{{"Inverse Throughput"}}}, // cycles
	{"code", [][]string{{"Code size"}}},
}

// figure returns one of them by its title, and whether the driver has it.
func (k *compiledKernel) figure(title string) (sum float64, ok bool) {
	for _, f := range figures {
		for _, names := range f.names {
			for _, name := range names {
				if v, has := k.Values[name]; has && f.title == title {
					sum, ok = sum+v, true
				}
			}
			if ok {
				return sum, true
			}
		}
	}
	return 0, false
}

// spilled returns how many registers the kernel spills; a driver that does not say is taken by its scratch memory,
// since no kernel has an array that needs any.
func (k *compiledKernel) spilled() float64 {
	if n, ok := k.figure("spills"); ok {
		return n
	}
	n, _ := k.figure("scratch")
	return n
}

// print writes the table, and below it what spills.
func (c *compiled) print(info gpu.Info) {
	fmt.Printf("\n# %s, %s: subgroups of %d (%d to %d)\n", info.Name, info.Driver, info.Subgroup.Size, info.Subgroup.Min, info.Subgroup.Max)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "kernel\trun\tsubgroup")
	for _, f := range figures {
		fmt.Fprint(w, "\t", f.title)
	}
	fmt.Fprintln(w, "\tms")
	for _, k := range c.order {
		run := "tuner"
		if k.usual {
			run = "usual"
		}
		fmt.Fprintf(w, "%s\t%s\t%d", k.name, run, k.Subgroup)
		for _, f := range figures {
			cell := "-"
			if v, ok := k.figure(f.title); ok {
				cell = fmt.Sprintf("%.0f", v)
			}
			fmt.Fprint(w, "\t", cell)
		}
		fmt.Fprintf(w, "\t%.0f\n", float64(k.Took)/float64(time.Millisecond))
	}
	_ = w.Flush() // to standard output
	for _, k := range c.order {
		if n := k.spilled(); n > 0 {
			fmt.Printf("spills: %s: %.0f\n", k.name, n)
		}
	}
}
