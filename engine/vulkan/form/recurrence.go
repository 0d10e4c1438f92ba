package form

import (
	"math/bits"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Heads chooses the constants of recurrences, for heads of a size, by what the device is.
type Heads struct{ *profile.Profile }

// headSplit returns how many invocations of wkv6 and wkv7 share a row of a head's state, so that each keeps so many
// elements at most, or up to twice as many where more invocations would not divide n, a multiple of 4.
func headSplit(n, most int) uint32 {
	split := uint32(1) << bits.Len(uint((n-1)/most))
	for uint32(n)%split != 0 {
		split /= 2
	}
	return split
}

// Split7 returns how many invocations of wkv7 share a row, and Split6 of wkv6. Devices with few registers have no more
// for wkv7, and fewer for wkv6, whose elements lie far apart in memory: their addresses need some too.
func Split7(n int) uint32 { return headSplit(n, 64) }

// Split6 is Split7 of wkv6.
func (s Heads) Split6(n int) uint32 {
	if s.Direct6(n) {
		return 1
	}
	return headSplit(n, 32)
}

// Direct6 reports whether each invocation of wkv6 has a row, of 32 vec4 at most, and loads all it needs, as suits
// emulated lanes: of longer rows the code is so large that a processor's compiler takes minutes.
func (s Heads) Direct6(n int) bool { return s.Shared && n <= 128 }

// SharedRows returns how many rows of a head of size n a subgroup of wkv7_shared keeps: a divisor of n, and as many as
// a lane has a place for.
func (s Heads) SharedRows(n uint32) uint32 {
	rows := uint32(16)
	for columns := (n/4 + s.Lanes - 1) / s.Lanes; n%rows != 0 || rows*columns > glsl.SharedVectors; {
		rows /= 2
	}
	return rows
}

// RecursTexels reports whether the recurrences read texels where other kernels do: few registers hold no more than a
// part of a head's state.
func (s Heads) RecursTexels(texel bool) bool { return texel && !s.FewRegisters }

// TakesStep reports whether one token of heads of a size is one dispatch of wkv7_step. Few registers do not hold five
// vectors of a large head, of which a lane has more than four elements each.
func (s Heads) TakesStep(n int) bool {
	return s.Local.Step > 0 && !emulated.TakesHead(*s.Profile, n) && (!s.FewRegisters || n <= 64 || n/4 <= int(s.Lanes))
}

// StepAcross returns how many lanes of a subgroup share a row of a head's state in wkv7_step: no more than a power of
// two that holds its vec4, so that others take other rows meanwhile. Apple's GPUs sum over a whole subgroup by one
// instruction, and would need more of them for half of one.
func (s Heads) StepAcross(n uint32) uint32 {
	across := uint32(1)
	for across < n/4 {
		across *= 2
	}
	if apple := s.FewRegisters && s.Lanes == 32; apple || s.Lanes%across != 0 {
		return s.Lanes
	}
	return across
}

// StepRows returns how many rows of a head's state such lanes load at once: a power of two, no more than they have of
// them, or than they are, and as many as leave 8 vec4 to a lane.
func (s Heads) StepRows(n uint32) uint32 {
	across := s.StepAcross(n)
	groups, sides, columns := s.Local.Step/s.Lanes, s.Lanes/across, (n/4+across-1)/across
	rows, most := uint32(1), min(((n+groups-1)/groups+sides-1)/sides, across, 8/columns)
	for 2*rows <= most {
		rows *= 2
	}
	return rows
}
