package device

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/memory"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// checkRoom returns an error if the device has no memory for a model, before any weight is read. The error says what
// would fit. A driver may find that out late, or page the memory at a tenth of the speed and say nothing. The CPU's
// executor would end the process.
func (d *Device) checkRoom(m *model.Model, s op.Sizes) error {
	r, needs, find := room{device: cpuName}, reference.Needs, memory.Free
	if !d.IsCPU() {
		now := d.current()
		r.device, needs, find = now.device.Info().Name, now.kernels.Needs, now.kernels.Free
	}
	if d.free != nil {
		find = d.free
	}
	r.weights, r.rest = needs(m.Program, s)
	r.free, r.known = find()
	return r.check("", func() string {
		if d.IsCPU() {
			devices, _ := List() // without them, the rest is said all the same
			return cpuAdvice(m, r.rest, r.free, devices)
		}
		return advice(m, r.weights+r.rest, r.free, d.current().device.Info().Index)
	})
}

// room is the bytes that a model needs and a device has.
type room struct {
	device        string
	weights, rest int // needed
	free          int // if known
	known         bool
}

// cpuName names the CPU in errors about memory.
const cpuName = "CPU"

// check returns an error if the free bytes are known and too few. why stands before the figures. advice, which may be
// nil, stands behind them.
func (r room) check(why string, advice func() string) error {
	need := r.weights + r.rest
	if !r.known || need <= r.free {
		return nil
	}
	what := ""
	if advice != nil {
		what = "; " + advice()
	}
	return &Error{Device: r.device, Err: fmt.Errorf("%w: %swant %s, of which weights %s, and %s are free%s", gpu.ErrOutOfMemory, why,
		mebibytes(need), mebibytes(r.weights), mebibytes(r.free), what)}
}

// advisedTypes are the types to quantize to that are advised, the best first.
var advisedTypes = []tensor.Type{tensor.Q8_0, tensor.Q6_K, tensor.Q5_K, tensor.Q4_K, tensor.Q3_K}

// cpuAdvice says what would fit if the CPU has no memory for the weights as float32: a device, since devices keep
// weights as they are stored, or quantized weights. A device that is a processor uses the machine's memory.
func cpuAdvice(m *model.Model, rest, free int, devices []gpu.Info) string {
	_, stored := m.Bytes()
	for _, typ := range append([]tensor.Type{0}, advisedTypes...) {
		need, quantized := stored+rest, ""
		if typ != 0 {
			need, quantized = need-m.QuantSaves(typ), " --quant "+strings.ToLower(typ.String())
		}
		for _, d := range devices {
			room := uint64(max(free, 0))
			if d.Type != gpu.CPU {
				room = roomOf(d)
			}
			if uint64(need) <= room {
				return fmt.Sprintf("what fits: --device %d%s (%s, which holds weights as they are stored: %s)", d.Index, quantized, d.Name, mebibytes(need))
			}
		}
	}
	return "weights are float32 here, and no device of this machine holds them as they are stored, or quantized"
}

// advice says what would fit: the best of some types to quantize to, or another device.
func advice(m *model.Model, need, free, device int) string {
	others, _ := List() // without them, what else fits is said all the same
	return adviceOf(m, need, free, slices.DeleteFunc(others, func(i gpu.Info) bool { return i.Index == device }))
}

func adviceOf(m *model.Model, need, free int, others []gpu.Info) string {
	var fits []string
	for _, typ := range advisedTypes {
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
