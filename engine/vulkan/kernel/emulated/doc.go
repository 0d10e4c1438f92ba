// Package emulated has the forms for processors with subgroups of few emulated lanes. It says which products and
// recurrences these forms take there, in place of all other kernels, and records them.
//
// If a subgroup has few lanes, they are those of a processor's narrowest vectors, and the driver's compiler is simple:
// SwiftShader's. It reads a word of a storage buffer for each lane by itself, unrolls no loop and keeps arrays in
// memory.
package emulated
