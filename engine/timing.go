package engine

import (
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/roofline"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Work counts what an engine's Steps have done so far.
type Work struct {
	Passes    int           // runs of the program
	OutPasses int           // of which logits were wanted
	Rows      int           // tokens
	Outs      int           // logits
	Waited    time.Duration // for the device; 0 on the CPU

	DeviceDraws, HostDraws int           // tokens that Decode drew, by where
	Drawing                time.Duration // on the host
}

// Sub returns what was done since before.
func (w Work) Sub(before Work) Work {
	return Work{w.Passes - before.Passes, w.OutPasses - before.OutPasses, w.Rows - before.Rows, w.Outs - before.Outs, w.Waited - before.Waited,
		w.DeviceDraws - before.DeviceDraws, w.HostDraws - before.HostDraws, w.Drawing - before.Drawing}
}

// Add returns what was done in both.
func (w Work) Add(more Work) Work {
	return Work{w.Passes + more.Passes, w.OutPasses + more.OutPasses, w.Rows + more.Rows, w.Outs + more.Outs, w.Waited + more.Waited,
		w.DeviceDraws + more.DeviceDraws, w.HostDraws + more.HostDraws, w.Drawing + more.Drawing}
}

// Work returns what was done so far.
func (e *Engine) Work() Work {
	w := e.work
	if d, ok := e.exec.(interface{ Waited() time.Duration }); ok {
		w.Waited = d.Waited()
	}
	return w
}

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
func (w *Work) countDecode(seqs, steps int) {
	w.Passes += steps
	w.OutPasses += steps
	w.Rows += seqs * steps
	w.Outs += seqs * steps
	w.DeviceDraws += seqs * steps
}

// StepTimes feeds tokens as Step does, in a single pass, and returns the time of each step of the model's program: on a
// Vulkan device as its timestamps tell it, on the CPU by the clock. Inputs that take more than one pass are an error, and
// so is a device without timestamps.
func (e *Engine) StepTimes(in []Input) ([]time.Duration, error) {
	if err := e.checkInputs(in); err != nil {
		return nil, err
	}
	e.taken = append(e.taken[:0], make([]int, len(in))...)
	e.fill(in, e.sizes.Rows)
	for i := range in {
		if e.taken[i] != len(in[i].Tokens) {
			return nil, fmt.Errorf("engine: input %d: want tokens that fit one pass, got %d", i, len(in[i].Tokens))
		}
	}
	if d, ok := e.exec.(interface {
		Timings(*op.Batch) ([]time.Duration, error)
	}); ok {
		times, err := d.Timings(&e.batch)
		return times, e.dev.fault(err)
	}
	if err := e.exec.Stage(&e.batch); err != nil {
		return nil, e.dev.fault(err)
	}
	times := make([]time.Duration, len(e.Model.Program.Steps))
	for i := range times {
		start := time.Now()
		if err := e.exec.RunStep(i); err != nil {
			return nil, e.dev.fault(err)
		}
		times[i] = time.Since(start)
	}
	return times, nil
}

// LongestSubmission returns the longest time that the device took for one submission of a Step or Decode since the last
// call; 0 on the CPU.
func (e *Engine) LongestSubmission() time.Duration {
	if d, ok := e.exec.(interface{ LongestSubmission() time.Duration }); ok {
		return d.LongestSubmission()
	}
	return 0
}

// Chunk returns the most tokens of one pass.
func (e *Engine) Chunk() int { return e.sizes.Rows }

// Limits is what a device does at best with nothing else to do.
type Limits struct {
	Read  float64 // bytes per second, streamed from memory
	Flops float64 // float32 operations per second, a multiply-add being two
}

// Limits measures the device, which takes about a second. bytes is how much is streamed: a device may read what fits its
// caches faster than what does not, so it should be what the model at hand reads.
func (d *Device) Limits(bytes int) (Limits, error) {
	if d.IsCPU() {
		read, flops := roofline.CPU(bytes)
		return Limits{read, flops}, nil
	}
	read, flops, err := roofline.Device(d.device, bytes)
	return Limits{read, flops}, d.fault(err)
}

// HasRoom tells whether the device has so many bytes of memory to spare, as far as it tells; true on the CPU.
func (d *Device) HasRoom(bytes int) bool { return d.IsCPU() || d.kernels.HasRoom(bytes) }

// Memory returns the bytes of the device's live buffers, and the bytes taken from the driver to hold them; 0 on the CPU.
func (d *Device) Memory() (buffers, blocks int) {
	if d.IsCPU() {
		return 0, 0
	}
	return d.device.MemoryInUse()
}

// Driver names the device's driver with its version; "" on the CPU.
func (d *Device) Driver() string {
	if d.IsCPU() {
		return ""
	}
	return d.device.Info().Driver
}
