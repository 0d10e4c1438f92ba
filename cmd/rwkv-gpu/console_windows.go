package main

import "golang.org/x/sys/windows"

// obeysSequences reports whether a terminal obeys sequences such as those for bold text. A console has to be told to. One
// that is older than Windows 10 cannot.
func obeysSequences(terminal any) bool {
	f, ok := fileOf(terminal)
	if !ok {
		return false
	}
	var mode uint32
	console := windows.Handle(f.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	const wanted = windows.ENABLE_PROCESSED_OUTPUT | windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING
	return mode&wanted == wanted || windows.SetConsoleMode(console, mode|wanted) == nil
}
