// Package pipeline makes a device's kernels when they are first needed, and keeps them.
package pipeline
