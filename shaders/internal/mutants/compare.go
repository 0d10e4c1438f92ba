package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

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

// report runs compare with the modules in a folder. Tuning is off: it leaves out forms that are wrong, and what is
// asked is whether compare sees that they are.
func (b *bench) report(c *compareCase, modules string) (*report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(2*time.Minute, 10*c.took))
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "rwkv-gpu"), append([]string{"compare", "--json", "--quiet", "--tuning", "off", "--device", "gpu"}, c.args...)...)
	cmd.Env = append(b.environment(c.device, modules), c.env...)
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
func (b *bench) compare(cases []compareCase, m *result) *comparison {
	c := new(comparison)
	for i := range cases {
		if !m.in(sorted(cases[i].kernels)) {
			continue
		}
		c.Chosen = true
		r, err := b.report(&cases[i], m.made.dir)
		if err == nil && r.Verdict == "pass" {
			continue
		}
		c.Failed, c.On, c.Op = true, cases[i].String(), "none"
		if err != nil {
			c.Op = err.Error()
		} else if r.FirstBad != nil {
			c.Op = *r.FirstBad
			for _, o := range r.Ops {
				c.Right = c.Right || o.Op == c.Op && m.in(o.Kernels)
			}
		}
		return c
	}
	return c
}

// in reports whether any of some kernels has the mutant. Panels are made before a pass runs: the kernel that reads them
// has it.
func (r *result) in(kernels []string) bool {
	return slices.ContainsFunc(r.made.variants, func(v string) bool {
		if strings.HasPrefix(v, "matmul_panels.") {
			return slices.ContainsFunc(kernels, func(k string) bool { return strings.HasPrefix(k, "matmul_sparse.") })
		}
		return slices.Contains(kernels, v)
	})
}
