// Package text turns the ids that a model draws into text, as they come.
//
// A [Writer] holds text back for two reasons only: a token may end inside a character, and text may be the beginning of a
// stop string. What it returns is valid UTF-8, and the texts it returns, joined, do not depend on how tokens divide the
// text: they are tokenizer.Text of all bytes, up to the stop string.
//
// A Writer also knows why the text ended, and how many of its ids spell text and no part of a stop string: that is how far
// a state may have gone that the next turn of a conversation shall continue.
package text
