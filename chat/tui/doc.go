// Package tui shows a conversation on a terminal: the turns above, what is being written below, and a line that says what
// the last answer cost. Answers appear as they are drawn and may be stopped, and thoughts are folded.
package tui
