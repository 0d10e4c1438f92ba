// Package emulated has the forms for processors with subgroups of few emulated lanes: which products and recurrences
// they take there, in place of all other kernels, and how they are recorded.
//
// Where a subgroup has few lanes, they are those of a processor's narrowest vectors, and the driver's compiler is as
// simple: SwiftShader's. It reads a word of a storage buffer for each lane by itself, unrolls nothing and keeps arrays
// in memory.
package emulated
