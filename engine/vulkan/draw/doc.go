// Package draw draws tokens on a device. It has what the draws of a submission start from and leave, the kernels of
// draws, and a trial that compares draws on the device with draws on the host.
package draw
