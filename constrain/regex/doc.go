// Package regex turns regular expressions over characters into expressions over the bytes that a text is written with.
//
// The syntax is that of the standard library's regexp/syntax, or ECMA-262's as far as that can be written in it: what
// looks ahead, looks behind or refers back is refused, and so are word boundaries.
package regex
