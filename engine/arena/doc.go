// Package arena is the memory of an executor on the host: scratch and states where a plan places them, and the batch
// that is staged. It has those methods of an executor that need no more than that.
package arena
