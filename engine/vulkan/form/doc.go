// Package form lists the forms of products and of recurrences on a device. It says which form is usual where nobody has
// measured, and how a form divides the work. All of this follows from what the device is.
package form
