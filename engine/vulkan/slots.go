package vulkan

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// ReadState copies slot's state to dst.
func (e *Exec) ReadState(slot int, dst []float32) error { return e.states.Read(slot, dst) }

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error { return e.states.Write(slot, src) }

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error { return e.states.Reset(slot) }

// CopyState starts the copy of the state of slot src to slot dst. What is called after it finds the copy.
func (e *Exec) CopyState(dst, src int) error { return e.states.Copy(dst, src) }

// StartRead begins to copy the states of slots to dst, as they are after all calls before this one. They are there when
// Wait returns.
func (e *Exec) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	return e.states.StartRead(slots, dst)
}

// StartWrite begins to set the states of slots to src, which is free for other use at once. Calls after this one find
// them.
func (e *Exec) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	return e.states.StartWrite(slots, src)
}

// RestoreState gives the slot of the last Decode's i-th draw the state that it had before.
func (e *Exec) RestoreState(i, slot int) error { return e.states.Restore(i, slot) }

// Decode runs the program n times in one submission, for one token of each sequence, and draws from each run's logits
// the token that the next is about, as the samplers would. It returns the ids in the order of [n][len(draws)], valid
// until the next call; DrawError tells which are none. A sequence that drew one of its Ends, or none, keeps the state
// that it has then. The samplers are left as they are: the caller has them accept what it takes of the ids. After more
// than one step RestoreState brings back the states before the call. Logits has those of the first step if a draw is
// OnHost.
func (e *Exec) Decode(draws []Draw, n int) ([]uint32, error) { return e.decode.run(draws, n) }

// DrawsOnDevice reports whether the tokens of so many sequences should be drawn by Decode.
func (e *Exec) DrawsOnDevice(seqs int) (bool, error) { return e.decode.onDevice(seqs) }
