package prompt

import "strings"

// places knows where in the text of an answer its content stands. A place is a number of bytes from the start of the text.
type places struct {
	read    int      // bytes of the text that were pushed
	content [][2]int // from and to, in order, of the content that the last Push or End has found
	breaks  [][2]int // likewise of the line breaks that wait for what follows them
}

// add notes that content ends at a place. Its line breaks at the end wait.
func (p *places) add(text string, end int) {
	from := end - len(text)
	to := from + len(strings.TrimRight(text, "\n"))
	if to > from {
		p.content = append(append(p.content, p.breaks...), place(from, to)...)
		p.breaks = nil
	}
	p.breaks = append(p.breaks, place(to, end)...)
}

// place returns a place as a list, without what stands in the prompt, and nil for none.
func place(from, to int) [][2]int {
	if from = max(from, 0); from >= to {
		return nil
	}
	return [][2]int{{from, to}}
}

// Places returns where in the text of the answer the content stands that the last Push or End returned: from and to, in
// bytes from the start of the text, in order. The list is empty where there is none. All of the text before certain that
// was never in such a list is no content, whatever follows.
func (p *Parser) Places() (content [][2]int, certain int) {
	certain = p.places.read
	if p.ended {
		return p.places.content, certain
	}
	certain -= len(p.held) + len(p.calls.buf)
	if breaks := p.places.breaks; len(breaks) > 0 {
		certain = min(certain, breaks[0][0])
	}
	return p.places.content, max(certain, 0)
}
