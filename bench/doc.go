// Package bench measures how fast a model runs on a device, and compares that with what the device can do.
//
// A test feeds tokens to some sequences at once. The depth is the number of tokens behind each sequence. "pp512" is a
// prefill of 512 tokens to each sequence, "tg128" 128 decode steps of one token to each, all with their logits. These
// tokens are random, and nothing is sampled. "gen128" draws 128 tokens, each from the logits of the one before, as
// generate does. README.md and the fields of Result say what the figures mean.
package bench
