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

// slotParts returns where slot's vector of each state operand lies, in the order of a slot's state.
func (e *Exec) slotParts(slot int) ([]gpu.Range, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	if slot < 0 || slot >= e.plan.Sizes.Slots {
		return nil, fmt.Errorf("vulkan: state: want a slot below %d, got %d", e.plan.Sizes.Slots, slot)
	}
	var parts []gpu.Range
	for _, o := range e.prog.Of(op.State) {
		parts = append(parts, e.state.Range(4*(e.plan.Offset[o.ID]+slot*o.Stride()), 4*o.Width))
	}
	return parts, nil
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
	parts, err := e.slotParts(slot)
	if err != nil || len(parts) == 0 {
		return err
	}
	rec := e.dev.NewRecording()
	rec.SetName(fmt.Sprintf("reading of the state of slot %d", slot))
	at := 0
	for _, part := range parts {
		rec.Copy(e.slot.down.Range(at, part.Size), part)
		at += part.Size
	}
	if err := rec.Run(); err != nil {
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
	parts, err := e.slotParts(slot)
	if err != nil || len(parts) == 0 {
		return err
	}
	copy(gpu.Float32s(e.slot.up.Bytes()), src)
	rec := e.dev.NewRecording()
	rec.SetName(fmt.Sprintf("writing of the state of slot %d", slot))
	at := 0
	for _, part := range parts {
		rec.Copy(part, e.slot.up.Range(at, part.Size))
		at += part.Size
	}
	return rec.Run()
}

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error {
	return e.WriteState(slot, e.initial)
}

// CopyState copies the state of slot src to slot dst.
func (e *Exec) CopyState(dst, src int) error {
	from, err := e.slotParts(src)
	if err != nil {
		return err
	}
	to, err := e.slotParts(dst)
	if err != nil || src == dst || len(to) == 0 {
		return err
	}
	rec := e.dev.NewRecording()
	rec.SetName(fmt.Sprintf("copy of the state of slot %d to slot %d", src, dst))
	for i, part := range to {
		rec.Copy(part, from[i])
	}
	return rec.Run()
}
