package text

import (
	"fmt"
	"unicode/utf8"
)

// stops watches a text for stop strings. The occurrence that ends first wins, and the longest of those that end
// together.
type stops struct {
	all     []string
	fails   [][]int // fails[s][n]: length of the longest proper border of the first n+1 bytes of stop s
	matched []int   // bytes of each stop that the text so far ends with, the longest such prefix
}

// newStops checks the stop strings of a field of Options. One that is not valid UTF-8 could only be found inside a
// character.
func newStops(field string, all []string) (*stops, error) {
	s := &stops{all: append([]string(nil), all...), matched: make([]int, len(all))}
	for i, stop := range all {
		switch {
		case stop == "":
			return nil, fmt.Errorf("text: %s[%d]: want a string that is not empty, got \"\"", field, i)
		case !utf8.ValidString(stop):
			return nil, fmt.Errorf("text: %s[%d]: want valid UTF-8, got %q", field, i, stop)
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

// find takes the next piece of the text. It returns the index of the stop string that ends first in it, and the bytes
// of the piece up to that end; or -1 and the length of the piece.
func (s *stops) find(piece []byte) (stop, n int) {
	if len(s.all) == 0 {
		return -1, len(piece)
	}
	for i, b := range piece {
		if stop := s.advance(b); stop >= 0 {
			return stop, i + 1
		}
	}
	return -1, len(piece)
}

// advance takes one byte and returns the longest stop string that it completes, or -1.
func (s *stops) advance(b byte) int {
	found := -1
	for i, stop := range s.all {
		n := s.matched[i]
		for n > 0 && stop[n] != b {
			n = s.fails[i][n-1]
		}
		if stop[n] == b {
			n++
		}
		if n == len(stop) {
			if found < 0 || n > len(s.all[found]) {
				found = i
			}
			n = s.fails[i][n-1]
		}
		s.matched[i] = n
	}
	return found
}

// begun returns how many bytes at the end of the text so far may be the beginning of a stop string.
func (s *stops) begun() int {
	most := 0
	for _, n := range s.matched {
		most = max(most, n)
	}
	return most
}

// reset begins a new text.
func (s *stops) reset() { clear(s.matched) }
