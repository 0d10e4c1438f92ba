// Package hostdraw does on the host's cores what belongs to the draws of several sequences: it draws their tokens side
// by side, and it has constraints make their masks beside the device. What is called for every token allocates nothing.
package hostdraw
