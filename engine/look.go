package engine

import (
	"context"
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// ErrNoPlace is the error of Look on the CPU, where states do not lie on a Vulkan device.
var ErrNoPlace = errors.New("states do not lie on a Vulkan device")

// placed is an executor whose states lie on a Vulkan device.
type placed interface {
	Places(slot int) (*gpu.Device, []gpu.Range, error)
}

var _ placed = (*vulkan.Exec)(nil)

// Look lets look see the states of sequences where they lie, for example to draw them. For each sequence look is told
// one range for each state operand, in the order of the operands in a state. It may submit commands that read the
// ranges: they run between the passes before and behind this call. Ranges are valid during the call, and in commands
// that were made of them until the device is another one. The error of look is returned as a device's, if it is one.
func (e *Engine) Look(ctx context.Context, seqs []*Seq, look func(dev *gpu.Device, states [][]gpu.Range) error) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.end()
	exec, ok := e.host.exec.(placed)
	if !ok {
		return ErrNoPlace
	}
	for _, s := range seqs {
		if err := e.table.check(s); err != nil {
			return err
		}
	}
	if err := e.keeper.revive(ctx, seqs); err != nil {
		return err
	}
	var dev *gpu.Device
	states := make([][]gpu.Range, len(seqs))
	for i, s := range seqs {
		var err error
		if dev, states[i], err = exec.Places(s.slot); err != nil {
			return e.host.dev.Fault(err)
		}
	}
	return e.host.dev.Fault(look(dev, states))
}
