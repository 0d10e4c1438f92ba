// Package state has the slots of an executor: the state of each sequence on the device, and its ways to the host, to
// another slot, to a copy before a Decode, and back.
package state
