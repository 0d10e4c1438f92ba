package gpu

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// has reports whether the device has what a kernel's code asks for.
func (in *Info) has(f spirv.Feature) bool {
	have := &in.Features
	switch f {
	case spirv.Core:
		return true
	case spirv.Float16:
		return have.Float16
	case spirv.Float64:
		return have.Float64
	case spirv.Int8:
		return have.Int8
	case spirv.Int16:
		return have.Int16
	case spirv.Int64:
		return have.Int64
	case spirv.Storage8:
		return have.Storage8
	case spirv.Storage16:
		return have.Storage16
	case spirv.Push16:
		return have.Push16
	case spirv.IntDot:
		return have.IntDot
	case spirv.CoopMatrix:
		return have.CoopMatrix
	case spirv.SubgroupBasic, spirv.SubgroupVote, spirv.SubgroupArithmetic, spirv.SubgroupBallot, spirv.SubgroupShuffle,
		spirv.SubgroupShuffleRelative, spirv.SubgroupClustered, spirv.SubgroupQuad:
		return in.Subgroup.HasOp(subgroupOps[f-spirv.SubgroupBasic])
	}
	return false
}

// admitCode checks the SPIR-V version and capabilities. The device is not asked: a driver may
// crash on code that it does not know.
func (d *Device) admitCode(m *spirv.Module) error {
	newest := spirv.MakeVersion(1, 3)
	switch {
	case d.phys.api >= apiVersion(1, 3):
		newest = spirv.MakeVersion(1, 6)
	case d.phys.api >= apiVersion(1, 2):
		newest = spirv.MakeVersion(1, 5)
	}
	if m.Version > newest {
		return fmt.Errorf("SPIR-V %s, the device takes up to %s", m.Version, newest)
	}
	if m.EntryPoint != "main" {
		return fmt.Errorf("entry point %q, want \"main\"", m.EntryPoint)
	}
	for _, c := range m.Capabilities {
		for _, f := range c.Needs() {
			if f == spirv.Never {
				return fmt.Errorf("SPIR-V capability %s is not supported", c)
			}
			if !d.info.has(f) {
				return fmt.Errorf("SPIR-V capability %s: the device lacks it", c)
			}
		}
	}
	return nil
}
