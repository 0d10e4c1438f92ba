package device

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/memory"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// checkRoom returns the room for a model, and an error if the device has no memory for it, before any weight is read.
// The error says what would fit. A driver may find that out late, or page the memory at a tenth of the speed and say
// nothing. On the CPU the system would end the process.
func (d *Device) checkRoom(m *model.Model, s op.Sizes) (room, error) {
	r := d.room(m.Program, s)
	return r, r.check("", func() string { return adviceFor(d, m, r) })
}

// spare returns how many bytes of memory are free beside what a model needs on the CPU and what the system's cache has
// of its file. It returns 0 if nobody knows.
func (r room) spare(m *model.Model) int {
	if !r.known {
		return 0
	}
	stored, _ := m.Bytes()
	return max(r.free-r.weights-r.rest-stored, 0)
}

// Room is the memory that a model needs on a device, and what the device has free.
type Room struct {
	Weights, Rest int    // bytes needed
	Free          int    // bytes, if Known
	Known         bool   // reports whether the device says what is free
	Advice        string // what would fit; "" if the model does
}

// Room returns what executors of m with sizes s need. It is what a load checks.
func (d *Device) Room(m *model.Model, s op.Sizes) Room {
	d.use.RLock()
	defer d.use.RUnlock()
	r := d.room(m.Program, s)
	all := Room{Weights: r.weights, Rest: r.rest, Free: r.free, Known: r.known}
	if r.short() {
		all.Advice = adviceFor(d, m, r)
	}
	return all
}

// room is Room of a program, for a caller during whose call the device stays open.
func (d *Device) room(prog *op.Program, s op.Sizes) room {
	needs := func(p *op.Program, s op.Sizes) (weights, rest int) { return cpu.Needs(p, s, d.Threads) }
	r, find := room{device: cpuName}, memory.Free
	if !d.IsCPU() {
		now := d.current()
		r.device, needs, find = now.device.Info().Name, now.kernels.Needs, now.kernels.Free
	}
	if d.free != nil {
		find = d.free
	}
	r.weights, r.rest = needs(prog, s)
	r.free, r.known = find()
	return r
}

// adviceFor says what would fit instead of a model that does not.
func adviceFor(d *Device, m *model.Model, r room) string {
	if d.IsCPU() {
		devices, _ := List() // without them, the rest is said all the same
		return cpuAdvice(m, r, devices)
	}
	return advice(m, r.weights+r.rest, r.free, d.current().device.Info().Index)
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

// short reports whether the free bytes are known and too few.
func (r room) short() bool { return r.known && r.weights+r.rest > r.free }

// check returns an error if the free bytes are known and too few. why stands before the figures. advice, which may be
// nil, stands behind them.
func (r room) check(why string, advice func() string) error {
	need := r.weights + r.rest
	if !r.short() {
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

// cpuAdvice says what would fit if the CPU has no memory: weights that are read in their file, which take none, or a
// device with memory of its own.
func cpuAdvice(m *model.Model, r room, devices []gpu.Info) string {
	var fits []string
	if r.rest <= r.free {
		fits = append(fits, "a file that 'rwkv-gpu quantize' or 'convert' wrote, whose weights are read where they lie ("+mebibytes(r.rest)+")")
	}
	_, loaded := m.Bytes()
	for _, d := range devices {
		if d.Type != gpu.CPU && roomOf(d) >= uint64(loaded+r.rest) {
			fits = append(fits, fmt.Sprintf("--device %d (%s)", d.Index, d.Name))
		}
	}
	if len(fits) == 0 {
		return "no device of this machine has the memory"
	}
	return "what fits: " + strings.Join(fits, ", ")
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
