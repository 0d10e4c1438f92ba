// Package bench measures how fast a model runs on a device, and how that compares with what the device can do at all.
//
// A test feeds tokens to some sequences at once, each of which has a number of tokens behind it, its depth: "pp512" is
// a prefill of 512 tokens to each sequence, "tg128" 128 decode steps of one token to each, all with their logits; these
// tokens are random, and nothing is sampled. "gen128" draws 128 tokens, each from the logits of the one before, as
// generate does. What the figures mean stands in README.md and beside the fields of Result.
package bench
