// Package kernel has the vector kernels of the CPU executor, in C: matrix products that read weights as they are
// stored, the recurrences, norms and activations. There is one set for each level of processor features, made from the
// same sources over vectors of 16 lanes (vec_*.h), so all levels that have a fused multiply-add give the same bits.
// Products sum in one order, whatever stands beside them: see matmul.h.
//
// Memory that kernels touch is C's (Alloc) or a mapped file. Nothing here checks sizes: engine/cpu has them from a
// program that is checked.
package kernel
