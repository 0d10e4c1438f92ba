package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Work counts what an engine's passes and bursts have done so far.
type Work struct {
	Passes    int           // runs of the program
	OutPasses int           // passes with wanted logits
	Rows      int           // tokens
	Outs      int           // logits
	Waited    time.Duration // for the device; 0 on the CPU
	Cut       time.Duration // for what went from one to the next of several devices that share the layers

	DeviceDraws, HostDraws int           // tokens drawn, by where
	Drawing                time.Duration // on the host
}

// Sub returns the work done since before.
func (w Work) Sub(before Work) Work {
	return Work{w.Passes - before.Passes, w.OutPasses - before.OutPasses, w.Rows - before.Rows, w.Outs - before.Outs, w.Waited - before.Waited, w.Cut - before.Cut,
		w.DeviceDraws - before.DeviceDraws, w.HostDraws - before.HostDraws, w.Drawing - before.Drawing}
}

// Add returns the sum of both.
func (w Work) Add(more Work) Work {
	return Work{w.Passes + more.Passes, w.OutPasses + more.OutPasses, w.Rows + more.Rows, w.Outs + more.Outs, w.Waited + more.Waited, w.Cut + more.Cut,
		w.DeviceDraws + more.DeviceDraws, w.HostDraws + more.HostDraws, w.Drawing + more.Drawing}
}

// Stats says what an engine has done, and how many slots it uses.
type Stats struct {
	Work
	Slots    int // there are
	InUse    int // of them
	Reopened int // times
}

// Stats returns counts of the engine's work. It waits for nothing.
func (e *Engine) Stats() Stats { return e.table.snapshot() }

// count adds a batch.
func (w *Work) count(b *op.Batch) {
	w.Passes++
	w.Rows += len(b.Tokens)
	w.Outs += len(b.Outs)
	if len(b.Outs) > 0 {
		w.OutPasses++
	}
}

// countDecode adds the passes of a submission of some steps, each for one token of some sequences.
func (w *Work) countDecode(draws []vulkan.Draw, steps int) {
	w.Passes += steps
	w.OutPasses += steps
	for i := range draws {
		n := steps
		if draws[i].Once {
			n = 1
		}
		w.Rows += n
		w.Outs += n
		if !draws[i].OnHost {
			w.DeviceDraws += n
		}
	}
}

// PassTimes feeds tokens as Pass does, all rows in a single pass, and returns the time of each step of the model's
// program. The time is from timestamps on a Vulkan device, and from the clock on the CPU. Nothing is drawn, and
// Row.Each is not called. It is an error if the rows need more than one pass, or if the device has no timestamps.
func (e *Engine) PassTimes(rows []Row) ([]time.Duration, error) {
	if err := e.begin(context.Background()); err != nil {
		return nil, err
	}
	defer e.end()
	p := &e.passes
	beginRows(rows)
	p.fill(rows, p.h.sizes.Rows)
	for i := range rows {
		if err := rows[i].Err; err != nil {
			return nil, err
		}
	}
	for q, i := range p.order {
		if n := len(rows[i].Tokens); int(p.batch.Seqs[q].Len) != n || len(p.order) != len(rows) {
			return nil, fmt.Errorf("engine: row %d: want tokens that fit one pass, got %d", i, n)
		}
	}
	if err := p.k.revive(context.Background(), p.seqs); err != nil {
		return nil, err
	}
	times, err := e.host.exec.(interface {
		Timings(*op.Batch) ([]time.Duration, error)
	}).Timings(&p.batch)
	for q, i := range p.order {
		r := &rows[i]
		if r.Seq.lose(err); err == nil {
			p.k.note(r.Seq, r.Tokens[:p.batch.Seqs[q].Len]...)
		}
	}
	if err == nil {
		p.k.keep()
	}
	return times, e.host.dev.Fault(err)
}

// LongestSubmission returns the longest time that the device took for one submission of a pass or burst since the last
// call; 0 on the CPU.
func (e *Engine) LongestSubmission() time.Duration {
	if e.begin(context.Background()) != nil {
		return 0
	}
	defer e.end()
	if d, ok := e.host.exec.(interface{ LongestSubmission() time.Duration }); ok {
		return d.LongestSubmission()
	}
	return 0
}
