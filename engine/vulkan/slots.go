package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// ReadState copies slot's state to dst.
func (e *Exec) ReadState(slot int, dst []float32) error { return e.states.Read(slot, dst) }

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error { return e.states.Write(slot, src) }

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error { return e.states.Reset(slot) }

// CopyState starts the copy of the state of slot src to slot dst. Calls after this one find the copy.
func (e *Exec) CopyState(dst, src int) error { return e.states.Copy(dst, src) }

// Places returns the device, and where slot's vector of each state operand lies on it, in the order of a slot's state.
// Commands may read there between two calls.
func (e *Exec) Places(slot int) (*gpu.Device, []gpu.Range, error) {
	list, err := e.states.Slot(slot)
	return e.dev, list, err
}

// StartRead begins to copy the states of slots to dst. The states are those after all calls before this one. dst holds
// them when Wait returns.
func (e *Exec) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	return e.states.StartRead(slots, dst)
}

// StartWrite begins to set the states of slots to src. The caller may use src for something else at once. Calls after
// this one find the states.
func (e *Exec) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	return e.states.StartWrite(slots, src)
}

// RestoreState gives slot the state that the slot of the last Decode's i-th draw had before that Decode.
func (e *Exec) RestoreState(i, slot int) error { return e.states.Restore(i, slot) }

// Decode runs the program n times in one submission, for one token of each sequence. After each run the device draws
// the next token of each sequence from the run's logits, as the sequence's sampler would. Decode returns the ids in the
// order of [n][len(draws)]; they are valid until the next call. DrawError tells which of them are no ids. A sequence
// that drew one of its Ends, or could draw nothing, keeps the state that it has then. The samplers do not change: the
// caller has them accept the ids that it takes. After more than one step RestoreState brings back the states from
// before the call. If a draw is OnHost, Logits returns the logits of the first step. After an error that is no
// op.NotRun, the states of the draws' slots are undefined. Several steps need memory for copies of the states; one does
// not.
func (e *Exec) Decode(draws []Draw, n int) ([]uint32, error) { return e.decode.run(draws, n, nil) }

// DecodeBeside is Decode with a function that it calls once, while the device runs the program for the first time.
// Until beside returns, the masks of samplers that are Limited may change. It takes one submission more than Decode.
func (e *Exec) DecodeBeside(draws []Draw, n int, beside func()) ([]uint32, error) {
	return e.decode.run(draws, n, beside)
}

// DrawsOnDevice reports whether the tokens of so many sequences should be drawn by Decode.
func (e *Exec) DrawsOnDevice(seqs int) (bool, error) { return e.decode.onDevice(seqs) }
