package engine

import (
	"fmt"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// BenchmarkDemo measures tokens per second of the demo model: decode with some sequences at once, and prefill.
func BenchmarkDemo(b *testing.B) {
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		b.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		b.Fatal(err)
	}
	for _, spec := range []string{"cpu", "auto"} {
		for _, batch := range []int{1, 4, 8} {
			b.Run(fmt.Sprintf("%s/decode%d", spec, batch), func(b *testing.B) { benchSteps(b, m, spec, batch, 1) })
		}
		b.Run(spec+"/prefill256", func(b *testing.B) { benchSteps(b, m, spec, 1, 256) })
	}
}

func benchSteps(b *testing.B, m *model.Model, spec string, batch, tokens int) {
	d, err := device.Open(spec, func(s string) { b.Log(s) })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	e, err := New(m, d, Options{Slots: batch})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	rows := make([]Row, batch)
	for i := range rows {
		s, err := e.NewSeq(nil)
		if err != nil {
			b.Fatal(err)
		}
		ids := make([]int, tokens)
		for j := range ids {
			ids[j] = (i*31 + j*17) % m.Vocab
		}
		rows[i] = Row{Seq: s, Tokens: ids, Want: WantLogits, Each: func(int, []float32) error { return nil }}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Pass(b.Context(), rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(batch*tokens*b.N)/b.Elapsed().Seconds(), "tok/s")
}
