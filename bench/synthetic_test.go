package bench

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// small has the proportions of the published sizes.
var small = synthetic.Size{Name: "small", Layers: 3, Embed: 128, Head: 32, FFN: 512, Vocab: 300, W: 10, A: 12, V: 6, G: 18}

// A long run stays finite, and so stays near the scale of its first steps.
func TestThousandSteps(t *testing.T) {
	m := open(t, small)
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m, d, engine.Options{Chunk: 125})
	if err != nil {
		t.Fatal(err)
	}
	seq, err := e.NewSeq(nil)
	if err != nil {
		t.Fatal(err)
	}
	early, last := 0.0, 0.0
	for step := range 8 {
		ids := make([]int, 125)
		for i := range ids {
			ids[i] = (step*7919 + i*i*31) % m.Vocab
		}
		rows := []engine.Row{{Seq: seq, Tokens: ids, Want: engine.WantLogits, Each: func(_ int, logits []float32) error {
			for _, v := range logits {
				if !tensor.IsFinite(v) {
					t.Fatalf("step %d: a logit is %v", step, v)
				}
			}
			return nil
		}}}
		if err := errors.Join(e.Feed(t.Context(), rows), rows[0].Err); err != nil {
			t.Fatal(err)
		}
		state := make([]float32, m.Program.StateLen())
		saved, err := e.Save([]*engine.Seq{seq}, [][]float32{state})
		if err == nil {
			err = saved.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
		last = 0
		for _, v := range state {
			last = max(last, math.Abs(float64(v)))
		}
		if !(last < 1e4) {
			t.Fatalf("step %d: state of %g", step, last)
		}
		if step == 1 {
			early = last
		}
	}
	if last > 4*early {
		t.Errorf("the state grows: %g after 250 tokens, %g after 1000", early, last)
	}
}

// About four in five hidden values of the channel mix are zero, in every layer.
func TestSparse(t *testing.T) {
	m := open(t, small)
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Prober(m, op.Sizes{Slots: 1, Rows: 64, Seqs: 1, Outs: 1}, device.Accuracy{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b op.Batch
	ids := make([]int, 64)
	for i := range ids {
		ids[i] = i * 37 % m.Vocab
	}
	b.Add(0, ids, 1)
	if err := e.Stage(&b); err != nil {
		t.Fatal(err)
	}
	layers := 0
	for i, s := range m.Program.Steps {
		if err := e.RunStep(i); err != nil {
			t.Fatal(err)
		}
		if o, ok := s.Op.(*op.MatMul); ok && strings.HasSuffix(s.Name, "ffn.key") {
			hidden, err := e.Read(o.Parts[0].Y.Of)
			if err != nil {
				t.Fatal(err)
			}
			zeros := 0
			for _, v := range hidden {
				if v == 0 {
					zeros++
				}
			}
			if share := float64(zeros) / float64(len(hidden)); share < 0.75 || share > 0.85 {
				t.Errorf("%s: %.0f %% are zero", s.Name, 100*share)
			}
			layers++
		}
	}
	if layers != small.Layers {
		t.Errorf("%d layers", layers)
	}
}
