package layout

import (
	"encoding/binary"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Kernels read block types (tensor.BlockTypes) as superblocks of 256 elements in whole 16-byte words, in the order in
// which lanes read them. A file's blocks begin at any even byte, and neighbouring elements do not lie side by side in
// them. A superblock has its scales first, then the high bits of all units, then their low bits. A unit is 32 elements.
// shaders/lib/blocks.glsl reads what this file writes. Only bits move: values stay those of the file.

// WordBytes is the size of a word in which kernels read weights.
const WordBytes = 16

const (
	superElements = 256
	unitElements  = glsl.UnitElements
	superUnits    = superElements / unitElements
)

// packing says what superblocks of a type look like.
type packing struct {
	words int // 16-byte words of a superblock
	// pack writes a superblock of so many consecutive units: 8, or fewer at the end of a row.
	pack func(dst super, src []byte, units int)
}

var packings = map[tensor.Type]packing{
	tensor.Q4_0: {glsl.WordsQ4_0, packQ4}, tensor.IQ4_NL: {glsl.WordsIQ4_NL, packQ4}, tensor.Q4_1: {glsl.WordsQ4_1, packQ4m},
	tensor.Q5_0: {glsl.WordsQ5_0, packQ5}, tensor.Q5_1: {glsl.WordsQ5_1, packQ5m}, tensor.Q8_0: {glsl.WordsQ8_0, packQ8},
	tensor.Q3_K: {glsl.WordsQ3_K, packQ3K}, tensor.Q4_K: {glsl.WordsQ4_K, packQ4K}, tensor.Q5_K: {glsl.WordsQ5_K, packQ5K}, tensor.Q6_K: {glsl.WordsQ6_K, packQ6K},
}

// super is a superblock on its way to the device: words of 4 bytes.
type super []byte

func (s super) put(i int, w uint32) { binary.LittleEndian.PutUint32(s[4*i:], w) }

func (s super) half(i int, h []byte) { copy(s[2*i:2*i+2], h) }

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

// nibbles packs 32 codes of 4 bits from 16 bytes whose low nibbles hold elements 0 to 15: each word takes 8 elements in
// order, 4 in the low nibbles of its bytes and 4 in the high ones.
func (s super) nibbles(at int, b []byte) {
	const low, high = 0x0f0f0f0f, 0xf0f0f0f0
	for i := range 2 {
		even, odd := word(b, 2*i), word(b, 2*i+1)
		s.put(at+i, even&low|odd&low<<4)
		s.put(at+2+i, even&high>>4|odd&high)
	}
}

// nibblesOf packs 32 codes that are the low or, with shift 4, the high nibbles of 32 bytes.
func (s super) nibblesOf(at int, b []byte, shift int) {
	const low = 0x0f0f0f0f
	for i := range 4 {
		s.put(at+i, word(b, 2*i)>>shift&low|word(b, 2*i+1)>>shift&low<<4)
	}
}

// pairsOf packs the two bits at shift of 32 bytes: each word takes 16 elements, bit pair k of its bytes 4 of them.
func (s super) pairsOf(at int, b []byte, shift int) {
	for i := range 2 {
		var w uint32
		for k := range 4 {
			w |= word(b, 4*i+k) >> shift & 0x03030303 << (2 * k)
		}
		s.put(at+i, w)
	}
}

// bitsOf packs the bit at shift of 32 bytes: bit k of the word's bytes takes 4 elements.
func (s super) bitsOf(at int, b []byte, shift int) {
	var w uint32
	for k := range 8 {
		w |= word(b, k) >> shift & 0x01010101 << k
	}
	s.put(at, w)
}

// spread[b] has bit i of b where bitsOf has element i of 8.
var spread = func() (table [256]uint32) {
	for b := range table {
		for i := range 8 {
			table[b] |= uint32(b) >> i & 1 << (8*(i%4) + i/4)
		}
	}
	return table
}()

// bits packs 32 bits in the order of their elements.
func (s super) bits(at int, b []byte) {
	s.put(at, spread[b[0]]|spread[b[1]]<<2|spread[b[2]]<<4|spread[b[3]]<<6)
}

// sixes packs 8 pairs of 6-bit numbers behind a word of two halves: low nibbles as a byte to a pair, high bits as a
// nibble.
func (s super) sixes(halves uint32, numbers func(j int) (a, b byte)) {
	var low [8]byte
	var high uint32
	for j := range low {
		a, b := numbers(j)
		low[j] = a&15 | b&15<<4
		high |= uint32(a>>4|b>>4<<2) << (4 * j)
	}
	s.put(0, halves)
	copy(s[4:], low[:])
	s.put(3, high)
}

func packQ4(dst super, src []byte, units int) {
	for j := range units {
		b := src[18*j:]
		dst.half(j, b)
		dst.nibbles(4*(1+j), b[2:])
	}
}

func packQ4m(dst super, src []byte, units int) {
	for j := range units {
		b := src[20*j:]
		dst.put(j, word(b, 0))
		dst.nibbles(4*(2+j), b[4:])
	}
}

func packQ5(dst super, src []byte, units int) {
	for j := range units {
		b := src[22*j:]
		dst.half(j, b)
		dst.bits(4+j, b[2:])
		dst.nibbles(4*(3+j), b[6:])
	}
}

func packQ5m(dst super, src []byte, units int) {
	for j := range units {
		b := src[24*j:]
		dst.put(j, word(b, 0))
		dst.bits(8+j, b[4:])
		dst.nibbles(4*(4+j), b[8:])
	}
}

func packQ8(dst super, src []byte, units int) {
	for j := range units {
		b := src[34*j:]
		dst.half(j, b)
		copy(dst[16+32*j:][:32], b[2:])
	}
}

func packQ4K(dst super, src []byte, units int) {
	dst.sixes(word(src, 0), func(j int) (byte, byte) { return tensor.ScaleMin(src[4:16], j) })
	for j := range units {
		dst.nibblesOf(4*(1+j), src[16+j/2*32:], j%2*4)
	}
}

func packQ5K(dst super, src []byte, units int) {
	dst.sixes(word(src, 0), func(j int) (byte, byte) { return tensor.ScaleMin(src[4:16], j) })
	for j := range units {
		dst.bitsOf(4+j, src[16:], j)
		dst.nibblesOf(4*(3+j), src[48+j/2*32:], j%2*4)
	}
}

func packQ6K(dst super, src []byte, units int) {
	copy(dst[:16], src[192:208])
	dst.put(4, uint32(binary.LittleEndian.Uint16(src[208:])))
	for j := range units {
		dst.pairsOf(8+2*j, src[128+j/4*32:], j%4*2)
		dst.nibblesOf(4*(6+j), src[j/4*64+j%2*32:], j%4/2*4)
	}
}

func packQ3K(dst super, src []byte, units int) {
	dst.sixes(uint32(binary.LittleEndian.Uint16(src[108:])), func(j int) (byte, byte) {
		return tensor.Scale3(src[96:108], 2*j), tensor.Scale3(src[96:108], 2*j+1)
	})
	for j := range units {
		dst.bitsOf(4+j, src, j)
		dst.pairsOf(12+2*j, src[32+j/4*32:], j%4*2)
	}
}

// RowBytes returns the bytes of a row of w on the device, without what fills a line.
func RowBytes(w *op.Operand) int {
	if p, ok := packings[w.Source.Type]; ok {
		return (w.Shape[1] + superElements - 1) / superElements * p.words * WordBytes
	}
	return w.Source.Type.Bytes(op.Stride(w.Shape[1]))
}

// packRow writes a row of w as the device has it.
func packRow(typ tensor.Type, dst, src []byte) {
	p, ok := packings[typ]
	if !ok {
		clear(dst[copy(dst, src):])
		return
	}
	n, size := typ.Block()
	for size16 := 16 * p.words; len(dst) > 0; dst = dst[size16:] {
		units := min(len(src)/size*n/unitElements, superUnits)
		if units < superUnits {
			clear(dst[:size16])
		}
		p.pack(super(dst[:size16:size16]), src, units)
		src = src[units*unitElements/n*size:]
	}
}
