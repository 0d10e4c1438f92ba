// Package quant stores float32 weights in the block types of model/tensor.
//
// A block type says how a block is read, not how its scales are found. For Q8_0 the largest value of a block sets the
// scale, as in ggml. For the other types Encode searches. It tries scales around the obvious one. It improves the best
// by turns: the nearest levels for a scale, then the least-squares scale for those levels. Last it rounds the scales to
// what the block can store. It minimises the squared error of the block.
package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// RangeError says that a type cannot store a number.
type RangeError struct {
	Tensor string // its name, if one is known
	Type   tensor.Type
	Index  int // of the element
	Value  float32
	Limit  float32 // the largest magnitude that fits; 0 if Value is not finite
}

func (e *RangeError) Error() string {
	s := ""
	if e.Tensor != "" {
		s = "tensor " + e.Tensor + ": "
	}
	want := "finite numbers"
	if e.Limit > 0 {
		want = fmt.Sprintf("at most %.6g for %s", e.Limit, e.Type)
	}
	return fmt.Sprintf("%selement %d: want %s, got %v", s, e.Index, want, e.Value)
}

// encoder encodes blocks of one type.
type encoder struct {
	block func(dst []byte, x []float32) // one block
	limit float32                       // the largest magnitude whose scale fits a binary16
}

const maxHalf = 65504

var encoders = map[tensor.Type]encoder{
	tensor.Q8_0: {encodeQ8_0, 127 * maxHalf},
	tensor.Q4_0: {encodeQ4_0, 7 * maxHalf}, tensor.Q5_0: {encodeQ5_0, 15 * maxHalf},
	tensor.Q4_1: {encodeQ4_1, maxHalf}, tensor.Q5_1: {encodeQ5_1, maxHalf},
	tensor.IQ4_NL: {encodeIQ4_NL, 113 * maxHalf},
	tensor.Q3_K:   {encodeQ3_K, 3 * 31 * maxHalf}, tensor.Q6_K: {encodeQ6_K, 31 * 127 * maxHalf},
	tensor.Q4_K: {encodeQ4_K, 63 * maxHalf}, tensor.Q5_K: {encodeQ5_K, 63 * maxHalf},
}

// Encode stores src as typ in dst, of typ.Bytes(len(src)) bytes, so that typ.Decode reads it. src must be whole blocks;
// for a matrix, each row must be. Plain types are rounded as by tensor.Type.Encode. If a number is not finite, or too
// large for the type's scales, the error is a *RangeError, and the content of dst is undefined.
func Encode(typ tensor.Type, dst []byte, src []float32) error {
	n, size := typ.Block()
	if n == 0 || len(src)%n != 0 {
		return fmt.Errorf("quant: want whole blocks of %d elements for %s, got %d elements", n, typ, len(src))
	}
	if len(dst) != typ.Bytes(len(src)) {
		return fmt.Errorf("quant: want %d bytes for %d elements of %s, got %d", typ.Bytes(len(src)), len(src), typ, len(dst))
	}
	if typ.CanEncode() {
		return encodePlain(typ, dst, src)
	}
	e := encoders[typ]
	if err := inRange(typ, src, e.limit); err != nil {
		return err
	}
	for ; len(src) > 0; src, dst = src[n:], dst[size:] {
		e.block(dst[:size:size], src[:n:n])
	}
	return nil
}

func encodePlain(typ tensor.Type, dst []byte, src []float32) error {
	limit := float32(math.MaxFloat32)
	if typ == tensor.F16 {
		limit = maxHalf
	}
	if err := inRange(typ, src, limit); err != nil {
		return err
	}
	typ.Encode(dst, src)
	if i := typ.CheckFinite(dst); i >= 0 { // the last numbers below MaxFloat32 round to an infinite BF16
		return &RangeError{Type: typ, Index: i, Value: src[i], Limit: 0x1.fep127}
	}
	return nil
}

// inRange returns a RangeError for the first of x that is beyond limit or not finite.
func inRange(typ tensor.Type, x []float32, limit float32) error {
	for i, v := range x {
		if v <= limit && v >= -limit {
			continue
		}
		if !tensor.IsFinite(v) {
			limit = 0
		}
		return &RangeError{Type: typ, Index: i, Value: v, Limit: limit}
	}
	return nil
}

// putHalf stores the scale f as a binary16 and returns its value when read back. A scale that is not zero must not
// become zero or infinite: it is kept between the least and the largest binary16.
func putHalf(b []byte, f float32) float32 {
	const least = 1.0 / (1 << 24)
	if f != 0 && f > -least && f < least {
		f = float32(math.Copysign(least, float64(f)))
	}
	return putMinimum(b, f)
}

// putMinimum is putHalf for a number that may become zero.
func putMinimum(b []byte, f float32) float32 {
	h := tensor.FloatToF16(max(min(f, maxHalf), -maxHalf))
	binary.LittleEndian.PutUint16(b, h)
	return tensor.F16ToFloat(h)
}

// half returns f as putHalf would store it.
func half(f float32) float32 {
	var b [2]byte
	return putHalf(b[:], f)
}
