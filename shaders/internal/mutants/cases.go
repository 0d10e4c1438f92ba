package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// compareCase is a model on a device, with what runs there without a mutant.
type compareCase struct {
	device, name string
	args, env    []string
	quant        bool
	kernels      map[string]bool // that it runs; of a quantized model, those alone that no other runs on the device
	took         time.Duration
}

func (c *compareCase) String() string { return c.name + ", " + c.device }

// madeModel is a model of random weights, and the environment of the compare that runs it.
type madeModel struct {
	name, version string
	size          weightstest.Size
	typ           tensor.Type
	args, env     []string // beside the model; for device.go.txt
	devices       []string // all of compared, if there are none
}

// compared are the devices that compare runs on.
var compared = []string{"lavapipe", "gpu", "swiftshader"}

// made are models of every version, of sizes that leave tiles cut and no width a multiple of much.
var made = []madeModel{
	{version: "v4", size: weightstest.Size{Vocab: 301, Embed: 109, Layers: 2, FFN: 230}, typ: tensor.F16},
	{version: "v5.0", size: weightstest.Size{Vocab: 141, Embed: 60, Layers: 2, Head: 20, FFN: 70}, typ: tensor.F32},
	{version: "v5.1", size: weightstest.Size{Vocab: 141, Embed: 96, Layers: 2, Head: 16, FFN: 170}, typ: tensor.BF16},
	{version: "v5.2", size: weightstest.Size{Vocab: 141, Embed: 128, Layers: 2, Head: 64, FFN: 170}, typ: tensor.F16},
	{version: "v6", size: weightstest.Size{Vocab: 141, Embed: 192, Layers: 2, Head: 64, FFN: 275, W: 11, A: 7}, typ: tensor.BF16},
	{version: "v7", size: weightstest.Size{Vocab: 133, Embed: 60, Layers: 3, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16},
	{version: "v7a", size: weightstest.Size{Vocab: 151, Embed: 128, Layers: 2, Head: 64, FFN: 275, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16},
	{version: "v8-rc00", size: weightstest.Size{Vocab: 137, Embed: 108, Layers: 2, Head: 36, FFN: 230, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16},

	// Heads so long that several invocations share a row, cut unevenly.
	{name: "v6, long heads", version: "v6", size: weightstest.Size{Vocab: 141, Embed: 136, Layers: 2, Head: 68, FFN: 275, W: 11, A: 7}, typ: tensor.F16,
		devices: []string{"gpu"}},
	{name: "v7, long heads", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 136, Layers: 2, Head: 68, FFN: 275, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		devices: []string{"gpu"}},
	// The same on a device that begins with the last invocations of a workgroup.
	{name: "v6, backwards", version: "v6", size: weightstest.Size{Vocab: 141, Embed: 136, Layers: 2, Head: 68, FFN: 275, W: 11, A: 7}, typ: tensor.F16,
		env: []string{"RWKV_MUTANT_BACKWARDS=1"}, devices: []string{"gpu"}},
	{name: "v7, backwards", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 136, Layers: 2, Head: 68, FFN: 275, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		env: []string{"RWKV_MUTANT_BACKWARDS=1"}, devices: []string{"gpu"}},
	// Heads with fewer elements than a subgroup has lanes for.
	{name: "v7, short heads", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 60, Layers: 2, Head: 12, FFN: 275, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		devices: []string{"lavapipe", "gpu"}},
	{name: "v7, shorter heads", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 56, Layers: 2, Head: 8, FFN: 275, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		devices: []string{"lavapipe", "gpu"}},
	// Subgroups with less lanes than they have sums.
	{name: "v7, few lanes", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 60, Layers: 2, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		devices: []string{"gpu4"}},
	// Products of one order.
	{name: "v7, exact", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 60, Layers: 2, Head: 20, FFN: 1030, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		args: []string{"--exact"}},
	// Forms that only a measurement would choose.
	{name: "v7, sparse", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 60, Layers: 2, Head: 20, FFN: 1030, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		env: []string{"RWKV_MUTANT_PRODUCTS=sparse"}, devices: []string{"lavapipe", "gpu", "gpu4", "swiftshader"}},
	{name: "v7, chunked", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 60, Layers: 2, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		env: []string{"RWKV_MUTANT_RECURRENCE=chunked"}, devices: []string{"gpu"}},
	// Weights that a device cannot bind whole.
	{name: "v7, in pieces", version: "v7", size: weightstest.Size{Vocab: 4001, Embed: 60, Layers: 2, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		env: []string{"RWKV_MUTANT_BINDS=400000"}},
	{name: "v7a, in pieces", version: "v7a", size: weightstest.Size{Vocab: 1501, Embed: 60, Layers: 2, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, typ: tensor.F16,
		env: []string{"RWKV_MUTANT_BINDS=400000"}},
}

// wide is a model whose rows hold superblocks, whole and cut, for --quant.
var wide = madeModel{name: "wide", version: "v7", size: weightstest.Size{Vocab: 133, Embed: 256, Layers: 2, Head: 64, FFN: 608, W: 32, A: 32, V: 32, G: 64}, typ: tensor.F16}

// write writes the model to a file and returns its path.
func (m *madeModel) write(dir string) (string, error) {
	path := filepath.Join(dir, m.String()+".safetensors")
	return path, os.WriteFile(path, weightstest.Safetensors(weightstest.RWKV(m.version, m.size, m.typ, 1), nil), 0o644)
}

// on returns the devices that the model is compared on.
func (m *madeModel) on() []string {
	if m.devices != nil {
		return m.devices
	}
	return compared
}

func (m *madeModel) String() string { return cmp.Or(m.name, m.version) }

// compareCases runs compare on every device without a mutant: on a model of each version, on quantized ones, and on the
// demo model, as far as they are wanted. The quick cases come first.
func (b *bench) compareCases(only string, jobs int) (list []compareCase, err error) {
	want, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	big, err := wide.write(b.dir)
	if err != nil {
		return nil, err
	}
	for i := range made {
		m := &made[i]
		path, err := m.write(b.dir)
		if err != nil {
			return nil, err
		}
		for _, device := range m.on() {
			list = append(list, compareCase{device: device, name: m.String(), args: append([]string{"--model", path}, m.args...), env: m.env})
		}
	}
	for _, device := range compared {
		list = append(list, compareCase{device: device, name: "demo"})
		for _, typ := range tensor.BlockTypes {
			if name := lower(typ.String()); device != "swiftshader" || typ == tensor.Q5_0 {
				c := compareCase{device: device, name: name, args: []string{"--model", big, "--quant", name}, quant: true}
				list = append(list, c)
				if c.name += ", shared"; device == "gpu" { // as where a row has fewer units than a subgroup has lanes
					c.env = []string{"RWKV_MUTANT_PRODUCTS=shared"}
					list = append(list, c)
				}
			}
		}
	}
	list = slices.DeleteFunc(list, func(c compareCase) bool { return !want.MatchString(c.String()) })
	if err := sideBySide(jobs, len(list), func(i int) error { return b.without(&list[i]) }); err != nil {
		return nil, err
	}
	plain := map[string]map[string]bool{} // kernels, by device
	for i := range list {
		c := &list[i]
		if c.quant {
			continue
		}
		if plain[c.device] == nil {
			plain[c.device] = map[string]bool{}
		}
		maps.Copy(plain[c.device], c.kernels)
	}
	for i := range list {
		if c := &list[i]; c.quant {
			maps.DeleteFunc(c.kernels, func(k string, _ bool) bool { return plain[c.device][k] })
		}
	}
	return list, nil
}

// without runs compare without a mutant, which has to pass, and notes what it runs.
func (b *bench) without(c *compareCase) error {
	start := time.Now()
	r, err := b.report(c, "")
	if err != nil || r.Verdict != "pass" {
		return fmt.Errorf("without a mutant, compare of %s ends with verdict %q (%v)", c, r.Verdict, err) //nolint:errorlint // there may be none
	}
	c.took, c.kernels = time.Since(start), map[string]bool{}
	fmt.Fprintf(os.Stderr, "compare of %s: %.1f s\n", c, c.took.Seconds())
	for _, o := range r.Ops {
		for _, k := range o.Kernels {
			c.kernels[k] = true
		}
	}
	return nil
}
