package trial

import (
	"errors"
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// FasterLoads returns the faster way to load on a device. If the tuner has kept none, it runs a product in both ways
// now, whatever the budget. All kernels and all tuning depend on the way, so it must not differ from one start to the
// next. Where products have no right form left in one way, the other counts as the faster.
func FasterLoads(set *kernel.Set, t *tune.Tuner) (profile.Loads, error) {
	info := set.Dev.Info()
	ways := [2]profile.Loads{profile.Buffers, profile.Texels}
	forms := [2]tune.Form{{Kernel: ways[0].String()}, {Kernel: ways[1].String()}}
	c := tune.Choice{Device: info.Name, Key: fmt.Sprintf("%s | %s | loads", info.Name, info.Driver), Forms: forms[:]}
	best, settled := t.Chosen(&c)
	if t == nil || !settled {
		players := map[tune.Form]*loads{}
		defer func() {
			for _, p := range players {
				p.release()
			}
		}()
		for i, f := range forms {
			p, err := newLoads(set, ways[i])
			if errors.Is(err, gpu.ErrUnsupported) {
				return ways[i].Other(), nil
			}
			if err != nil {
				return profile.Measured, err
			}
			players[f] = p
		}
		found, took, err := tune.ByTurns(forms, func(f tune.Form) (time.Duration, error) { return players[f].time() })
		if err != nil {
			return profile.Measured, err
		}
		if best = found; t != nil {
			t.Keep(&c, found, took)
		}
	}
	if best == forms[1] {
		return ways[1], nil
	}
	return ways[0], nil
}

// loads is a product that loads its inputs in one way.
type loads struct {
	buffers []*gpu.Buffer
	c       *gpu.Commands
}

// The measured product has the size of the smallest texel buffer that Vulkan allows (65536 texels). A submission
// repeats it, so that the submission's own cost does not count.
const (
	loadsRows  = 512
	loadsWidth = 1024
	loadsTimes = 16
)

func newLoads(set *kernel.Set, way profile.Loads) (*loads, error) {
	w := tensor.New("measure", tensor.F16, []int{loadsRows, loadsWidth}, func() ([]byte, error) {
		return make([]byte, tensor.F16.Bytes(loadsRows*loadsWidth)), nil
	})
	var b op.Builder
	x, y := b.Scratch("x", op.Row, loadsWidth), b.Scratch("y", op.Row, loadsRows)
	b.Emit(-1, "measure", &op.MatMul{Parts: []op.Part{{W: b.Weight(w, w.Shape...), X: x.All(), Y: y.All()}}})
	prog := b.Unchecked()
	prog.Vocab = 1
	l := &loads{}
	err := l.prepare(set, &kernel.Env{Set: set, Prog: prog, Plan: op.NewPlan(prog, op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, 0), Loads: way})
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *loads) prepare(set *kernel.Set, e *kernel.Env) error {
	load := layout.NewLoader(set.Dev, e.Prog, nil)
	steps, err := kernel.Steps(e, load)
	l.buffers = load.Buffers
	if err != nil {
		return err
	}
	scratch, err := set.Dev.NewBuffer("loads (trial)", 4*e.Plan.Scratch, gpu.DeviceLocal)
	if err != nil {
		return err
	}
	l.buffers = append(l.buffers, scratch)
	rec := set.Dev.NewRecording()
	rec.SetName(fmt.Sprintf("trial of loads from %s", e.Loads))
	rec.Fill(scratch.All(), 0)
	r := e.Recorder(rec, kernel.Shape{Rows: 1, Seqs: 1}, &kernel.Places{Plan: e.Plan, Scratch: scratch})
	for range loadsTimes {
		for _, s := range steps {
			if err := s.Record(r, kernel.Usual(s.Choices(r.Shape))); err != nil {
				return err
			}
		}
	}
	l.c, err = rec.End()
	return err
}

func (l *loads) release() {
	if l == nil {
		return
	}
	l.c.Release()
	for _, b := range l.buffers {
		b.Release()
	}
}

func (l *loads) time() (time.Duration, error) {
	start := time.Now()
	err := l.c.Run()
	return time.Since(start), err
}
