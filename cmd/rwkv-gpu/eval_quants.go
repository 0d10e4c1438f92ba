package main

import (
	"context"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/eval"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// evalQuants runs the task with the model quantized to each of some types, and shows a table.
func (a *app) evalQuants(ctx context.Context, o *evalFlags, p *stages, task eval.Task, options engine.Options, quants []string) error {
	q := eval.Quants{
		Open: func(quant string) (*model.Model, func() error, error) {
			with := a.options()
			with.Quant = quant
			m, err := load.Open(with)
			if err != nil {
				return nil, nil, flagged(err)
			}
			return m.Model, m.Close, nil
		},
		Device:  func() (*device.Device, error) { return a.openDevice(a.common.device) },
		Options: options, KL: o.kl, Progress: p.stage,
		Speed: bench.Options{PP: []int{evalPP}, TG: []int{evalTG}, Batches: []int{1}, Depths: []int{0}, Warmup: 1, Repeat: o.repeat,
			Exact: options.Exact, Half: options.Half, Loading: options.Progress},
	}
	t, err := q.Run(ctx, task, quants)
	if err != nil {
		return err
	}
	p.end()
	switch {
	case a.common.json:
		return a.writeJSON(t)
	case o.markdown:
		return output(t.Markdown(a.stdout))
	}
	return output(t.Text(a.stdout))
}
