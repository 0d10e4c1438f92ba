package vulkan

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

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
		parts = append(parts, e.memory.state.Range(4*(e.plan.Offset[o.ID]+slot*o.Stride()), 4*o.Width))
	}
	return parts, nil
}

// ReadState copies slot's state to dst.
func (e *Exec) ReadState(slot int, dst []float32) error {
	return finish(e.StartRead([]int{slot}, [][]float32{dst}))
}

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error {
	return finish(e.StartWrite([]int{slot}, [][]float32{src}))
}

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error { return e.WriteState(slot, e.initial) }

// resetAll gives all slots the initial state, in one submission.
func (e *Exec) resetAll() error {
	if len(e.initial) == 0 || e.plan.Sizes.Slots == 0 {
		return nil
	}
	t := &Transfer{e: e}
	s, err := e.transfers.stage(gpu.Upload, 4*len(e.initial))
	if err != nil {
		return err
	}
	copy(gpu.Float32s(s.buf.Bytes()), e.initial)
	return finish(t, t.start(s, nil, "writing of the initial state", func(rec *gpu.Recording) error {
		for slot := range e.plan.Sizes.Slots {
			if err := e.eachPart(slot, func(part gpu.Range, at int) { rec.Copy(part, s.buf.Range(at, part.Size)) }); err != nil {
				return err
			}
		}
		return nil
	}))
}

// eachPart calls do for each part of a slot's state with its place, in bytes, within the whole.
func (e *Exec) eachPart(slot int, do func(part gpu.Range, at int)) error {
	parts, err := e.slotParts(slot)
	at := 0
	for _, part := range parts {
		do(part, at)
		at += part.Size
	}
	return err
}

// CopyState starts the copy of the state of slot src to slot dst. What is called after it finds the copy.
func (e *Exec) CopyState(dst, src int) error {
	from, err := e.slotParts(src)
	if err != nil {
		return err
	}
	to, err := e.slotParts(dst)
	if err != nil || src == dst || len(to) == 0 {
		return err
	}
	t := &Transfer{e: e}
	return t.start(nil, nil, fmt.Sprintf("copy of the state of slot %d to slot %d", src, dst), func(rec *gpu.Recording) error {
		for i, part := range to {
			rec.Copy(part, from[i])
		}
		return nil
	})
}
