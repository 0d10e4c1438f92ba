package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// checkRoom tells before anything is uploaded whether the device has memory for a model, and if it has not, what would fit.
// A driver may find that out late, or page the memory at a tenth of the speed and say nothing.
func (d *Device) checkRoom(m *model.Model, s op.Sizes) error {
	if d.IsCPU() {
		return nil
	}
	weights, rest := d.kernels.Needs(m.Program, s)
	find := d.kernels.Free
	if d.free != nil {
		find = d.free
	}
	free, ok := find()
	if need := weights + rest; ok && need > free {
		return &DeviceError{Device: d.device.Info().Name, Err: fmt.Errorf("%w: want %s, of which weights %s, and %s are free; %s", ErrOutOfMemory,
			mebibytes(need), mebibytes(weights), mebibytes(free), advice(m, need, free, d.device.Info().Index))}
	}
	return nil
}

// advice says what would fit: the best of some types to quantize to, or another device.
func advice(m *model.Model, need, free, device int) string {
	others, _ := Devices() // without them, what else fits is said all the same
	return adviceOf(m, need, free, slices.DeleteFunc(others, func(i gpu.Info) bool { return i.Index == device }))
}

func adviceOf(m *model.Model, need, free int, others []gpu.Info) string {
	var fits []string
	for _, typ := range []tensor.Type{tensor.Q8_0, tensor.Q6_K, tensor.Q5_K, tensor.Q4_K, tensor.Q3_K} {
		if less := need - m.QuantSaves(typ); less <= free {
			fits = append(fits, fmt.Sprintf("--quant %s (%s)", strings.ToLower(typ.String()), mebibytes(less)))
			break
		}
	}
	for _, other := range others {
		if other.Type != gpu.CPU && int(roomOf(other)) >= need {
			fits = append(fits, fmt.Sprintf("--device %d (%s)", other.Index, other.Name))
		}
	}
	if len(fits) == 0 {
		return "of this model no quantized form fits, nor does it fit another device; --device cpu uses the machine's memory"
	}
	return "what fits: " + strings.Join(fits, ", ")
}

// roomOf returns the memory of a device that is not open.
func roomOf(info gpu.Info) uint64 {
	if info.BudgetBytes > 0 {
		return info.BudgetBytes
	}
	return info.MemoryBytes
}

func mebibytes(n int) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }
