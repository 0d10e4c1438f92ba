// Package draw has devices draw tokens: what the draws of a submission start from and leave, their kernels, and a trial
// that compares them with the host's.
package draw
