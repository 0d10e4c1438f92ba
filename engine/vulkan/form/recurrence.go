package form

import (
	"math/bits"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Heads chooses the constants of recurrences by what the device is and by the size of a head.
type Heads struct{ *profile.Profile }

// headSplit returns how many invocations of wkv6 and wkv7 share a row of a head's state. Each then keeps at most so
// many elements, or up to twice as many if more invocations would not divide n, a multiple of 4.
func headSplit(n, most int) uint32 {
	split := uint32(1) << bits.Len(uint((n-1)/most))
	for uint32(n)%split != 0 {
		split /= 2
	}
	return split
}

// Split7 returns how many invocations of wkv7 share a row. It is the same for devices with few registers.
func Split7(n int) uint32 { return headSplit(n, 64) }

// Split6 returns how many invocations of wkv6 share a row. They are more than those of wkv7, since the elements of wkv6
// lie far apart in memory and their addresses need registers too.
func (s Heads) Split6(n int) uint32 {
	if s.Direct6(n) {
		return 1
	}
	return headSplit(n, 32)
}

// Direct6 reports whether each invocation of wkv6 has a whole row, of 32 vec4 at most, and loads everything itself.
// That suits emulated lanes. For longer rows the code is so large that a processor's compiler takes minutes.
func (s Heads) Direct6(n int) bool { return s.Shared && n <= 128 }

// SharedRows returns how many rows of a head of size n a subgroup of wkv7_shared keeps. The number divides n, and a
// lane has a place for each row.
func (s Heads) SharedRows(n uint32) uint32 {
	rows := uint32(16)
	for columns := (n/4 + s.Lanes - 1) / s.Lanes; n%rows != 0 || rows*columns > glsl.SharedVectors; {
		rows /= 2
	}
	return rows
}

// RecursTexels reports whether the recurrences read texels, if other kernels do. With few registers they read buffers.
func (s Heads) RecursTexels(texel bool) bool { return texel && !s.FewRegisters }

// TakesStep reports whether wkv7_step does one token of heads of size n in one dispatch. Lanes with few registers
// cannot keep five vectors of a large head, if each has more than four elements of a vector.
func (s Heads) TakesStep(n int) bool {
	return s.Local.Step > 0 && !emulated.TakesHead(*s.Profile, n) && (!s.FewRegisters || n <= 64 || n/4 <= int(s.Lanes))
}

// StepAcross returns how many lanes of a subgroup share a row of a head's state in wkv7_step: the smallest power of two
// that is no less than the row's number of vec4, so that the other lanes take other rows. Apple's GPUs share a row
// among the whole subgroup: they sum over it by one instruction, and would need more for half of it.
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

// StepRows returns how many rows of a head's state the lanes that share a row load at once: a power of two, no more
// than they have rows, no more than they are, and with no more than 8 vec4 for each.
func (s Heads) StepRows(n uint32) uint32 {
	across := s.StepAcross(n)
	groups, sides, columns := s.Local.Step/s.Lanes, s.Lanes/across, (n/4+across-1)/across
	rows, most := uint32(1), min(((n+groups-1)/groups+sides-1)/sides, across, 8/columns)
	for 2*rows <= most {
		rows *= 2
	}
	return rows
}
