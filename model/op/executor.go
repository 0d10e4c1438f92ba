package op

import (
	"context"
	"errors"
)

// Executor runs one program on one device, for a fixed number of slots and a largest batch.
//
// An executor is not safe for concurrent use; only Wait of its transfers is. Slices that it returns stay valid until
// its next call.
type Executor interface {
	// Device returns the device's name, as `rwkv-gpu devices` shows it.
	Device() string
	// Forward runs the whole program over b and waits for it.
	Forward(b *Batch) error
	// ForwardContext is Forward until ctx is done; then it returns ctx's error. After an error that is no NotRun, the
	// states of b's slots are undefined; that holds for Forward too.
	ForwardContext(ctx context.Context, b *Batch) error
	// Logits returns the float32[vocab] of the last Forward's i-th out.
	Logits(i int) []float32

	// StartRead begins to copy the states of slots to dst, each float32[Program.StateLen()] with the State operands one
	// after the other. The states are those after all calls before this one. dst holds them when the transfer is done.
	StartRead(slots []int, dst [][]float32) (Transfer, error)
	// StartWrite begins to set the states of slots to src. The caller may use src for something else at once. Calls after
	// this one find the states. After an error other than a NotRun, the states of slots are undefined.
	StartWrite(slots []int, src [][]float32) (Transfer, error)
	// ReadState and WriteState do the same for one slot, and wait.
	ReadState(slot int, dst []float32) error
	WriteState(slot int, src []float32) error
	// ResetState gives slot the initial state.
	ResetState(slot int) error
	// CopyState copies a state. Calls after this one find the copy.
	CopyState(dst, src int) error

	Close() error
}

// Transfer is a copy of states between slots and the host that has started.
type Transfer interface {
	// Wait returns when the transfer is done. Any goroutine may call it, beside other calls of the executor, and any
	// number of times.
	Wait() error
}

// Prober is an Executor that can stop between steps, so that a caller can read and write its memory. Tests and
// comparisons of devices use it.
type Prober interface {
	Executor
	// Stage makes b the batch of the next RunStep, Read and Write.
	Stage(b *Batch) error
	// RunStep runs one step of the program alone and waits for it.
	RunStep(i int) error
	// RunSteps runs the steps [from, to) as Forward does, and waits for them. If each sequence has one row, an executor's
	// ShiftMix may write to the slot at once, and its ShiftCommit then does nothing.
	RunSteps(from, to int) error
	// Read returns the operand's vectors without padding: rows, sequences or outs of the staged batch, all slots of a
	// State, all of a Weight as float32.
	Read(o *Operand) ([]float32, error)
	// Write is the inverse of Read. Weights cannot be written.
	Write(o *Operand, data []float32) error
	// Arenas returns copies of the memory that Plan describes.
	Arenas() (scratch, state []float32, err error)
	// SetArenas replaces that memory.
	SetArenas(scratch, state []float32) error
	// WeightSum returns a checksum of all weights as they lie on the device.
	WeightSum() (uint64, error)
	Plan() *Plan
}

// ErrClosed is returned by calls of an executor after its Close.
var ErrClosed = errors.New("executor is closed")

// NotRun is the error of an executor's call that changed no state, since it failed before it ran anything.
type NotRun struct{ Err error }

func (e *NotRun) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *NotRun) Unwrap() error { return e.Err }

// BeforeRun makes an error a NotRun; nil stays nil.
func BeforeRun(err error) error {
	if err == nil {
		return nil
	}
	return &NotRun{err}
}

// IsNotRun reports whether an error of an executor says that no state was changed.
func IsNotRun(err error) bool {
	if err == nil { // which costs no allocation
		return false
	}
	var n *NotRun
	return errors.As(err, &n)
}
