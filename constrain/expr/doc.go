// Package expr has regular expressions over bytes, closed under intersection and complement, and steps through them.
//
// Expressions live in a [Pool] that keeps each one once, so that equal expressions have equal ids. The state of a match is
// an expression too: what is left to match. [Pool.Step] gives the one after a byte, by Brzozowski's derivatives, and keeps
// it: together the expressions that have been met are a DFA that grows as it is used. Derivatives of an intersection or a
// complement are as simple as those of a union, so that "a string of 3 to 8 characters that matches this pattern and is
// none of these names" is an expression like any other.
//
// Text is UTF-8: [Pool.Runes] turns sets of characters into expressions over bytes.
//
// A pool has a limit. Past it every operation gives [Empty] and [Pool.Err] tells why, so that a caller may build first and
// ask once. A pool is not safe for concurrent use.
package expr
