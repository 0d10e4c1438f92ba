// Package token has masks of token ids: those whose bytes a grammar allows next.
//
// A [Vocabulary] is a trie of all tokens in one array, in the order of a walk that goes down first: each node has its byte, its
// depth, the number of nodes below it and its token. A mask is one pass over that array beside the states of a grammar's
// machine, one for each depth; where a byte is not allowed, the pass goes on behind the nodes below it.
//
// Most tokens are text that stands in a string as it is: no quotation mark, no backslash, no control character. Where the
// grammar allows any such text, the mask has all of these tokens at once, and only the trie of the others is walked.
//
// Masks are shared and never written again. Those of states are kept, up to a number of bytes over all grammars.
package token
