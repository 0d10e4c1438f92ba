// Package opcase has the conformance cases of every op: operands, values and a batch. A float64 oracle, written from the
// formulas alone, judges what an executor makes of them. Each case is a program of one step, so an executor's planning,
// upload and read-back are judged with it. Package optest runs the cases as tests and benchmarks, package conform on the
// device of a user.
package opcase
