package profile

import (
	"runtime"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Profile is what kernels need to know of a device.
type Profile struct {
	CPU          bool              // reports whether lanes are emulated by one processor core's vectors
	Lanes        uint32            // of a subgroup
	Shuffle      bool              // reports whether lanes can read one another's registers
	FewRegisters bool              // see fewRegisters
	Cores        int               // of the processor, if the device is one
	MostGroups   int               // of a dispatch, in x
	TexelBytes   int               // of the largest texel buffer; the kernels of Narrow bind no more
	Band         int               // rows of weights whose words lie side by side (shaders/lib/blocks.glsl), at least 1
	Shared       bool              // reports whether recurrences avoid shared memory (wkv7_shared, Direct6)
	Local        Workgroups        // their sizes
	Narrow       Narrow            // for subgroups of few emulated lanes
	Matrices     []gpu.MatrixShape // that matmul_coop may use
}

// Workgroups are the sizes of workgroups, in invocations.
type Workgroups struct {
	Norm      uint32 // of the norms
	Single    uint32 // 1: that is one subgroup
	Plain     uint32 // of kernels without barriers
	Subgroups uint32 // subgroups of a workgroup of Plain, at least
	Reg       uint32 // of matmul_reg and matmul_bcast
	Step      uint32 // of wkv7_step; 0 where the device does not suit it
}

// bandMost is the most rows of a band: matrices begin with multiples of it.
const bandMost = glsl.WideBand

// Narrow says which kernels for few emulated lanes suit a device.
type Narrow struct {
	Usual bool   // reports whether matmul_narrow is the usual form of a product
	Quads bool   // reports whether matmul_hold, wkv6_narrow and wkv7_narrow suit the device
	Many  uint32 // subgroups of matmul_narrow's workgroup
}

// Of derives the profile of a device. Where a processor core's vectors emulate the lanes, a barrier or shared memory
// costs more than the work between two of them. So workgroups are single subgroups there.
func Of(info gpu.Info) Profile {
	sub := uint32(Subgroup(info))
	fit := func(n uint32) uint32 { return min(n, uint32(mostLanes(info))) }
	p := Profile{CPU: info.Type == gpu.CPU, Lanes: sub, Shuffle: info.Subgroup.HasOp("shuffle"), FewRegisters: fewRegisters(info),
		Cores: runtime.NumCPU(), MostGroups: info.Limits.MaxWorkgroupCount[0], TexelBytes: texelBytes(info.Limits), Band: 1,
		Local:    Workgroups{Norm: fit(256), Plain: max(fit(64), sub), Reg: min(sub, 16)},
		Narrow:   Narrow{Usual: isNarrow(info), Quads: isNarrow(info) && RunsQuads(info), Many: max(min(narrowMany, fit(1<<31)/sub), 1)},
		Matrices: matricesFor(info)}
	if p.CPU {
		p.Shared, p.Band = true, int(p.Local.Reg)
		if p.Vectors() { // a workgroup's rows lie side by side, and it reads one stream
			p.Band = min(8*p.Band, bandMost)
		}
		p.Local.Norm, p.Local.Single = sub, 1
	}
	buffers := info.Limits.MaxStorageBuffers >= glsl.StepBuffers // wkv7_step needs more than the base path asks for
	if sized := info.Features.FullSubgroups && info.FixesSubgroup(int(sub)); (p.CPU || sized) && p.Shuffle && buffers {
		p.Local.Step = max(p.Local.Norm/sub, 1) * sub
	}
	p.Local.Subgroups = max(p.Local.Plain/sub, 1)
	return p
}

// Vectors reports whether a processor's vectors emulate the lanes, and a lane takes whole rows: lanes that share a row
// are never faster there.
func (p *Profile) Vectors() bool { return p.CPU && p.Lanes >= NarrowLeast && !p.Narrow.Usual }

// fewRegisters reports whether a lane has about 128 registers, where others have 256. Vulkan does not say it, but
// devices that can run subgroups of 16 or fewer, as Intel's, are of this kind, and so are those of Apple: behind a
// layer over Metal, or integrated with subgroups of 32 and no other size. Qualcomm's run subgroups of 128 with the
// registers that others have for 64.
func fewRegisters(info gpu.Info) bool {
	s := info.Subgroup
	return info.Type != gpu.CPU && (s.Min > 0 && s.Min <= 16 || s.Size > 64 || info.Features.Portability || info.Type == gpu.Integrated && s.Min == 32 && s.Max == 32)
}

// Subgroup returns the subgroup size that kernels are made for. A device that lets kernels choose runs them with that
// size. If it offers a range that holds 16, the size is 16: the device's own choice may be its widest, which spills
// registers.
func Subgroup(info gpu.Info) int {
	if info.AllowsSubgroup(16) {
		return 16
	}
	return max(info.Subgroup.Size, 1)
}

// mostLanes returns the size of the largest workgroup. A device may limit the subgroups of a workgroup if a kernel
// requires their size.
func mostLanes(info gpu.Info) int {
	l, sub := info.Limits, Subgroup(info)
	if l.MaxWorkgroupSubgroups > 0 && info.AllowsSubgroup(sub) {
		return min(l.MaxWorkgroupInvocations, l.MaxWorkgroupSubgroups*sub)
	}
	return l.MaxWorkgroupInvocations
}

// SwiftShader's lanes are those of a processor's narrowest vectors, and its compiler is as simple. It reads a word of a
// storage buffer for each lane by itself, unrolls no loop and keeps arrays in memory. Only two kernels of products are
// fast there: matmul_narrow.comp for few tokens, and matmul_hold.comp for many. Lavapipe has as few lanes on processors
// without wider vectors, but does better with other kernels: it takes most of a minute to compile matmul_hold.
const (
	NarrowLeast = 4 // lanes that matmul_narrow's last step counts on
	narrowMost  = 7
	narrowMany  = 4 // subgroups of a workgroup at most: with more, cores would wait for the last of a large one
)

// isNarrow reports whether matmul_narrow is the usual form on the device: it is SwiftShader with few lanes.
func isNarrow(info gpu.Info) bool {
	lanes := Subgroup(info)
	return info.Type == gpu.CPU && info.DriverID == gpu.SwiftShader && lanes >= NarrowLeast && lanes <= narrowMost
}

// RunsQuads reports whether a device can run the kernels whose workgroup is one quad of lanes.
func RunsQuads(info gpu.Info) bool {
	s := info.Subgroup
	return s.Min >= glsl.NarrowLanes && s.HasOp("quad") && s.HasOp("ballot")
}
