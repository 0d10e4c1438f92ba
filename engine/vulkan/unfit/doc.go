// Package unfit remembers which ways to work gave wrong results on a device: forms of kernels, a way to load, or the
// device as a whole. Executors leave them out. A file keeps them by device and driver version, for one build of the
// kernels, so a new driver or new kernels begin with nothing.
package unfit
