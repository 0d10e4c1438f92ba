// Package form says which forms there are of a product and of a recurrence on a device, which of them is usual where
// nobody has measured, and how they divide the work: all of it by what the device is, and nothing of what lies on it.
package form
