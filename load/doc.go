// Package load opens what a program runs: a model with the LoRAs merged into it, quantized or not, the state that its
// sequences begin with, and its vocabulary. It is the one way for every program, the command line among them: Options
// are texts as a user gives them, errors say which of them is at fault, and what is worth a word goes to a callback.
// The device is the engine's business.
package load
