// Package memory tells how much memory the machine has for this process.
package memory
