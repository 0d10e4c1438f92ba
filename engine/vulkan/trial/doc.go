// Package trial runs the forms of a choice to compare them. A trial runs on the model's own weights, in memory of its
// own, which it frees at its end. It touches nothing that a pass reads or writes.
package trial
