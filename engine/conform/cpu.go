package conform

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
)

// CPU runs the cases on the processor, at the level of kernels that executors run.
func CPU(ctx context.Context, o Options) (*Report, error) {
	list, err := wantedBy(o.Program).trials()
	if err != nil {
		return nil, err
	}
	r := &Report{}
	var t table
	for i := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := onCPU(&list[i], &t, o.Threads); err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].name, err)
		}
		if o.Progress != nil {
			o.Progress(i+1, len(list))
		}
	}
	r.Results = t.list
	for _, have := range t.list {
		if !have.OK {
			r.Lost = append(r.Lost, have.Op)
		}
	}
	return r, nil
}

func onCPU(c *trial, t *table, threads int) (err error) {
	e, err := cpu.New(c.Prog, cpu.Options{Sizes: c.Sizes, Guard: opcase.Guard, Threads: threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r, err := c.Check(e, opcase.Float32, func() error { return e.RunStep(0) })
	if err != nil {
		return err
	}
	fault := ""
	if len(r.Faults) > 0 {
		fault = c.name + ": " + r.Faults[0]
	}
	t.add(Result{Op: c.op, Type: c.typ}, r.MaxAbs, r.NMSE, fault)
	return nil
}
