// Package gbnf reads grammars in GBNF, the notation of llama.cpp:
//
//	root  ::= "yes" | "no" reason?      # rules by name; root is the whole text
//	reason ::= ", because " [a-z ]{3,40} [^a-z]* . ( "!" | [.?] )+
//
// A rule ends at the end of its line, except within parentheses and beside | and ::=. Characters are those of UTF-8; in
// literals and sets \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH and \UHHHHHHHH stand for one. A dot is any character. Rules may
// lead to themselves in any way. Names of tokens, as <think> or <[1000]>, are refused.
package gbnf
