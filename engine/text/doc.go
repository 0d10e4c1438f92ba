// Package text turns the ids that a model draws into text, as they come.
//
// A [Writer] holds text back for two reasons only: a token may end inside a character, and text may be the beginning of
// a stop string. The texts that it returns are valid UTF-8. Joined they are tokenizer.Text of all bytes, up to the stop
// string, however the tokens divide the text.
//
// A Writer also tells why the text ended, and how many of its ids spell text and no part of a stop string. A state that
// the next turn of a conversation continues has been fed these ids.
package text
