// Package constrain limits what a model says to a JSON schema, a regular expression or a grammar in GBNF.
//
//	schema, pattern, GBNF  --compile-->  Grammar  --New, with a vocabulary-->  Constraint: a mask of ids for each draw
//
// A [Grammar] is the one form of all three: a context-free grammar whose terminals are regular expressions over bytes. What is
// allowed is exactly its language: no text is refused that could still become complete, and the text may end only when it is.
// What a front end does not support is an error that names its place, and nothing is left out of account.
//
// # JSON Schema
//
// Drafts 2020-12 and 7, and 6, 4 and 2019-09 as far as they say the same. Text is written so that it can be held to a schema
// while it comes:
//
//   - Members come in the order in which "properties" names them, then those that "required" adds, then others. Where
//     several schemas apply, the names of the first come first.
//   - Names and strings have each character written in one way: as itself, or as the shortest escape where it needs one.
//   - Numbers have no exponent where anything but their type is limited. Those of an enum or a const, and integers, are
//     written without a point where they have no fraction.
//   - Between tokens there are up to Options.Blanks blanks and line ends; before and behind the value there are none.
//   - The format of strings is held to unless Options say that it is a remark. A hostname has no label that begins with two
//     characters and "--".
//
// Not supported, and so refused: references out of the document, $dynamicRef, uniqueItems of anything but a few listed values,
// contains beside unevaluatedItems, a minimum of several members of any name, lookaround and word boundaries in patterns,
// formats of internationalised names, leap seconds in time zones that are no quarters of an hour off, negations of some of
// this, and keywords that no draft knows, but for those that begin with "x-". A name that comes twice in an object is not
// noticed where names are free.
package constrain
