package gpu

import "unsafe"

// Float32s returns mapped memory as float32 in the host's byte order. Every supported host has the byte order of its
// devices. The slice aliases b.
func Float32s(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// Uint32s returns mapped memory as uint32. The slice aliases b.
func Uint32s(b []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// BytesOf returns the memory of f as bytes. The slice aliases f.
func BytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}
