// Package eval measures how well a model predicts text: perplexity and bits per byte of documents, LAMBADA, multiple
// choice, and what quantizing costs.
//
// A task is a list of Items: contexts, and what follows them. A Scorer runs items on an engine, several at once, and
// returns the negative log-probability of each token that follows. A task makes its Result of these.
package eval
