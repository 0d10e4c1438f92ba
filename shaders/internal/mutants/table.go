package main

import (
	"fmt"
	"io"
	"strings"
)

func lower(s string) string { return strings.ToLower(s) }

const tableHead = `# Mutants of the shaders

Written by ` + "`make mutants`" + ` (shaders/internal/mutants); not by hand. Each line is one mistake in one place of a shader, and the test
that fails with it. In brackets stands a device other than lavapipe: gpu is lavapipe with a GPU's kernels, whose workgroups are of
several subgroups, gpu4 the same with subgroups of 4. Most barriers that are left out show there alone. Where TestBackwards is
named, or compare on a device that is backwards, they show only if invocations are numbered from the last on, since drivers here
run the first ones first. Those of matmul_coop run where lavapipe has cooperative matrices, as in Mesa 26.2.
`

// table writes what became of the mutants as Markdown.
func table(w io.Writer, list []result) {
	counts := map[verdict]int{}
	var chosen, failed, right, rounded int
	compared := false
	for i := range list {
		r := &list[i]
		counts[r.Verdict]++
		c := r.Compare
		if r.Round {
			rounded++
		}
		if c == nil || !c.Chosen || r.Verdict == equal || r.Round {
			continue
		}
		compared = true
		chosen++
		if c.Failed {
			failed++
		}
		if c.Right {
			right++
		}
	}
	fmt.Fprint(w, tableHead+"\n")
	ran := counts[caught] + counts[survived]
	fmt.Fprintf(w, "- %d mutants: %d caught by a test, %d survived, %d argued equivalent, %d not run (no driver here has what the kernel needs).\n",
		len(list), counts[caught], counts[survived], counts[equal], counts[notRun])
	if n := counts[unknown]; n > 0 {
		fmt.Fprintf(w, "- %d not tried: the table is of a run that was ended.\n", n)
	}
	fmt.Fprintf(w, "- Caught, of those that a run can tell from the original: %s.\n", share(counts[caught], ran))
	if compared {
		fmt.Fprintf(w, "- `rwkv-gpu compare` meets %d of these, in kernels that a driver or its tuner chooses for the demo model or for a small one of any version: "+
			"it fails on %s, and names an op that runs such a kernel on %s. It is not asked of %d that change how sums round and nothing else.\n",
			chosen, share(failed, chosen), share(right, chosen), rounded)
	}
	fmt.Fprint(w, "\n| mutant | was | is | breaks | verdict | by |")
	if compared {
		fmt.Fprint(w, " compare |")
	}
	fmt.Fprint(w, "\n|---|---|---|---|---|---|")
	if compared {
		fmt.Fprint(w, "---|")
	}
	fmt.Fprintln(w)
	for i := range list {
		r := &list[i]
		by := r.By
		if r.Verdict == equal {
			by = r.Equal
		}
		was, is := difference(r.Old, r.New)
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |", r.name, code(was), code(is), r.Why, r.Verdict, cell(by))
		if compared {
			fmt.Fprintf(w, " %s |", cell(compareCell(r)))
		}
		fmt.Fprintln(w)
	}
}

func compareCell(r *result) string {
	if r.Round {
		return "rounding alone"
	}
	return r.Compare.String()
}

func share(n, of int) string {
	if of == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d (%.1f %%)", n, of, 100*float64(n)/float64(of))
}

// difference returns the lines of two texts that differ.
func difference(was, is string) (string, string) {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return strings.Join(a, " "), strings.Join(b, " ")
}

// code is a cell with a text of a shader.
func code(s string) string {
	if s = strings.Join(strings.Fields(s), " "); s == "" {
		return "nothing"
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
