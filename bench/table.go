package bench

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// table is a heading and rows of text.
type table struct {
	title string
	head  []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// number returns v with three significant digits.
func number(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// optional returns a figure that may be missing.
func optional(v *float64) string {
	if v == nil {
		return "-"
	}
	return number(*v)
}

func milliseconds(v *float64) string {
	if v == nil {
		return "-"
	}
	return number(*v) + " ms"
}

// draws returns where tokens were drawn and, for the host, the time of one draw.
func (r *Result) draws() string {
	switch {
	case r.DrawnOn == "":
		return "-"
	case r.DrawUS == nil:
		return r.DrawnOn
	}
	return r.DrawnOn + ", " + number(*r.DrawUS) + " µs"
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" }

func size(n int) string {
	if n < 1<<30 {
		return number(float64(n)/(1<<20)) + " MiB"
	}
	return number(float64(n)/(1<<30)) + " GiB"
}

// results is the table of tests.
func (r *Report) results() *table {
	t := &table{head: []string{"test", "batch", "depth", "tokens/s", "min", "max", "GB/s", "GFLOPS", "of limit", "bound",
		"host µs/token", "allocs/token", "drawn on", "longest submission", "device memory", "other CPU"}}
	for i := range r.Results {
		x := &r.Results[i]
		t.add(x.Test, strconv.Itoa(x.Batch), strconv.Itoa(x.Depth), number(x.Rates.Median), number(x.Rates.Min), number(x.Rates.Max),
			number(x.GBPerS), number(x.GFLOPS), percent(x.OfLimit), x.Bound, optional(x.HostUS), optional(x.Allocs), x.draws(), milliseconds(x.SubmissionMS),
			size(x.DeviceBytes), optional(x.OtherCPU))
	}
	return t
}

// cuts is the table of what it costs that several devices share the layers.
func (r *Report) cuts() *table {
	t := &table{title: "From device to device", head: []string{"test", "batch", "depth", "µs/token", "share of the time"}}
	for i := range r.Results {
		if x := &r.Results[i]; x.CutUS != nil {
			t.add(x.Test, strconv.Itoa(x.Batch), strconv.Itoa(x.Depth), number(*x.CutUS), percent(*x.CutUS/1e6*x.Rates.Median))
		}
	}
	return t
}

// changes is the table of comparisons.
func (r *Report) changes() *table {
	t := &table{title: "Compared with the older run", head: []string{"test", "batch", "depth", "old tokens/s", "new tokens/s", "ratio", "p", "verdict"}}
	for _, c := range r.Compare {
		t.add(c.Test, strconv.Itoa(c.Batch), strconv.Itoa(c.Depth), number(c.Old), number(c.New),
			strconv.FormatFloat(c.Ratio, 'f', 3, 64), strconv.FormatFloat(c.P, 'f', 3, 64), c.Verdict)
	}
	return t
}

// opTimes is the table of ops.
func (r *Report) opTimes() *table {
	t := &table{title: "Ops of a pass", head: []string{"test", "batch", "op", "count", "µs", "share", "GB/s", "GFLOPS", "of limit"}}
	for _, x := range r.Ops {
		t.add(x.Test, strconv.Itoa(x.Batch), x.Op, strconv.Itoa(x.Count), number(x.US), percent(x.Share), number(x.GBPerS),
			number(x.GFLOPS), percent(x.OfLimit))
	}
	return t
}

// tables returns the tables that have rows.
func (r *Report) tables() []*table {
	list := []*table{r.results()}
	for _, t := range []*table{r.cuts(), r.firsts(), r.opTimes(), r.changes()} {
		if len(t.rows) > 0 {
			list = append(list, t)
		}
	}
	return list
}

// heading says what was measured, in lines.
func (r *Report) heading() []string {
	device := r.Device
	if r.Driver != "" {
		device += " (" + r.Driver + ")"
	}
	m := &r.Memory
	memory := fmt.Sprintf("device buffers %s in blocks of %s", size(m.DeviceBytes), size(m.DeviceBlockBytes))
	if m.ProcessBytes > 0 {
		memory += fmt.Sprintf(", process %s, at most %s", size(m.ProcessBytes), size(m.ProcessPeakBytes))
	}
	load := "not known"
	if r.Load.Average != nil {
		load = number(*r.Load.Average) + " before"
	}
	return []string{
		"device: " + device,
		fmt.Sprintf("model: %s, quant %s, chunk %d%s", r.Model, r.Quant, r.Chunk, map[bool]string{true: ", exact"}[r.Exact]+map[bool]string{true: ", f16 precision"}[r.Half]),
		fmt.Sprintf("limits: reads %s GB/s (of %s), multiply-adds %s GFLOPS", number(r.Roofline.ReadGBPerS), size(r.Roofline.ReadBytes), number(r.Roofline.FMAGFLOPS)),
		"memory: " + memory,
		fmt.Sprintf("load average: %s, on %d cores", load, r.Load.Cores),
	}
}

// Text writes the report for people.
func (r *Report) Text(to io.Writer) error { return writeText(to, r.heading(), r.tables()) }

func writeText(to io.Writer, heading []string, tables []*table) error {
	var b strings.Builder
	for _, line := range heading {
		b.WriteString(line + "\n")
	}
	for _, t := range tables {
		b.WriteString("\n")
		if t.title != "" {
			b.WriteString(t.title + "\n")
		}
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			_, _ = fmt.Fprintln(w, strings.Join(row, "\t")) // to memory
		}
		_ = w.Flush()
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// Markdown writes the report as tables of Markdown.
func (r *Report) Markdown(to io.Writer) error { return writeMarkdown(to, r.heading(), r.tables()) }

func writeMarkdown(to io.Writer, heading []string, tables []*table) error {
	var b strings.Builder
	for _, line := range heading {
		b.WriteString("- " + cell(line) + "\n")
	}
	for _, t := range tables {
		b.WriteString("\n")
		if t.title != "" {
			b.WriteString(t.title + ":\n\n")
		}
		row := func(cells []string) {
			for _, c := range cells {
				b.WriteString("| " + cell(c) + " ")
			}
			b.WriteString("|\n")
		}
		row(t.head)
		b.WriteString(strings.Repeat("|---", len(t.head)) + "|\n")
		for _, cells := range t.rows {
			row(cells)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// cell keeps text from ending a cell.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

// csvHead names the columns of CSV.
var csvHead = []string{"device", "driver", "model", "quant", "test", "batch", "depth", "tokens_per_s", "min", "max", "gb_per_s", "gflops",
	"of_limit", "bound", "host_us_per_token", "allocs_per_token", "drawn_on", "draw_us_per_token",
	"longest_submission_ms", "device_bytes", "other_cpu", "read_gb_per_s", "fma_gflops", "cut_us_per_token"}

// CSV writes the tests, one a row, in full precision. What is not known is empty.
func (r *Report) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	exact := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	rows := [][]string{csvHead}
	for i := range r.Results {
		x := &r.Results[i]
		rows = append(rows, []string{r.Device, r.Driver, r.Model, r.Quant, x.Test, strconv.Itoa(x.Batch), strconv.Itoa(x.Depth),
			exact(&x.Rates.Median), exact(&x.Rates.Min), exact(&x.Rates.Max), exact(&x.GBPerS), exact(&x.GFLOPS), exact(&x.OfLimit), x.Bound,
			exact(x.HostUS), exact(x.Allocs), x.DrawnOn, exact(x.DrawUS), exact(x.SubmissionMS), strconv.Itoa(x.DeviceBytes), exact(x.OtherCPU), exact(&r.Roofline.ReadGBPerS), exact(&r.Roofline.FMAGFLOPS), exact(x.CutUS)})
	}
	return w.WriteAll(rows)
}
