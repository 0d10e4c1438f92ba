package doctor

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// use is an optional feature with what having and lacking it mean.
type use struct {
	name       string
	has        func(in gpu.Info) bool
	with, lack string
}

// uses are the optional features that kernels or the engine use.
var uses = []use{
	{"cooperative matrices", func(in gpu.Info) bool { return in.Features.CoopMatrix },
		"prompts may be read on matrix units", "prompts are read without matrix units, which is slower where the hardware has them"},
	{"subgroup shuffle", func(in gpu.Info) bool { return in.Subgroup.HasOp("shuffle") },
		"one token of RWKV-7's recurrence is one dispatch where subgroups have one size", "a token of the recurrence takes more dispatches"},
	{"subgroup ballot", func(in gpu.Info) bool { return in.Subgroup.HasOp("ballot") },
		"decoding may skip weights that meet zeros", "decoding reads weights that meet zeros"},
	{"full subgroups", func(in gpu.Info) bool { return in.Features.FullSubgroups },
		"kernels can count on full subgroups", "some kernels that need full subgroups are left out"},
	{"subgroup size control", func(in gpu.Info) bool { return in.Features.SubgroupControl },
		"kernels ask for the size that suits them", "kernels run with the device's own size"},
	{"uniform control flow", func(in gpu.Info) bool { return in.Features.UniformFlow },
		"the driver promises that diverged lanes meet again", "kernels rely on what drivers do without a promise"},
	{"memory budget", func(in gpu.Info) bool { return in.Features.MemoryBudget },
		"the driver says how much memory is free", "free memory is guessed from the size of the memory"},
	{"timestamps", func(in gpu.Info) bool { return in.Features.Timestamps },
		"'bench --ops' times each op on the device", "'bench --ops' cannot time ops on the device"},
}

func features(in gpu.Info) []Feature {
	var list []Feature
	for _, u := range uses {
		f := Feature{Name: u.name, Has: u.has(in), Consequence: u.lack}
		if f.Has {
			f.Consequence = u.with
		}
		list = append(list, f)
	}
	return list
}

// need is a limit with the least that is wanted.
type need struct {
	name        string
	value       func(l gpu.Limits) int
	wanted      int
	consequence string
	level       Level
}

// baseBuffers is how many storage buffers the kernels bind that every model needs.
const baseBuffers = 10

var needs = []need{
	{"invocations of a workgroup", func(l gpu.Limits) int { return l.MaxWorkgroupInvocations }, 256,
		"workgroups are smaller, and some kernels are left out", Warn},
	{"storage buffers of a kernel", func(l gpu.Limits) int { return l.MaxStorageBuffers }, baseBuffers,
		"no model runs on the device", Fail},
	{"storage buffers for one dispatch a token", func(l gpu.Limits) int { return l.MaxStorageBuffers }, glsl.StepBuffers,
		"a token of RWKV-7's recurrence takes more dispatches", Note},
	{"bytes of shared memory", func(l gpu.Limits) int { return l.SharedMemory }, max(glsl.ChunkMemory, glsl.ScanMemory),
		"long prompts are not read by chunks", Note},
	{"bytes of push constants", func(l gpu.Limits) int { return l.PushConstants }, 128, "no model runs on the device", Fail},
}

// limits compares a device's limits with what kernels want, and with the model's largest weight, of so many bytes.
func limits(in gpu.Info, largest int) []Limit {
	list := []need{{"bytes of a storage buffer", func(l gpu.Limits) int { return l.MaxStorageBufferRange }, largest,
		"large weights are cut into pieces, with a dispatch for each", Note}}
	var met []Limit
	for _, n := range slices.Concat(needs, list) {
		l := Limit{Name: n.name, Value: n.value(in.Limits), Wanted: n.wanted}
		if l.OK = l.Value >= l.Wanted; !l.OK {
			l.Consequence = n.consequence
		}
		met = append(met, l)
	}
	return met
}

// findLimits adds a finding for each limit that is too low to be ignored.
func (r *Report) findLimits() {
	for _, l := range r.Limits.Device {
		for _, n := range needs {
			if n.name == l.Name && !l.OK && n.level != Note {
				r.find(n.level, fmt.Sprintf("the device allows %d %s, %d are wanted: %s", l.Value, l.Name, l.Wanted, n.consequence), "another device, or --device cpu")
			}
		}
	}
}

// vectorWidth is the environment variable by which people choose the bits of lavapipe's vectors.
const vectorWidth = "LP_NATIVE_VECTOR_WIDTH"

// narrowVectors reports whether a device is lavapipe with the vectors of 256 bits that it takes by itself, a subgroup in
// each, on a processor of these levels that has vectors of 512. width is what people chose, "" for nothing.
func narrowVectors(in gpu.Info, levels []string, width string) bool {
	return width == "" && in.DriverID == gpu.Lavapipe && in.Subgroup.Size == 8 && slices.Contains(levels, "avx512")
}
