// Package wire reads the JSON of requests and says what is wrong with it as a client's author wants to know it: the field by
// its path, what was wanted there and what was there. Unknown fields are ignored, since clients send many. Names that stand
// twice in an object and text that is not UTF-8 are errors, and null is the same as a field that is not there.
package wire
