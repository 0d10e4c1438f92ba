package device

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/internal/memory"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// CheckReference returns an error unless the machine has memory for Reference.
func CheckReference(m *model.Model, s op.Sizes) error {
	r := room{device: cpuName}
	r.weights, r.rest = reference.Needs(m.Program, s)
	r.free, r.known = memory.Free()
	return r.check(holdsFloats, nil) // neither another device nor a type is advice: the reference is what it is
}

// Reference makes the executor whose results those of a device are compared with. It shares no code with any other. See
// Device.Prober for progress.
func Reference(m *model.Model, s op.Sizes, progress func(done, all int64) error) (op.Prober, error) {
	if err := CheckReference(m, s); err != nil {
		return nil, err
	}
	e, err := reference.New(m.Program, reference.Options{Sizes: s, Progress: progress})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// holdsFloats says why the reference needs more memory than a file has bytes.
const holdsFloats = "the reference holds weights as float32 in memory: "
