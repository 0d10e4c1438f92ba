// Package unasked keeps Bubble Tea from asking the terminal for its background colour as soon as a program starts, in
// every command. The question takes seconds where a terminal does not answer, takes what the user has typed for the
// answer, and puts commands for the terminal before the output.
//
// Bubble Tea's first version asks when it is initialised. It does not ask a terminal of the kind "dumb". So this package
// is initialised before, and says that the terminal is such a one until Done is called. Go initialises packages in the
// order of their paths where imports leave a choice. Bubble Tea imports golang.org/x/sys, whose path comes after those of
// this module. TestChatOnTerminal of the command sees whether the terminal is asked.
package unasked

import "os"

const kind = "TERM"

var hidden, there = hide()

func hide() (before string, there bool) {
	before, there = os.LookupEnv(kind)
	_ = os.Setenv(kind, "dumb") // which fails for no such name and value
	return before, there
}

// Done gives the terminal its kind back. It is the first that a program does.
func Done() {
	if there {
		_ = os.Setenv(kind, hidden)
		return
	}
	_ = os.Unsetenv(kind)
}
