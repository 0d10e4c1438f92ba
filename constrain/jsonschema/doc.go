// Package jsonschema turns JSON schemas into grammars of the JSON texts that match them.
//
// A schema is a set of values: of each type, those that belong to it. Numbers and strings are expressions over the bytes that
// they are written with; arrays and objects are lists of simple sets. Each keyword is such a set, and sets are met (allOf,
// and keywords beside each other), joined (anyOf, type), and complemented (not, oneOf, if). What items and members have to
// match is a goal: schemas by their numbers, of which all, or none, must match. A goal's set is made when a symbol of the
// grammar needs it, so that schemas may lead to themselves.
//
// What this cannot say exactly is an [Error] with the place in the schema. Nothing is left out of account.
package jsonschema
