package trial

import (
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// zeros is a trial for one token, with an input that the model made.
type zeros struct {
	*product
	of     *kernel.Zeros
	panels []*gpu.Buffer // of the products that take turns
	rows   uint32        // of a panel
}

// Prepare runs the model up to the product, for its input.
func (t *zeros) Prepare() error {
	if err := t.product.Prepare(); err != nil {
		return err
	}
	x, err := t.Activations(t.of.Input())
	if err != nil {
		return err
	}
	at := t.at.X.Offset + 4*t.u.Parts[0].X.Off
	tensor.F32.Encode(t.input[at:][:tensor.F32.Bytes(len(x))], x)
	return nil
}

// Release frees the memory.
func (t *zeros) Release() {
	t.drop()
	t.product.Release()
}

func (t *zeros) drop() {
	for _, b := range t.panels {
		b.Release()
	}
	t.panels = nil
}

// commands records a form. For a sparse form it makes copies of the weights in panels, which the trial owns. For the
// dense form it takes the best one that the tuner knows now.
func (t *zeros) commands(f tune.Form, times int) (*gpu.Commands, error) {
	if f.Kernel != form.Sparse {
		dense := t.of.Dense()
		return t.product.commands(t.Chosen(&dense), times)
	}
	if t.rows != f.Rows {
		t.drop()
		t.rows = f.Rows
	}
	for len(t.panels) < len(t.turns) {
		b, err := t.turns[len(t.panels)].MakePanels(f.Rows)
		if err != nil {
			return nil, err
		}
		t.panels = append(t.panels, b)
	}
	return t.recorded(f, times, func(turn int) kernel.Bound {
		at := t.at
		at.Panels = t.panels[turn].All()
		return at
	})
}

// Probe returns 0 for sparse forms, which do no more work than the dense one.
func (t *zeros) Probe(f tune.Form) (time.Duration, error) {
	if f.Kernel == form.Sparse {
		return 0, nil
	}
	dense := t.of.Dense()
	return t.product.Probe(t.Chosen(&dense))
}

// Results returns what the product makes of the input.
func (t *zeros) Results(f tune.Form) ([]float32, error) { return t.results(t.commands(f, 1)) }

// Time returns how long the product takes, as product.Time does.
func (t *zeros) Time(f tune.Form, limit time.Duration) (time.Duration, error) {
	return timed(func(times int) (*gpu.Commands, error) { return t.commands(f, times) }, len(t.turns), limit)
}
