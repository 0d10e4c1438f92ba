package state

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// States are the states of all slots.
type States struct {
	dev      *gpu.Device
	operands []vectors
	width    int // elements of one
	slots    int
	initial  []float32
	open     func() error // returns an error once the executor is closed

	transfers transfers
	saved     saved
}

// vectors is where the vectors of a state operand lie.
type vectors struct {
	all   gpu.Range // of all slots
	step  int       // bytes from one slot to the next
	bytes int       // of one
}

// New makes the states of a program and gives all slots the initial state. The plan says where in buf the states lie.
// open returns an error once the states may not be used any more.
func New(dev *gpu.Device, prog *op.Program, plan *op.Plan, buf *gpu.Buffer, open func() error) (*States, error) {
	s := &States{dev: dev, width: prog.StateLen(), slots: plan.Sizes.Slots, open: open}
	s.transfers.dev = dev
	for _, o := range prog.Of(op.State) {
		s.operands = append(s.operands, vectors{buf.Range(4*plan.Offset[o.ID], 4*plan.Extent(o)), 4 * o.Stride(), 4 * o.Width})
	}
	var err error
	if s.initial, err = prog.InitialState(); err != nil {
		return nil, err
	}
	err = s.resetAll()
	return s, err
}

// Release waits for what is under way and frees the memory.
func (s *States) Release() {
	if s == nil {
		return
	}
	s.transfers.release()
	s.saved.release()
}

// Slot returns where slot's vector of each state operand lies, in the order of a slot's state.
func (s *States) Slot(slot int) ([]gpu.Range, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if slot < 0 || slot >= s.slots {
		return nil, fmt.Errorf("vulkan: state: want a slot below %d, got %d", s.slots, slot)
	}
	list := make([]gpu.Range, len(s.operands))
	for i, p := range s.operands {
		list[i] = p.all.Buffer.Range(p.all.Offset+slot*p.step, p.bytes)
	}
	return list, nil
}

// Read copies slot's state to dst.
func (s *States) Read(slot int, dst []float32) error {
	return finish(s.StartRead([]int{slot}, [][]float32{dst}))
}

// Write sets slot's state to src.
func (s *States) Write(slot int, src []float32) error {
	return finish(s.StartWrite([]int{slot}, [][]float32{src}))
}

// Reset gives slot the initial state.
func (s *States) Reset(slot int) error { return s.Write(slot, s.initial) }

// resetAll gives all slots the initial state, in one submission.
func (s *States) resetAll() error {
	if len(s.initial) == 0 || s.slots == 0 {
		return nil
	}
	t := &Transfer{s: s}
	stage, err := s.transfers.stage(gpu.Upload, 4*len(s.initial))
	if err != nil {
		return err
	}
	copy(gpu.Float32s(stage.buf.Bytes()), s.initial)
	return finish(t, t.start(stage, nil, "writing of the initial state", func(rec *gpu.Recording) error {
		for slot := range s.slots {
			if err := s.eachVector(slot, func(part gpu.Range, at int) { rec.Copy(part, stage.buf.Range(at, part.Size)) }); err != nil {
				return err
			}
		}
		return nil
	}))
}

// eachVector calls do for each vector of a slot's state, with its place in bytes within the state.
func (s *States) eachVector(slot int, do func(part gpu.Range, at int)) error {
	parts, err := s.Slot(slot)
	at := 0
	for _, part := range parts {
		do(part, at)
		at += part.Size
	}
	return err
}

// Copy starts the copy of the state of slot src to slot dst. Calls after this one find the copy.
func (s *States) Copy(dst, src int) error {
	from, err := s.Slot(src)
	if err != nil {
		return err
	}
	to, err := s.Slot(dst)
	if err != nil || src == dst || len(to) == 0 {
		return err
	}
	t := &Transfer{s: s}
	return t.start(nil, nil, fmt.Sprintf("copy of the state of slot %d to slot %d", src, dst), func(rec *gpu.Recording) error {
		for i, part := range to {
			rec.Copy(part, from[i])
		}
		return nil
	})
}
