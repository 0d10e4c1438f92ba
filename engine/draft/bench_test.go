package draft

import (
	"fmt"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// demoTokens is how many tokens a text of BenchmarkDemo has.
const demoTokens = 128

// BenchmarkDemo writes texts with the two embedded models, with a fixed number of proposals, whether it pays or not.
// right is the share of proposals that were right; tokens/pass is what a pass of the large model gives. ahead=0 is without
// a draft, and model=draft the small model alone.
func BenchmarkDemo(b *testing.B) {
	large, small := parsed(b, demo.Name, demo.Weights()), parsed(b, demo.DraftName, demo.Draft())
	for _, spec := range []string{"cpu", "gpu"} {
		dev, err := device.Open(spec, nil)
		if err != nil {
			b.Fatal(err)
		}
		dev.Tune(false, func(string) {})
		main := newEngine(b, large, dev, engine.Options{Slots: 1 + Slots})
		ahead := newEngine(b, small, dev, engine.Options{Slots: SmallSlots})
		for _, temperature := range []float32{0, 0.8, 1} {
			name := fmt.Sprintf("device=%s/T=%g", spec, temperature)
			b.Run(name+"/model=draft", func(b *testing.B) { write(b, ahead, nil, temperature) })
			for _, most := range []int{0, 1, 2, 3, 4, 6} {
				b.Run(fmt.Sprintf("%s/ahead=%d", name, most), func(b *testing.B) {
					var d *Drafter
					if most > 0 {
						d = newDrafterOn(b, main, ahead, most)
						d.gauge.rounds, d.gauge.tried, d.gauge.right = roundTrial, 1, 1 // no trial, and time does not count
					}
					write(b, main, d, temperature)
				})
			}
		}
	}
}

// parsed returns the model of a file.
func parsed(tb testing.TB, name string, file []byte) *model.Model {
	tb.Helper()
	f, err := weights.Parse(name, file)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// write writes a text of each seed, with d if there is one. Both models have seen the prompt and know its kernels.
func write(b *testing.B, e *engine.Engine, d *Drafter, temperature float32) {
	b.StopTimer()
	b.ResetTimer()
	var before Stats
	for seed := -1; seed < b.N; seed++ { // the first text warms up
		p := sample.Params{Temperature: temperature, TopP: 1, Seed: uint64(seed + 1)}
		w := newTeller(b, e, []int{0, 10 + seed%200}, newSampler(b, p, e.Model.Vocab))
		if seed >= 0 {
			b.StartTimer()
		}
		if d == nil {
			w.plain(b, e, demoTokens)
		} else {
			w.drafted(b, d, demoTokens)
		}
		b.StopTimer()
		w.c.Seq.Release()
		if d != nil && seed < 0 {
			before = d.Stats()
		}
	}
	b.ReportMetric(float64(b.N*demoTokens)/b.Elapsed().Seconds(), "tokens/s")
	if d == nil {
		return
	}
	s := d.Stats()
	b.ReportMetric(float64(s.Accepted-before.Accepted)/float64(s.Proposed-before.Proposed), "right")
	b.ReportMetric(float64(s.Drawn-before.Drawn)/float64(s.Rounds-before.Rounds), "tokens/pass")
}
