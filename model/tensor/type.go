// Package tensor holds what every part of the engine must agree on about stored numbers: the storage types, their
// size in bytes, and their exact conversion to and from float32.
package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type is the storage type of a tensor's elements.
type Type uint8

// The storage types. The zero value is none of them.
const (
	F32  Type = iota + 1 // IEEE binary32
	F16                  // IEEE binary16
	BF16                 // upper half of binary32
)

// Types lists every storage type.
var Types = []Type{F32, F16, BF16}

var typeNames = map[Type]string{F32: "F32", F16: "F16", BF16: "BF16"}

// String returns the type's name as safetensors spells it.
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// ParseType returns the type that String names s.
func ParseType(s string) (Type, bool) {
	for t, n := range typeNames {
		if n == s {
			return t, true
		}
	}
	return 0, false
}

// Bytes returns the size in bytes of n elements.
func (t Type) Bytes(n int) int {
	if t == F32 {
		return 4 * n
	}
	return 2 * n
}

// Decode converts the len(dst) little-endian elements of src to float32, exactly.
func (t Type) Decode(dst []float32, src []byte) {
	src = src[:t.Bytes(len(dst))]
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	default:
		panic("tensor: decode of " + t.String())
	}
}

// Encode stores src in dst as little-endian elements, rounding to nearest, ties to even.
func (t Type) Encode(dst []byte, src []float32) {
	dst = dst[:t.Bytes(len(src))]
	switch t {
	case F32:
		for i, f := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
		}
	case F16:
		for i, f := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], FloatToF16(f))
		}
	case BF16:
		for i, f := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], FloatToBF16(f))
		}
	default:
		panic("tensor: encode of " + t.String())
	}
}

// Round returns f as it reads back after being stored as t.
func (t Type) Round(f float32) float32 {
	var b [4]byte
	var out [1]float32
	t.Encode(b[:], []float32{f})
	t.Decode(out[:], b[:])
	return out[0]
}

var f16Table = func() *[1 << 16]float32 {
	var table [1 << 16]float32
	for h := range table {
		table[h] = f16ToFloat(uint16(h))
	}
	return &table
}()

// F16ToFloat converts an IEEE binary16 bit pattern to float32, exactly.
func F16ToFloat(h uint16) float32 { return f16Table[h] }

func f16ToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h) & 0x3ff
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case exp == 0:
		f := float32(frac) * (1.0 / (1 << 24)) // subnormal: frac * 2^-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// FloatToF16 rounds f to IEEE binary16, ties to even; what exceeds its range becomes an infinity.
func FloatToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	exp := int(b>>23)&0xff - 127
	frac := b & 0x7fffff
	switch {
	case exp == 128 && frac != 0:
		return sign | 0x7e00 | uint16(frac>>13)
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14:
		h := uint32(exp+15)<<10 | frac>>13
		return sign | uint16(roundEven(h, frac&0x1fff, 0x1000)) // a carry rolls into the exponent, as it should
	case exp >= -25:
		frac |= 0x800000
		shift := uint(-exp - 14 + 13)
		return sign | uint16(roundEven(frac>>shift, frac&(1<<shift-1), 1<<(shift-1)))
	}
	return sign
}

// FloatToBF16 rounds f to bfloat16, ties to even.
func FloatToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // keep a NaN a NaN
	}
	return uint16(roundEven(b>>16, b&0xffff, 0x8000))
}

func roundEven(v, rest, half uint32) uint32 {
	if rest > half || rest == half && v&1 == 1 {
		v++
	}
	return v
}
