package vulkan

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// slotStage is host memory through which one slot's state goes in and out.
type slotStage struct {
	up, down *gpu.Buffer // nil without state
}

func (s *slotStage) make(e *Exec) error {
	n := 4 * e.prog.StateLen()
	if n == 0 {
		return nil
	}
	var err error
	if s.up, err = e.buffer("slot (upload)", n, gpu.Upload); err != nil {
		return err
	}
	s.down, err = e.buffer("slot (readback)", n, gpu.Readback)
	return err
}

// eachState calls do for each state operand with the place of slot's vector and its byte offset in a slot's state.
func (e *Exec) eachState(slot int, do func(part gpu.Range, at int)) error {
	if slot < 0 || slot >= e.plan.Sizes.Slots {
		return fmt.Errorf("vulkan: state: want a slot below %d, got %d", e.plan.Sizes.Slots, slot)
	}
	at := 0
	for _, o := range e.prog.Of(op.State) {
		do(e.state.Range(4*(e.plan.Offset[o.ID]+slot*o.Stride()), 4*o.Width), at)
		at += 4 * o.Width
	}
	return nil
}

func (e *Exec) checkStateLen(n int) error {
	if want := e.prog.StateLen(); n != want {
		return fmt.Errorf("vulkan: state: want %d elements, got %d", want, n)
	}
	return nil
}

// ReadState copies slot's state to dst.
func (e *Exec) ReadState(slot int, dst []float32) error {
	if err := e.checkStateLen(len(dst)); err != nil {
		return err
	}
	rec := e.dev.NewRecording()
	err := e.eachState(slot, func(part gpu.Range, at int) { rec.Copy(e.slot.down.Range(at, part.Size), part) })
	if err != nil {
		return err
	}
	if err := runOnce(rec); err != nil {
		return err
	}
	copy(dst, gpu.Float32s(e.slot.down.Bytes()))
	return nil
}

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error {
	if err := e.checkStateLen(len(src)); err != nil {
		return err
	}
	copy(gpu.Float32s(e.slot.up.Bytes()), src)
	rec := e.dev.NewRecording()
	err := e.eachState(slot, func(part gpu.Range, at int) { rec.Copy(part, e.slot.up.Range(at, part.Size)) })
	if err != nil {
		return err
	}
	return runOnce(rec)
}

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error {
	n := e.prog.StateLen()
	if n == 0 {
		return nil
	}
	src := make([]float32, 0, n)
	for _, o := range e.prog.Of(op.State) {
		for range o.Width {
			src = append(src, o.Initial)
		}
	}
	return e.WriteState(slot, src)
}

// CopyState copies the state of slot src to slot dst.
func (e *Exec) CopyState(dst, src int) error {
	var from []gpu.Range
	if err := e.eachState(src, func(part gpu.Range, _ int) { from = append(from, part) }); err != nil || src == dst {
		return err
	}
	rec := e.dev.NewRecording()
	i := 0
	err := e.eachState(dst, func(part gpu.Range, _ int) {
		rec.Copy(part, from[i])
		i++
	})
	if err != nil {
		return err
	}
	return runOnce(rec)
}
