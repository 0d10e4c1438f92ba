// Package folder keeps checkpoints as files of one folder, a file for each.
//
// A file tells the token ids that led to the state, the namespace they belong to, and the identity of what computed the
// state. Its name is made of these. A file appears under its name only when it is complete, and checksums cover all of
// it, so whoever reads it gets the state of its name or [ErrBroken]. Several processes may use one folder.
//
// The package knows neither budgets nor what is worth keeping.
package folder
