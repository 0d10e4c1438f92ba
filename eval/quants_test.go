package eval

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// heldOut is the task of predicting texts of ids.
type heldOut struct{ Text }

// newHeldOut returns the task of texts that the demo model was not trained on.
func newHeldOut(t *testing.T, tokens int) *heldOut {
	h := new(heldOut)
	for _, ids := range golden.HeldOut(t, tokens) {
		h.items = append(h.items, Item{ids[:1], [][]int{ids[1:]}})
		h.sizes = append(h.sizes, make([]int, len(ids)-1))
	}
	return h
}

// quants measures the demo model on the CPU.
func quants(t *testing.T, task Task) *Quants {
	t.Helper()
	return &Quants{
		Open: func(quant string) (*model.Model, func() error, error) {
			typ, _ := tensor.ParseType(strings.ToUpper(quant))
			m := golden.Demo(t, typ)
			return m, m.File.Close, nil
		},
		Device:  func() (*device.Device, error) { return &device.Device{}, nil },
		Options: EngineOptions(task.Items(), 8, 256), KL: true,
	}
}

// TestQuality compares what quantizing costs on held-out text with model.QuantCosts. With RWKV_QUALITY_TOKENS=10000 it
// measures every type as that table was.
func TestQuality(t *testing.T) {
	tokens, types, tolerance := 600, []tensor.Type{tensor.Q8_0, tensor.Q4_K}, 0.3
	if n, err := strconv.Atoi(os.Getenv("RWKV_QUALITY_TOKENS")); err == nil {
		tokens, types, tolerance = n, tensor.BlockTypes, 0.15
	}
	names := []string{"none"}
	for _, typ := range types {
		names = append(names, strings.ToLower(typ.String()))
	}
	task := newHeldOut(t, tokens)
	table, err := quants(t, task).Run(context.Background(), task, names)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != len(names) || table.Rows[0].KL != nil || table.Rows[0].Change != nil {
		t.Fatalf("%+v", table)
	}
	stored := table.Rows[0]
	for i, typ := range types {
		r := table.Rows[i+1]
		// Perplexity varies with the text much more than the divergence, which bounds it.
		want := model.QuantCosts[typ]
		if math.Abs(*r.KL/want.KL-1) > tolerance || math.Abs(r.Change.Ratio-1) > 3*want.KL+0.001 {
			t.Errorf("%s: KL %g, perplexity x %.5f, want %v", typ, *r.KL, r.Change.Ratio, want)
		}
		if math.Abs(*r.Perplexity / *stored.Perplexity - r.Change.Ratio) > 1e-9 || r.Bits >= stored.Bits || r.WeightsBytes >= stored.WeightsBytes {
			t.Errorf("%s: %+v", typ, r)
		}
		if in := r.Change.Interval; !(in[0] < r.Change.Ratio && r.Change.Ratio < in[1] && in[1]-in[0] < 0.05) {
			t.Errorf("%s: the change %v has the interval %v", typ, r.Change.Ratio, in)
		}
	}
}

// Without KL only one model is loaded at a time. Speed is measured if it is asked for, and the table leaves out columns
// that no row has.
func TestQuantsTable(t *testing.T) {
	task := newHeldOut(t, 40)
	q := quants(t, task)
	q.KL = false
	open, most := 0, 0
	inner := q.Open
	q.Open = func(quant string) (*model.Model, func() error, error) {
		m, end, err := inner(quant)
		open++
		most = max(most, open)
		return m, func() error { open--; return end() }, err
	}
	q.Speed = bench.Options{PP: []int{4}, TG: []int{2}, Batches: []int{1}, Depths: []int{0}, Repeat: 1}
	told := map[string]bool{}
	q.Progress = func(what string, _, _ int64) { told[what] = true }
	table, err := q.Run(context.Background(), task, []string{"none", "q8_0"})
	if err != nil {
		t.Fatal(err)
	}
	if most != 1 || open != 0 || !told["q8_0: reading"] || !told["none: measuring the device's limits"] {
		t.Errorf("%d models at once, %d are open, told %v", most, open, told)
	}
	for _, r := range table.Rows {
		if r.Prefill == nil || r.Decode == nil || r.Prefill.Median <= 0 || r.Decode.Median <= 0 || r.KL != nil {
			t.Errorf("%+v", r)
		}
	}
	var text, markdown bytes.Buffer
	if err := errors.Join(table.Text(&text), table.Markdown(&markdown)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"device: CPU (", "task: text, ", "quant  bits a weight  weights", "change, %", "prefill, tokens/s"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("want %q in %s", want, &text)
		}
	}
	if strings.Contains(text.String(), "KL  ") || strings.Contains(text.String(), "device memory") {
		t.Errorf("columns without figures: %s", &text)
	}
	if lines := strings.Split(markdown.String(), "\n"); len(lines) != 5 || !strings.HasPrefix(lines[0], "| quant | ") || !strings.HasPrefix(lines[3], "| q8_0 | ") ||
		strings.Count(lines[0], "|") != strings.Count(lines[1], "|") || strings.Count(lines[0], "|") != strings.Count(lines[2], "|") {
		t.Errorf("%s", &markdown)
	}
}

// Whatever fails, what was open is closed.
func TestQuantsFails(t *testing.T) {
	task := newHeldOut(t, 40)
	no := errors.New("no")
	for _, failing := range []string{"none", "q8_0"} {
		for _, where := range []string{"model", "device"} {
			q := quants(t, task)
			open, now := 0, ""
			inner := q.Open
			q.Open = func(quant string) (*model.Model, func() error, error) {
				if now = quant; quant == failing && where == "model" {
					return nil, nil, no
				}
				m, end, err := inner(quant)
				open++
				return m, func() error { open--; return end() }, err
			}
			q.Device = func() (*device.Device, error) {
				if now == failing && where == "device" {
					return nil, no
				}
				return &device.Device{}, nil
			}
			if _, err := q.Run(context.Background(), task, []string{"none", "q8_0", "q4_k"}); !errors.Is(err, no) || open != 0 {
				t.Errorf("%s of %s: %v, %d models are open", where, failing, err, open)
			}
		}
	}
}
