package device

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/internal/memory"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// CheckReference returns an error unless the machine has memory for m on the CPU, as the reference of a comparison with
// another device.
func CheckReference(m *model.Model, s op.Sizes) error {
	r := room{device: cpuName}
	r.weights, r.rest = reference.Needs(m.Program, s)
	r.free, r.known = memory.Free()
	return r.check(holdsFloats, nil) // neither another device nor a type is advice: the reference is what it is
}

// holdsFloats says why the reference needs more memory than a file has bytes.
const holdsFloats = "the reference holds weights as float32 in memory: "
