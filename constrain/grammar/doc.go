// Package grammar has context-free grammars whose terminals are regular expressions over bytes, and reads text by them,
// byte by byte.
//
// A [Builder] collects productions and makes a [Grammar] of them, without what can match nothing: whatever the beginning
// of a text, if it is allowed, there is an end that makes it complete.
//
// # Reading
//
// The parser is Earley's, at the level of terminals: a row of items is made where a terminal may end. Between rows only
// terminals move on: a [State] is the set of terminals that are being read, each with the row where it began and what
// is left of its expression. A terminal may end wherever its expression matches, and go on as well, so what is read is
// the language of the grammar exactly; no rule of the longest match decides anything.
//
// Rows are kept by their content: their kernel, items with the rows where these began. So two places in a text with the
// same future have the same row, and the state before each element of a long list is one state if the list is written
// with left recursion. States are kept as well, each with the states after the bytes that were met: together they are the
// part of an infinite automaton that has been visited, and a byte that was met before costs a look-up.
//
// A [Machine] keeps all this within a budget. When that is used up, readers go on in a new one.
//
// Chains of completed right-recursive items are shortened as Leo describes ("A general context-free parsing algorithm
// running in linear time on every LR(k) grammar without using lookahead", 1991); nullable symbols are as in Aycock and
// Horspool ("Practical Earley Parsing", 2002).
package grammar
