// Package profile says what a device is, as far as kernels are made and chosen by it: the lanes of its subgroups, the
// sizes of workgroups, what its bindings hold, which cooperative matrices it has, and by which way it loads. It is made
// of what the device says of itself, and holds no memory of it.
package profile
