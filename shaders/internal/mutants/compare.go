package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// compareCase is a model on a driver, with what runs there without a mutant.
type compareCase struct {
	driver, name string
	args         []string
	kernels      map[string]bool
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
	chosen bool // a model runs a kernel with it
	failed bool
	op     string // that was named
	right  bool   // that op runs a kernel with it
	on     string // the case that failed
}

func (c comparison) String() string {
	switch {
	case !c.chosen:
		return "–"
	case !c.failed:
		return "passes"
	case c.right:
		return c.op + " (" + c.on + ")"
	}
	return "wrong op: " + c.op + " (" + c.on + ")"
}

// made are models of every version, of sizes that leave tiles cut and no width a multiple of much.
var made = []struct {
	version string
	size    weightstest.Size
	typ     tensor.Type
}{
	{"v4", weightstest.Size{Vocab: 301, Embed: 108, Layers: 2, FFN: 230}, tensor.F16},
	{"v5.0", weightstest.Size{Vocab: 141, Embed: 60, Layers: 2, Head: 20, FFN: 70}, tensor.F32},
	{"v5.1", weightstest.Size{Vocab: 141, Embed: 96, Layers: 2, Head: 16, FFN: 170}, tensor.BF16},
	{"v5.2", weightstest.Size{Vocab: 141, Embed: 128, Layers: 2, Head: 64, FFN: 170}, tensor.F16},
	{"v6", weightstest.Size{Vocab: 141, Embed: 192, Layers: 2, Head: 64, FFN: 275, W: 11, A: 7}, tensor.BF16},
	{"v7", weightstest.Size{Vocab: 133, Embed: 60, Layers: 3, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, tensor.F16},
	{"v7a", weightstest.Size{Vocab: 151, Embed: 128, Layers: 2, Head: 64, FFN: 275, W: 5, A: 9, V: 3, G: 17}, tensor.F16},
}

// compareCases runs compare on every driver without a mutant: on the demo model, as stored and quantized, and on a model of
// each version.
func (b *bench) compareCases() (list []compareCase, err error) {
	for _, driver := range []string{"lavapipe", "gpu", "gpu4", "swiftshader"} {
		list = append(list, compareCase{driver: driver, name: "demo"})
		for _, m := range made {
			path := filepath.Join(b.dir, m.version+".safetensors")
			if err := os.WriteFile(path, weightstest.Safetensors(weightstest.RWKV(m.version, m.size, m.typ, 1), nil), 0o644); err != nil {
				return nil, err
			}
			list = append(list, compareCase{driver: driver, name: m.version, args: []string{"--model", path}})
		}
		for _, typ := range tensor.BlockTypes {
			list = append(list, compareCase{driver: driver, name: "demo " + lower(typ.String()), args: []string{"--quant", lower(typ.String())}})
		}
	}
	for i := range list {
		c := &list[i]
		start := time.Now()
		r, err := b.report(c, "")
		if err != nil || r.Verdict != "pass" {
			return nil, fmt.Errorf("without a mutant, compare of %s on %s: %+v, %w", c.name, c.driver, r, err)
		}
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
	cmd.Env = b.environment(c.driver, modules)
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
func (b *bench) compare(cases []compareCase, m *result, modules string) (c comparison) {
	meets := func(list []string) bool {
		return slices.ContainsFunc(list, func(k string) bool { return slices.Contains(m.variants, k) })
	}
	for i := range cases {
		if !meets(sorted(cases[i].kernels)) {
			continue
		}
		c.chosen = true
		r, err := b.report(&cases[i], modules)
		if err == nil && r.Verdict == "pass" {
			continue
		}
		c.failed, c.on, c.op = true, cases[i].name+", "+cases[i].driver, "none"
		if err != nil {
			c.op = err.Error()
		} else if r.FirstBad != nil {
			c.op = *r.FirstBad
			for _, o := range r.Ops {
				c.right = c.right || o.Op == c.op && meets(o.Kernels)
			}
		}
		return c
	}
	return c
}
