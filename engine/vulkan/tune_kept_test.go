package vulkan

import (
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// What a file keeps of a form that is none of the list is no reason to record passes anew; with time the list is measured, which
// takes its place.
func TestTunerUnlisted(t *testing.T) {
	k := choosing(t)
	tuner := NewTuner("", true, nil)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
	var keys []string
	for _, s := range e.prog.Steps {
		keys = append(keys, e.tuningKey(&e.ops.matMuls[s.Op.(*op.MatMul)][0], 1))
		tuner.found[keys[len(keys)-1]] = tuned{Kernel: "of another version", Rows: 3, Tokens: 1}
	}
	var b op.Batch
	b.Add(0, []int{0}, 0)
	forward := func() *pass {
		t.Helper()
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		return e.shapes.entries[0].pass
	}
	ticking(e, time.Millisecond)
	tuner.Budget = 0
	forward()
	first := forward() // as one submission
	if again := forward(); again != first {
		t.Error("without time: want the pass as it was, got another")
	}
	for tuner.Budget = time.Hour; !e.Settled(); {
		before := len(e.shapes.entries[0].pass.open)
		if p := forward(); len(p.open) >= before {
			t.Fatalf("with time: want the forms measured, got %d wishes after %d", len(p.open), before)
		}
	}
	for _, key := range keys {
		if have := tuner.found[key]; have.Kernel == "of another version" || have.Next != 0 {
			t.Errorf("%s: want a form of the list kept, got %+v", key, have)
		}
	}
}
