package text

// Gate finds the place in a text from which on Options.Late count: for a chat, where the answer begins behind a
// thought.
type Gate interface {
	// Next takes the next piece of the text, and reports whether the place is found. n is how many bytes at the end of
	// the text so far lie behind the place or, as long as it is not found, may do so. last says that nothing follows.
	// Behind the place there are no more calls.
	Next(piece []byte, last bool) (n int, found bool)
}

// late watches a text for stop strings that count from some place on. The zero value watches for none.
type late struct {
	stops *stops // nil for none
	gate  Gate   // nil behind the place
	open  int    // bytes at the end of the text that may lie behind the place, before it is found
}

// find takes buf[from:], the next piece of the text, behind all that is held back. It returns the index of the stop
// string that ends first and where it ends in buf, or -1.
func (l *late) find(buf []byte, from int, last bool) (stop, end int) {
	if l.stops == nil {
		return -1, 0
	}
	if l.gate != nil {
		n, found := l.gate.Next(buf[from:], last)
		if !found {
			l.open = n
			return -1, 0
		}
		l.gate, l.open, from = nil, 0, len(buf)-n
	}
	stop, n := l.stops.find(buf[from:])
	return stop, from + n
}

// begun returns how many bytes at the end of the text so far may be the beginning of a stop string.
func (l *late) begun() int {
	if l.stops == nil {
		return 0
	}
	return max(l.open, l.stops.begun())
}

// reset ends the text: nothing of it is held back.
func (l *late) reset() {
	l.open = 0
	if l.stops != nil {
		l.stops.reset()
	}
}
