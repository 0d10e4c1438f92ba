package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	args         []string
	kernels      map[string]bool // that it runs
	took         time.Duration
}

// report is what compare prints, as far as it counts here.
type report struct {
	Verdict  string  `json:"verdict"`
	FirstBad *string `json:"first_bad"`
	Ops      []struct {
		Op      string   `json:"op"`
		Kernels []string `json:"kernels"`
	} `json:"ops"`
}

// comparison is what compare makes of a mutant.
type comparison struct {
	Chosen bool   `json:"chosen"` // a model runs a kernel with it
	Failed bool   `json:"failed"`
	Op     string `json:"op"`    // that was named
	Right  bool   `json:"right"` // that op runs a kernel with it
	On     string `json:"on"`    // the case that failed
}

func (c *comparison) String() string {
	switch {
	case c == nil || !c.Chosen:
		return "–"
	case !c.Failed:
		return "passes"
	case c.Right:
		return c.Op + " (" + c.On + ")"
	}
	return "wrong op: " + c.Op + " (" + c.On + ")"
}

// made are models of every version, of sizes that leave tiles cut and no width a multiple of much.
var made = []madeModel{
	{"v4", weightstest.Size{Vocab: 301, Embed: 108, Layers: 2, FFN: 230}, tensor.F16},
	{"v5.0", weightstest.Size{Vocab: 141, Embed: 60, Layers: 2, Head: 20, FFN: 70}, tensor.F32},
	{"v5.1", weightstest.Size{Vocab: 141, Embed: 96, Layers: 2, Head: 16, FFN: 170}, tensor.BF16},
	{"v5.2", weightstest.Size{Vocab: 141, Embed: 128, Layers: 2, Head: 64, FFN: 170}, tensor.F16},
	{"v6", weightstest.Size{Vocab: 141, Embed: 192, Layers: 2, Head: 64, FFN: 275, W: 11, A: 7}, tensor.BF16},
	{"v7", weightstest.Size{Vocab: 133, Embed: 60, Layers: 3, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, tensor.F16},
	{"v7a", weightstest.Size{Vocab: 151, Embed: 128, Layers: 2, Head: 64, FFN: 275, W: 5, A: 9, V: 3, G: 17}, tensor.F16},
}

// wide is a model whose rows hold superblocks, whole and cut, for --quant.
var wide = madeModel{"v7", weightstest.Size{Vocab: 133, Embed: 256, Layers: 2, Head: 64, FFN: 608, W: 32, A: 32, V: 32, G: 64}, tensor.F16}

type madeModel struct {
	version string
	size    weightstest.Size
	typ     tensor.Type
}

// write writes the model to a file and returns its path.
func (m *madeModel) write(dir, name string) (string, error) {
	path := filepath.Join(dir, name+".safetensors")
	return path, os.WriteFile(path, weightstest.Safetensors(weightstest.RWKV(m.version, m.size, m.typ, 1), nil), 0o644)
}

// compareCases runs compare on every device without a mutant: on a model of each version, on quantized ones, and on the demo
// model, as far as they are wanted. The quick cases come first.
func (b *bench) compareCases(only string) (list []compareCase, err error) {
	want, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	big, err := wide.write(b.dir, "wide")
	if err != nil {
		return nil, err
	}
	for _, device := range []string{"lavapipe", "gpu", "swiftshader"} {
		for i := range made {
			path, err := made[i].write(b.dir, made[i].version)
			if err != nil {
				return nil, err
			}
			list = append(list, compareCase{device: device, name: made[i].version, args: []string{"--model", path}})
		}
		for _, typ := range tensor.BlockTypes {
			if name := lower(typ.String()); device != "swiftshader" || typ == tensor.Q5_0 {
				list = append(list, compareCase{device: device, name: name, args: []string{"--model", big, "--quant", name}})
			}
		}
		list = append(list, compareCase{device: device, name: "demo"})
	}
	list = slices.DeleteFunc(list, func(c compareCase) bool { return !want.MatchString(c.name + ", " + c.device) })
	for i := range list {
		c := &list[i]
		start := time.Now()
		r, err := b.report(c, "")
		if err != nil || r.Verdict != "pass" {
			return nil, fmt.Errorf("without a mutant, compare of %s on %s ends with verdict %q (%v)", c.name, c.device, r.Verdict, err) //nolint:errorlint // there may be none
		}
		fmt.Fprintf(os.Stderr, "compare of %s on %s: %.1f s\n", c.name, c.device, time.Since(start).Seconds())
		c.took, c.kernels = time.Since(start), map[string]bool{}
		for _, o := range r.Ops {
			for _, k := range o.Kernels {
				c.kernels[k] = true
			}
		}
	}
	return list, nil
}

// report runs compare with the modules in a folder. Tuning is off: it leaves out forms that are wrong, and what is asked is
// whether compare sees that they are.
func (b *bench) report(c *compareCase, modules string) (*report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(2*time.Minute, 10*c.took))
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "rwkv-gpu"), append([]string{"compare", "--json", "--quiet", "--tuning", "off", "--device", "gpu"}, c.args...)...)
	cmd.Env = b.environment(c.device, modules)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && len(out) > 0 {
		err = nil
	}
	r := new(report)
	if err == nil {
		err = json.Unmarshal(out, r)
	}
	return r, err
}

// compare runs compare on a mutant in every case that meets it, until one fails.
func (b *bench) compare(cases []compareCase, m *result, modules string) *comparison {
	c := new(comparison)
	meets := func(list []string) bool {
		return slices.ContainsFunc(list, func(k string) bool { return slices.Contains(m.variants, k) })
	}
	for i := range cases {
		if !meets(sorted(cases[i].kernels)) {
			continue
		}
		c.Chosen = true
		r, err := b.report(&cases[i], modules)
		if err == nil && r.Verdict == "pass" {
			continue
		}
		c.Failed, c.On, c.Op = true, cases[i].name+", "+cases[i].device, "none"
		if err != nil {
			c.Op = err.Error()
		} else if r.FirstBad != nil {
			c.Op = *r.FirstBad
			for _, o := range r.Ops {
				c.Right = c.Right || o.Op == c.Op && meets(o.Kernels)
			}
		}
		return c
	}
	return c
}
