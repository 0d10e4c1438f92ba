// Package state has the slots of an executor: the state of each sequence on the device. It copies states to the host
// and back, to another slot, and to a copy that a Decode can be taken back to.
package state
