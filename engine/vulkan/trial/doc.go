// Package trial runs the forms of the steps' choices to compare them: on the model's own weights, in memory of its own,
// which is as large as the trial needs and is freed after it. Nothing that a pass reads or writes is touched.
package trial
