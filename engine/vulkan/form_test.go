package vulkan

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// A device that has few workgroups for a dispatch makes products fall into several, by every kernel.
func TestFewGroups(t *testing.T) {
	numbers(t)
	// 64 rows are the least of a unit, for which matmul_segment takes 8.
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxWorkgroupCount[0] = 8 }})
	for _, product := range append([]string{""}, form.Products...) {
		if !k.set.Forms().Offers(product) {
			continue
		}
		split := false
		open := func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
			e := opener(k, product)(tb, prog, s, guard)
			all := e.(*Prober)
			products, matMuls := all.products(), 0
			for i := range prog.Steps {
				if _, ok := prog.Steps[i].Op.(*op.MatMul); ok {
					matMuls++
				}
			}
			split = split || len(products) > matMuls
			return e
		}
		t.Run(kernelName(product), func(t *testing.T) {
			optest.RunIf(t, open, func(name string) bool {
				return name == "MatMul/Q4_0/512x512/rows1" || name == "MatMul/F16/100x130/rows33" || name == "MatMul/group/F16+F16/rows5"
			})
		})
		if !split {
			t.Errorf("%s: nothing was split", product)
		}
	}
}

// The weights of a layer's products take turns with those of the other layers, which differ in nothing else. The first
// layer's differ in more.
func TestAlikeUnits(t *testing.T) {
	m := golden.Demo(t, 0)
	e := opener(kernels(t), "")(t, m.Program, op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, 0).(*Prober)
	others := 0
	for i, step := range e.prog.Steps {
		if _, ok := step.Op.(*op.MatMul); !ok {
			continue
		}
		u := e.steps[i].Choices(kernel.Shape{Rows: 1, Seqs: 1, Outs: 1})[0].Work.(*kernel.Dense).Product
		list := u.Alike(1 << 40)
		x, _, y := u.Hulls()
		for i, v := range list {
			if vx, _, vy := v.Hulls(); v.Rows != u.Rows || vx != x || vy != y || i > 0 && v.W == u.W {
				t.Errorf("%s: %+v is not like %+v", step.Name, v, u)
			}
		}
		if list[0] != u || len(list) > m.Layers {
			t.Errorf("%s: %d units alike in %d layers", step.Name, len(list), m.Layers)
		}
		if step.Layer > 0 {
			if others++; len(list) < m.Layers-1 {
				t.Errorf("%s: %d units alike in %d layers", step.Name, len(list), m.Layers)
			}
		}
	}
	if others < 4*(m.Layers-1) {
		t.Errorf("%d products in %d layers", others, m.Layers)
	}
}

// preparing measures before each step.
type preparing struct{ *Prober }

func (p preparing) RunStep(i int) error {
	staged := p.batch
	if err := p.Prepare(context.Background(), &staged); err != nil {
		return err
	}
	return p.Prober.RunStep(i)
}

// To measure leaves what a step is about to read as it is.
func TestTunerLeavesInputs(t *testing.T) {
	k := choosing(t)
	measured := 0
	open := func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		tuner := tune.New("", true, func(string) { measured++ })
		tuner.Budget = time.Hour
		e, err := newProber(k, prog, Options{Sizes: s, Guard: guard, Tuner: tuner})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = e.Close() })
		return preparing{e}
	}
	optest.RunIf(t, open, func(name string) bool {
		return name == "MatMul/F16/24x96/rows1" || name == "MatMul/F16/67x512/rows33" || strings.HasPrefix(name, "MatMul/add in place/")
	})
	if measured == 0 {
		t.Error("nothing was measured")
	}
}
