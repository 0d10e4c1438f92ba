// Package compare compares a device with the reference: op by op on the same inputs, in the batches that texts and
// servers run; then whole runs, and the tokens that the device draws.
package compare
