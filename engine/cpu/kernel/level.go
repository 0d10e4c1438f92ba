package kernel

/*
#cgo CFLAGS: -std=c11 -O3 -D_GNU_SOURCE
#cgo !windows LDFLAGS: -lm
#include "level_calls.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Level is a set of processor features that kernels use.
type Level uint8

// The levels.
const (
	Generic Level = iota // no vectors but those that the compiler finds; a product and a sum round by themselves
	NEON                 // 64-bit ARM
	AVX2                 // x86-64 with AVX2, FMA and F16C
	AVX512               // x86-64 with AVX-512 F, BW, DQ and VL
	levelEnd
)

var levelNames = [...]string{Generic: "generic", NEON: "NEON", AVX2: "AVX2", AVX512: "AVX-512"}

// String returns the level's name.
func (l Level) String() string {
	if l < levelEnd {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

var available = func() (list []Level) {
	C.rk_init()
	for l := range levelEnd {
		if C.rk_has(C.int(l)) != 0 {
			list = append(list, l)
		}
	}
	return list
}()

// Levels returns the levels that this processor can run, the fastest one last.
func Levels() []Level { return append([]Level(nil), available...) }

// Fault is the error of a kernel that read a mapped file where the file has no more bytes.
type Fault struct{ Addr uintptr }

// Error says where.
func (f *Fault) Error() string {
	return fmt.Sprintf("cpu: no memory at %#x, as where a mapped file was cut", f.Addr)
}

func fault(at C.uintptr_t) error {
	if at == 0 {
		return nil
	}
	return &Fault{Addr: uintptr(at)}
}

// ErrNoMemory is returned by Alloc and AllocBytes when the system has no room, or when no system could have it.
var ErrNoMemory = errors.New("cpu: out of memory")

// Alloc returns zeros that begin at a multiple of 64 bytes, in memory that the garbage collector does not know. Free
// ends them.
func Alloc(n int) ([]float32, error) {
	if n < 0 || n > math.MaxInt/4 {
		return nil, noMemory(n, "float32 numbers")
	}
	b, err := AllocBytes(4 * n)
	if err != nil || n == 0 {
		return nil, err
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n), nil
}

// AllocBytes is Alloc for bytes.
func AllocBytes(n int) ([]byte, error) { return allocBytes(n, 64) }

// AllocLarge is AllocBytes for memory in large pages, if the system has any.
func AllocLarge(n int) ([]byte, error) { return allocBytes(n, largePage) }

func allocBytes(n, align int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if n < 0 || n > math.MaxInt-align-allocExtra {
		return nil, noMemory(n, "bytes")
	}
	p := C.rk_alloc(C.size_t(n), C.size_t(align))
	if p == nil {
		return nil, noMemory(n, "bytes")
	}
	return unsafe.Slice((*byte)(p), n), nil
}

const (
	largePage  = 2 << 20
	allocExtra = 256 // more than rk_alloc takes beside what it is asked for
)

func noMemory(n int, of string) error { return fmt.Errorf("%w: want %d %s", ErrNoMemory, n, of) }

// Free gives back what Alloc or AllocBytes returned.
func Free[T float32 | byte](memory []T) {
	if len(memory) > 0 {
		C.rk_free(unsafe.Pointer(unsafe.SliceData(memory)))
	}
}

func floats(s []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(s))) }

func bytes(s []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(s))) }

// Decode converts the len(dst) elements of src to float32, to the same bits as t.Decode. Elements of a block type are
// whole blocks.
func (l Level) Decode(t tensor.Type, dst []float32, src []byte) error {
	return fault(C.rk_decode(C.int(l), C.int(t), floats(dst), bytes(src[:t.Bytes(len(dst))]), C.int64_t(len(dst))))
}

// CheckFinite returns the index of the first element of the t-typed data that is NaN or infinite, or -1: what
// t.CheckFinite does.
func (l Level) CheckFinite(t tensor.Type, data []byte) (int, error) {
	elements, size := t.Block()
	found := C.rk_not_finite(C.int(l), C.int(t), bytes(data), C.int64_t(len(data)/size*elements))
	return int(found.index), fault(found.at)
}

// Stream reads data, of which only whole runs of 512 bytes count, as fast as the processor can. It returns how many
// bytes it read.
func (l Level) Stream(data []byte) (int, error) {
	n := len(data) &^ 511
	return n, fault(C.rk_stream(C.int(l), bytes(data), C.int64_t(n)))
}

// MultiplyAdd does as many float32 multiply-adds as it returns, at least n, as fast as the processor can.
func (l Level) MultiplyAdd(n int) int {
	each := 16 * int(C.rk_sums(C.int(l)))
	times := (n + each - 1) / each
	C.rk_multiply_add(C.int(l), C.int64_t(times))
	return times * each
}
