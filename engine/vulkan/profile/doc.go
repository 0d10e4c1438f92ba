// Package profile describes a device as far as kernels are made and chosen by it: the lanes of its subgroups, the sizes
// of workgroups, the sizes of its bindings, its cooperative matrices, and its way to load. A profile is computed from
// what the device says of itself.
package profile
