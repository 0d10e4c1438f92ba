package eval

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

// column is a column of a table of quantizations. Its text is "" where a row has nothing.
type column struct {
	head string
	text func(r *Row) string
}

// figure returns a text of a figure that may be missing.
func figure(format string, v *float64, scale float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf(format, *v*scale)
}

func rate(r *bench.Rates) string {
	if r == nil {
		return ""
	}
	return strconv.FormatFloat(r.Median, 'f', 0, 64)
}

// change returns the growth of perplexity in percent, with half of the interval's width.
func (r *Row) change() string {
	if r.Change == nil {
		return ""
	}
	text := strings.Replace(fmt.Sprintf("%+.2f", 100*(r.Change.Ratio-1)), "-0.00", "+0.00", 1)
	if i := r.Change.Interval; i != nil {
		text += fmt.Sprintf(" ± %.2f", 50*(i[1]-i[0]))
	}
	return text
}

// kl returns the divergence with two digits.
func (r *Row) kl() string {
	if r.KL == nil {
		return ""
	}
	return strconv.FormatFloat(*r.KL, 'g', 2, 64)
}

var columns = []column{
	{"quant", func(r *Row) string { return r.Quant }},
	{"bits a weight", func(r *Row) string { return strconv.FormatFloat(r.Bits, 'f', 1, 64) }},
	{"weights", func(r *Row) string { return words.Size(uint64(r.WeightsBytes)) }},
	{"device memory", func(r *Row) string {
		if r.DeviceBytes == 0 {
			return ""
		}
		return words.Size(uint64(r.DeviceBytes))
	}},
	{"accuracy, %", func(r *Row) string { return figure("%.1f", r.Accuracy, 100) }},
	{"acc, %", func(r *Row) string { return figure("%.1f", r.Acc, 100) }},
	{"acc_norm, %", func(r *Row) string { return figure("%.1f", r.AccNorm, 100) }},
	{"perplexity", func(r *Row) string { return figure("%.4f", r.Perplexity, 1) }},
	{"change, %", (*Row).change},
	{"KL", (*Row).kl},
	{"prefill, tokens/s", func(r *Row) string { return rate(r.Prefill) }},
	{"decode, tokens/s", func(r *Row) string { return rate(r.Decode) }},
}

// cells returns the heads of the columns in which some row has something, and the rows.
func (t *Table) cells() (head []string, rows [][]string) {
	rows = make([][]string, len(t.Rows))
	for _, c := range columns {
		texts, some := make([]string, len(t.Rows)), false
		for i := range t.Rows {
			texts[i] = c.text(&t.Rows[i])
			some = some || texts[i] != ""
		}
		if !some {
			continue
		}
		head = append(head, c.head)
		for i, text := range texts {
			if text == "" {
				text = "–"
			}
			rows[i] = append(rows[i], text)
		}
	}
	return head, rows
}

// heading says what was measured, in lines.
func (t *Table) heading() []string {
	device := t.Device
	if t.Driver != "" {
		device += " (" + t.Driver + ")"
	}
	r := t.Rows[0].Result
	lines := []string{
		"device: " + device,
		"model: " + t.Model,
		fmt.Sprintf("task: %s, %s in %s", r.Task, words.Plural(r.Tokens, "token"), r.what()),
	}
	if len(t.Rows) > 1 {
		lines = append(lines, fmt.Sprintf("change and KL (nats a token): from %s; ±: 95 %%, %s", t.Rows[0].Quant, r.Intervals.Method))
	}
	return lines
}

// Text writes the table for people.
func (t *Table) Text(to io.Writer) error {
	var b strings.Builder
	for _, line := range t.heading() {
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
	head, rows := t.cells()
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t")) // to memory
	}
	_ = w.Flush()
	_, err := io.WriteString(to, b.String())
	return err
}

// Markdown writes the table alone, as Markdown.
func (t *Table) Markdown(to io.Writer) error {
	head, rows := t.cells()
	var b strings.Builder
	for i, row := range append([][]string{head}, rows...) {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// what returns the number of the task's items with their noun.
func (r *Result) what() string {
	switch r.Task {
	case "lambada":
		return words.Plural(r.N, "passage")
	case "choice":
		return words.Plural(r.N, "question")
	}
	return words.Plural(r.N, "document")
}

// Text writes the result for people.
func (r *Result) Text(to io.Writer) error {
	var b strings.Builder
	line := func(what, format string, v *float64, scale float64, interval *Interval) {
		if v == nil {
			return
		}
		fmt.Fprintf(&b, "%s "+format, what, *v*scale)
		if interval != nil {
			fmt.Fprintf(&b, " (95 %%: "+format+" to "+format+")", interval[0]*scale, interval[1]*scale)
		}
		b.WriteString("\n")
	}
	i := &r.Intervals
	line("accuracy, %:", "%.2f", r.Accuracy, 100, i.Accuracy)
	line("acc, %:", "%.2f", r.Acc, 100, i.Acc)
	line("acc_norm, %:", "%.2f", r.AccNorm, 100, i.AccNorm)
	line("perplexity:", "%.4f", r.Perplexity, 1, i.Perplexity)
	line("bits per byte:", "%.4f", r.BitsPerByte, 1, i.BitsPerByte)
	line("nats per token:", "%.4f", r.NLL, 1, nil)
	line("likeliest token right, %:", "%.2f", r.Top1, 100, nil)
	fmt.Fprintf(&b, "%s in %s; intervals: %s\n", words.Plural(r.Tokens, "token"), r.what(), i.Method)
	_, err := io.WriteString(to, b.String())
	return err
}
