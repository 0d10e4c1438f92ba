// Package player plays one sequence of an engine: it goes on by itself, stops, takes single steps, goes back to states
// that it keeps on the device, and reads what somebody types. It knows no window.
package player
