package sample

import "fmt"

// A Stopper watches generated text for stop strings. Of all occurrences the one that ends first wins, and of those that
// end together the longest. Text before it is emitted, the stop string and all that follows is not. Text is taken as
// bytes and may be split anywhere.
type Stopper struct {
	stops   []string
	fails   [][]int // fails[s][n]: length of the longest proper border of the first n+1 bytes of stop s
	matched []int   // bytes of each stop that the text so far ends with, the longest such prefix
	held    []byte  // text that may be the beginning of a stop string
	stop    int     // index of the stop string found, or -1
}

// NewStopper returns a Stopper for the stop strings, possibly none; an empty one is refused.
func NewStopper(stops []string) (*Stopper, error) {
	s := &Stopper{stops: append([]string(nil), stops...), matched: make([]int, len(stops)), stop: -1}
	for i, stop := range stops {
		if stop == "" {
			return nil, fmt.Errorf("sample: stop[%d]: want a string that is not empty, got \"\"", i)
		}
		s.fails = append(s.fails, borders(stop))
	}
	return s, nil
}

// borders returns, for every prefix of text, the length of its longest proper prefix that is also its suffix.
func borders(text string) []int {
	fails := make([]int, len(text))
	for i, n := 1, 0; i < len(text); i++ {
		for n > 0 && text[i] != text[n] {
			n = fails[n-1]
		}
		if text[i] == text[n] {
			n++
		}
		fails[i] = n
	}
	return fails
}

// Push takes the next piece of text and returns what may be emitted now, and whether a stop string was found. What
// could still be the beginning of one is held back. After a stop nothing is emitted any more.
func (s *Stopper) Push(text string) (emit string, stopped bool) {
	if s.stop >= 0 {
		return "", true
	}
	for i := range len(text) {
		s.held = append(s.held, text[i])
		if s.advance(text[i]); s.stop >= 0 {
			emit = string(s.held[:len(s.held)-len(s.stops[s.stop])])
			s.held = s.held[:0]
			return emit, true
		}
	}
	hold := 0
	for _, n := range s.matched {
		hold = max(hold, n)
	}
	safe := len(s.held) - hold
	emit = string(s.held[:safe])
	s.held = s.held[:copy(s.held, s.held[safe:])]
	return emit, false
}

// advance takes one byte and sets stop to the longest stop string that it completes.
func (s *Stopper) advance(b byte) {
	for i, stop := range s.stops {
		n := s.matched[i]
		for n > 0 && stop[n] != b {
			n = s.fails[i][n-1]
		}
		if stop[n] == b {
			n++
		}
		s.matched[i] = n
		if n == len(stop) && (s.stop < 0 || n > len(s.stops[s.stop])) {
			s.stop = i
		}
	}
}

// Flush returns the text held back, at the end of generation. It is empty after a stop.
func (s *Stopper) Flush() string {
	text := string(s.held)
	s.held = s.held[:0]
	clear(s.matched)
	return text
}

// Stop returns the stop string that was found, or "" while there is none.
func (s *Stopper) Stop() string {
	if s.stop < 0 {
		return ""
	}
	return s.stops[s.stop]
}

// Reset makes the Stopper ready for another text.
func (s *Stopper) Reset() {
	s.held = s.held[:0]
	clear(s.matched)
	s.stop = -1
}
