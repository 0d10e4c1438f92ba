// Package radix is a tree of sequences of token ids, in which what two sequences begin with stands once.
//
// A node that has a value is a prefix that somebody wants to find again; the others are places where sequences part. No
// node is without a value on or below it, but for the root. Not safe for concurrent use.
package radix
