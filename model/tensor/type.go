// Package tensor has the storage types of numbers, their size in bytes, and their exact conversion to and from float32.
// Every part of the engine uses it.
package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type is the storage type of a tensor's elements.
type Type uint8

// The storage types. The zero value is none of them. A plain type stores every element by itself; the others store
// blocks of consecutive elements of a row, laid out and named as in ggml (see block.go).
const (
	F32  Type = iota + 1 // IEEE binary32
	F16                  // IEEE binary16
	BF16                 // upper half of binary32

	Q4_0   // 32 elements: scale, 4-bit
	Q4_1   // 32 elements: scale and minimum, 4-bit
	Q5_0   // 32 elements: scale, 5-bit
	Q5_1   // 32 elements: scale and minimum, 5-bit
	Q8_0   // 32 elements: scale, 8-bit
	Q3_K   // 256 elements: 16 scales of 6 bits, 3-bit
	Q4_K   // 256 elements: 8 scales and 8 minima of 6 bits, 4-bit
	Q5_K   // 256 elements: 8 scales and 8 minima of 6 bits, 5-bit
	Q6_K   // 256 elements: 16 scales of 8 bits, 6-bit
	IQ4_NL // 32 elements: scale, 4-bit index into 16 fixed levels
)

// Types lists the plain storage types, those that CanEncode.
var Types = []Type{F32, F16, BF16}

// BlockTypes lists the storage types made of blocks.
var BlockTypes = []Type{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL}

// typeInfo is what size computations need to know of a type, and its name.
type typeInfo struct {
	name     string
	elements int // of a block; 1 for a plain type
	bytes    int // of a block
}

var typeInfos = [...]typeInfo{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2},
	Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24}, Q8_0: {"Q8_0", 32, 34},
	Q3_K: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144}, Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210},
	IQ4_NL: {"IQ4_NL", 32, 18},
}

// info returns the row of typeInfos for t, a row of zeros if t is no type.
func (t Type) info() typeInfo {
	if int(t) >= len(typeInfos) {
		return typeInfo{}
	}
	return typeInfos[t]
}

// String returns the type's name as safetensors and ggml spell it.
func (t Type) String() string {
	if s := t.info().name; s != "" {
		return s
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// ParseType returns the type that String names s.
func ParseType(s string) (Type, bool) {
	for t, i := range typeInfos {
		if i.name == s && s != "" {
			return Type(t), true
		}
	}
	return 0, false
}

// Block returns how many consecutive elements of a row are stored together and in how many bytes: 1 and the element's
// size for a plain type.
func (t Type) Block() (elements, bytes int) {
	i := t.info()
	return i.elements, i.bytes
}

// IsBlock reports whether t stores elements in blocks, so that single ones have no address.
func (t Type) IsBlock() bool { return t.info().elements > 1 }

// CanEncode reports whether Encode and Round are defined for t. They are for plain types. Quantizing to blocks is a
// search for good scales, which package quant does.
func (t Type) CanEncode() bool { return t.info().elements == 1 }

// Bytes returns the size in bytes of n elements, which must be whole blocks: n is rounded up to them.
func (t Type) Bytes(n int) int {
	i := t.info()
	if i.elements == 1 {
		return i.bytes * n
	}
	if i.elements == 0 {
		panic("tensor: size of " + t.String())
	}
	return (n + i.elements - 1) / i.elements * i.bytes
}

// Decode converts the len(dst) little-endian elements of src to float32. Plain types convert exactly; blocks give what
// ggml's dequantization gives, to the bit. src begins at a block.
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
		t.decodeBlocks(dst, src)
	}
}

// Encode stores src in dst as little-endian elements, rounding to nearest, ties to even. It is defined for the types
// that CanEncode. It panics for any other type: no file chooses the type, so the caller has a bug.
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

// Round returns f as it reads back after being stored as t, a type that CanEncode.
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
