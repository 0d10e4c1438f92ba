package doctor

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

// String renders the report for a terminal, the verdict last.
func (r *Report) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", what, fmt.Sprintf(format, args...)) // to memory
	}
	line("program", "rwkv-gpu %s on %s", r.Version, r.Processor.System)
	line("processor", "kernels %s of %s, %s", r.Processor.Level, strings.Join(r.Processor.Levels, " "), words.Plural(r.Processor.Threads, "thread"))
	r.loaderLines(line)
	r.deviceLines(line)
	r.memoryLine(line)
	r.opLines(line)
	r.keptLine(line)
	_ = w.Flush() // to memory
	r.findings(&b)
	return b.String()
}

func (r *Report) loaderLines(line func(what, format string, args ...any)) {
	if !r.Loader.Found {
		line("loader", "none")
	} else {
		line("loader", "%s, Vulkan %s", r.Loader.Name, r.Loader.Version)
	}
	names := strings.Join(r.Loader.Manifests, " ")
	if names == "" {
		names = "none"
	}
	if r.Loader.Restricted != "" {
		names += " (chosen by " + r.Loader.Restricted + ")"
	}
	line("drivers", "%s", names)
	for _, in := range r.Devices {
		line(fmt.Sprintf("device %d", in.Index), "%s, %s, %s, Vulkan %s, driver %s", in.Name, in.Type, words.Size(in.MemoryBytes), in.API, in.Driver)
	}
}

func (r *Report) deviceLines(line func(what, format string, args ...any)) {
	chosen := r.Chosen
	if chosen == "" {
		chosen = "none"
	}
	line("chosen", "%s: %s", chosen, r.Why)
	for _, has := range []bool{true, false} {
		what := map[bool]string{true: "uses", false: "lacks"}[has]
		for _, f := range r.Features {
			if f.Has == has {
				line(what, "%s: %s", f.Name, f.Consequence)
				what = ""
			}
		}
	}
	what := "limits"
	for _, l := range r.Limits.Device {
		if !l.OK {
			line(what, "%s: %d of %d: %s", l.Name, l.Value, l.Wanted, l.Consequence)
			what = ""
		}
	}
	if what != "" && len(r.Limits.Device) > 0 {
		line(what, "allow all that kernels and the model want")
	}
	if r.Limits.Read > 0 {
		line("speed", "reads %.1f GB/s, multiplies and adds %.0f GFLOPS", r.Limits.Read, r.Limits.Flops)
	}
}

func (r *Report) memoryLine(line func(what, format string, args ...any)) {
	m := r.Memory
	switch {
	case m.Needed == 0:
		line("model", "%s", m.Model)
	case !m.Known:
		line("model", "%s needs %s", m.Model, words.Size(uint64(m.Needed)))
	default:
		line("model", "%s needs %s, %s free", m.Model, words.Size(uint64(m.Needed)), words.Size(uint64(m.Free)))
	}
}

// opLines has a line for each op, with the worst of its right forms, and one for each wrong form.
func (r *Report) opLines(line func(what, format string, args ...any)) {
	what := "ops"
	say := func(format string, args ...any) {
		line(what, format, args...)
		what = ""
	}
	var ops []string
	for i := range r.Ops {
		if !slices.Contains(ops, r.Ops[i].Op) {
			ops = append(ops, r.Ops[i].Op)
		}
	}
	for _, name := range ops {
		var right, cases int
		worst := 0.0
		var wrong []conform.Result
		for _, o := range r.Ops {
			switch {
			case o.Op != name:
			case o.OK:
				right, cases, worst = right+1, cases+o.Cases, max(worst, o.NMSE)
			default:
				wrong = append(wrong, o)
			}
		}
		if right > 0 {
			say("%s: right in %s and %s, square error %.1g at most", name, words.Plural(right, "form"), words.Plural(cases, "case"), worst)
		}
		for _, o := range wrong {
			say("%s: WRONG: %s", strings.Join(strings.Fields(strings.Join([]string{o.Op, o.Type, o.Form, o.Loads}, " ")), " "), o.Fault)
		}
	}
	for _, u := range r.Unfit {
		if !u.New {
			say("left out since an earlier run: %s: %s", u.Way, u.Why)
		}
	}
}

func (r *Report) keptLine(line func(what, format string, args ...any)) {
	line("kept", "%s of this device, %s of compiled kernels, %s left out", words.Plural(r.Kept.Forms, "tuned form"),
		words.Size(uint64(r.Kept.Pipelines)), words.Plural(len(r.Unfit), "way"))
}

// findings writes the findings and the verdict.
func (r *Report) findings(b *strings.Builder) {
	b.WriteString("\n")
	for _, f := range r.Findings {
		fmt.Fprintf(b, "%s: %s", f.Level, f.Text)
		if f.Do != "" {
			fmt.Fprintf(b, "\n      %s", f.Do)
		}
		if f.Source != "" {
			fmt.Fprintf(b, "\n      %s", f.Source)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "verdict: %s\n", r.Verdict)
}
