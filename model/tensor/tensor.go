package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Tensor is a named, row-major array in some storage type. Its bytes are fetched only when somebody asks for them.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // outermost first; a matrix is [out, in] unless its name says otherwise
	load  func() ([]byte, error)

	stored bool
}

// New returns a tensor whose bytes load provides: little-endian, row-major, exactly Type.Bytes(Len()) of them. The
// bytes may alias a mapped file: nobody writes to them.
func New(name string, typ Type, shape []int, load func() ([]byte, error)) *Tensor {
	return &Tensor{Name: name, Type: typ, Shape: shape, load: load}
}

// FromBytes returns a tensor over data, which it aliases.
func FromBytes(name string, typ Type, shape []int, data []byte) *Tensor {
	t := New(name, typ, shape, func() ([]byte, error) { return data, nil })
	t.stored = true
	return t
}

// Part returns a tensor of t's type whose bytes load provides: all of t's or some that follow each other, as they lie.
func (t *Tensor) Part(name string, shape []int, load func() ([]byte, error)) *Tensor {
	return &Tensor{Name: name, Type: t.Type, Shape: shape, load: load, stored: t.stored}
}

// Stored reports whether Load returns bytes that lie somewhere already. Otherwise each Load makes them.
func (t *Tensor) Stored() bool { return t.stored }

// FromFloats returns an F32 tensor holding a copy of data.
func FromFloats(name string, shape []int, data []float32) *Tensor {
	b := make([]byte, F32.Bytes(len(data)))
	F32.Encode(b, data)
	return FromBytes(name, F32, shape, b)
}

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Load returns the tensor's bytes. The caller must not change them. Rows of a block type must be whole blocks. The
// bytes may lie in a mapped file: Use reads them safely.
func (t *Tensor) Load() ([]byte, error) {
	if n, _ := t.Type.Block(); n > 1 && (len(t.Shape) == 0 || t.Shape[len(t.Shape)-1]%n != 0) {
		return nil, fmt.Errorf("tensor %s: shape: want rows of whole %s blocks (%d elements), got %v", t.Name, t.Type, n, t.Shape)
	}
	var b []byte
	err := Guard(func() (err error) {
		b, err = t.load()
		return err
	})
	if err != nil {
		return nil, err
	}
	if want := t.Type.Bytes(t.Len()); len(b) != want {
		return nil, fmt.Errorf("tensor %s: data: want %d bytes for %s%v, got %d", t.Name, want, t.Type, t.Shape, len(b))
	}
	return b, nil
}

// Use calls use with the tensor's bytes, which are valid during the call, and returns its error. If they lie in a
// mapped file that changed meanwhile, it returns the file's error. Other goroutines that read the bytes guard their
// reads by Guard.
func (t *Tensor) Use(use func(data []byte) error) error {
	data, err := t.Load()
	if err != nil {
		return err
	}
	return Use(data, func() error { return use(data) })
}

// From returns a tensor of the given type and shape. make computes its bytes from those of t at each Load; they may not
// be a part of t's.
func From(t *Tensor, typ Type, shape []int, make func(data []byte) ([]byte, error)) *Tensor {
	return New(t.Name, typ, shape, func() (made []byte, err error) {
		err = t.Use(func(data []byte) (err error) {
			made, err = make(data)
			return err
		})
		return made, err
	})
}

// Floats returns the tensor's elements as float32.
func (t *Tensor) Floats() ([]float32, error) {
	f := make([]float32, t.Len())
	return f, t.Use(func(b []byte) error {
		t.Type.Decode(f, b)
		return nil
	})
}

// String returns the tensor's name, type and shape.
func (t *Tensor) String() string { return fmt.Sprintf("%s %s%v", t.Name, t.Type, t.Shape) }

// CheckFinite returns the index of the first element of the t-typed data that is NaN or infinite, or -1.
func (t Type) CheckFinite(data []byte) int {
	switch t {
	case F32:
		return checkFinite(data, 4, 0x7f800000_7f800000, 0x00800000_00800000, 0x80000000_80000000)
	case F16:
		return checkFinite(data, 2, 0x7c00_7c00_7c00_7c00, 0x0400_0400_0400_0400, 0x8000_8000_8000_8000)
	case BF16:
		return checkFinite(data, 2, 0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080, 0x8000_8000_8000_8000)
	}
	return t.checkFiniteBlocks(data)
}

// checkFinite tests all elements of 8 bytes at once. An element's exponent, under mask, is all ones exactly if adding
// the exponent's lowest bit carries into the place of the sign. It goes through the data by 64 bytes, and looks closer
// if they have such an element.
func checkFinite(data []byte, size int, mask, low, sign uint64) int {
	le := binary.LittleEndian
	i := 0
	for ; i+64 <= len(data); i += 64 {
		d := data[i : i+64 : i+64]
		sum := le.Uint64(d)&mask + low
		sum |= le.Uint64(d[8:])&mask + low
		sum |= le.Uint64(d[16:])&mask + low
		sum |= le.Uint64(d[24:])&mask + low
		sum |= le.Uint64(d[32:])&mask + low
		sum |= le.Uint64(d[40:])&mask + low
		sum |= le.Uint64(d[48:])&mask + low
		sum |= le.Uint64(d[56:])&mask + low
		if sum&sign != 0 {
			break
		}
	}
	for ; i+size <= len(data); i += size {
		var bits uint64
		for b := range size {
			bits |= uint64(data[i+b]) << (8 * b)
		}
		if top := mask & (1<<(8*size) - 1); bits&top == top {
			return i / size
		}
	}
	return -1
}

// IsFinite reports whether f is neither NaN nor infinite.
func IsFinite(f float32) bool { return math.Float32bits(f)&0x7f800000 != 0x7f800000 }

// Transposed returns the tensor with its last two dimensions swapped. Each Load rearranges the bytes. A block runs
// along a row and has no counterpart along a column, so a tensor of a block type is transposed as F32.
func (t *Tensor) Transposed() *Tensor {
	n := len(t.Shape)
	if n < 2 {
		return t
	}
	if t.Type.IsBlock() {
		return Computed(t, t.Shape, func(x []float32) []float32 { return x }).Transposed()
	}
	shape := append([]int(nil), t.Shape...)
	rows, cols := shape[n-2], shape[n-1]
	shape[n-2], shape[n-1] = cols, rows
	return From(t, t.Type, shape, func(src []byte) ([]byte, error) {
		dst := make([]byte, len(src))
		size := t.Type.Bytes(rows * cols)
		for at := 0; at < len(src); at += size {
			transpose(dst[at:at+size], src[at:at+size], rows, cols, t.Type.Bytes(1))
		}
		return dst, nil
	})
}

// transpose rearranges rows x cols elements of the given size in squares that fit a cache.
func transpose(dst, src []byte, rows, cols, size int) {
	const square = 32
	for r0 := 0; r0 < rows; r0 += square {
		for c0 := 0; c0 < cols; c0 += square {
			for r := r0; r < min(r0+square, rows); r++ {
				for c := c0; c < min(c0+square, cols); c++ {
					copy(dst[(c*rows+r)*size:][:size], src[(r*cols+c)*size:][:size])
				}
			}
		}
	}
}

// Reshaped returns the tensor under another shape of as many elements.
func (t *Tensor) Reshaped(shape ...int) *Tensor { return t.Part(t.Name, shape, t.load) }
