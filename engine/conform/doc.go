// Package conform runs the conformance cases of package opcase on a device, in every form that the device would use for
// a program. What gives wrong results it adds to the device's list of what is unfit, and goes on with the forms that
// take its place.
package conform
