// Package split runs one model on several executors, each of which has some of the layers.
//
// Cut divides a program before some of its layers into programs, each with the weights and states of its layers alone.
// Exec runs one after the other, and carries what later layers read of earlier ones through the host's memory. It
// divides passes of many rows, so that executors work side by side. The package knows no device.
package split
