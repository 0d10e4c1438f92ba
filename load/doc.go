// Package load opens what a program runs: a model with its LoRAs merged in, quantized or not, the state that sequences
// begin with, and the vocabulary. Every program opens these by it, the command line too. Options are texts as a user
// gives them. An error says which option is at fault, and notices go to a callback. The engine opens the device.
package load
