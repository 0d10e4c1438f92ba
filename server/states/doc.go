// Package states keeps states of a model under ids, for requests to begin from and for users to take away.
//
// A state belongs to the user who made it. For anybody else its id stands for nothing, and ids cannot be guessed.
//
// Bytes are bounded, of each user and of all together. There are two sorts of states. Lasting ones stay until their user
// deletes them; where there is no room for another, that is an error. The others make room for new ones: first those of
// the user who has too much, the least recently used first, then those of the user who has the most.
//
// States lie in memory, or in the files of a folder, which another server of the same model finds again.
package states
