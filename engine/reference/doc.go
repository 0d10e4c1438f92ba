// Package reference is the readable executor. It computes every op plainly in float32, with gonum's products, on all
// cores. Its results are the right ones, with which those of faster executors are compared.
package reference
