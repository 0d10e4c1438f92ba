// Package cpu runs programs on the processor, fast. Matrices stay as they are stored, and where their bytes lie in a
// mapped file they are read there. Package kernel has the arithmetic, in C, at several levels of processor features.
//
// An Exec has workers: the caller of Forward and some goroutines that live as long as the Exec and sleep between
// passes. Within a pass each step of the program is cut into units, and the workers take units until there are none. A
// step begins when all units of the one before are done. Nobody waits for a worker that has no unit, so a worker that
// the system does not run holds up nothing.
//
// What a row gives depends on nothing that stands beside it, nor on threads: each sum is one kernel's, in one order.
package cpu
