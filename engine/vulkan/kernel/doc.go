// Package kernel makes the ops of a program into steps: each knows where its weights lie, which forms there are to run
// it for a batch, and how one of them is recorded. To record a step measures nothing, allocates nothing on the device
// and submits nothing; what a form reads besides is provided before.
package kernel
