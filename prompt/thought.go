package prompt

import (
	"encoding/json"
	"fmt"
	"strings"
)

// thoughts finds the content of an answer, behind a thought, tags and white space.
type thoughts struct {
	state thought
	held  string // text of the thought or before the content that is not certain
}

// thought is a place in an answer.
type thought int

const (
	beforeContent thought = iota // white space and tags may follow
	openTag                      // the > of <think> may follow
	closeTag                     // the > of </think> may follow
	firstLine                    // a line break that is dropped may follow
	thinkText
	contentText
)

// thoughts returns where the answer to a prompt begins.
func (p *Prompt) thoughts() thoughts {
	states := map[opening]thought{inThought: openTag, pastThought: closeTag, inAnswer: contentText, inCall: contentText}
	return thoughts{state: states[p.opening]}
}

// Thinking reports whether the text so far ends within a thought.
func (t *thoughts) Thinking() bool {
	return t.state == openTag || t.state == firstLine || t.state == thinkText
}

// read goes through a piece of text. It gives what is of the thought, and returns what is of the content, if that has
// been found.
func (t *thoughts) read(text string, last bool, give func(reasoning string)) (content string, found bool) {
	if t.state != contentText {
		text = t.held + text
		t.held = ""
	}
	for t.state != contentText {
		var more bool
		if text, more = t.step(text, last, give); !more {
			return "", false
		}
	}
	return text, true
}

// step goes one step in a text before the content. It returns the rest, and reports whether there is another step.
func (t *thoughts) step(text string, last bool, give func(string)) (rest string, more bool) {
	switch t.state {
	case openTag, closeTag, firstLine:
		mark, next := ">", firstLine
		switch t.state {
		case closeTag:
			next = beforeContent
		case firstLine:
			mark, next = "\n", thinkText
		}
		if text == "" && !last {
			return "", false
		}
		t.state = next
		return strings.TrimPrefix(text, mark), true
	case thinkText:
		before, after, found := strings.Cut(text, endThinkTag)
		if found {
			give(before)
			t.state = beforeContent
			return after, true
		}
		n := 0
		if !last {
			n = begun(text, endThinkTag)
		}
		give(text[:len(text)-n])
		t.held = text[len(text)-n:]
		return "", false
	}
	text = strings.TrimLeft(text, space)
	for tag, next := range map[string]thought{thinkTag: firstLine, endThinkTag: beforeContent} {
		if rest, found := strings.CutPrefix(text, tag); found {
			t.state = next
			return rest, true
		}
		if strings.HasPrefix(tag, text) && (!last || text == "") {
			t.held = text
			return "", false
		}
	}
	t.state = contentText
	return text, true
}

// Start finds where the content of an answer starts, which is where the stop strings of a client begin to count. It is
// a text.Gate. Not safe for concurrent use.
type Start struct {
	thoughts
	never bool
	begun bool // reports whether it has seen some of the text
}

// Start returns the start of the content of the answer to a prompt. An answer that the prompt begins as a call of a
// tool has none.
func (p *Prompt) Start() *Start { return &Start{thoughts: p.thoughts(), never: p.opening == inCall} }

// Next takes the next piece of the text, and reports whether the content has started. n is how many bytes at the end of
// the text so far are content or, as long as it has not started, may be. last says that nothing follows.
func (s *Start) Next(piece []byte, last bool) (n int, found bool) {
	s.begun = true
	if s.never {
		return 0, false
	}
	content, found := s.read(string(piece), last, func(string) {})
	if !found && s.state == beforeContent {
		return len(s.held), false
	}
	return len(content), found
}

// startRecipe is what a Start is made from.
type startRecipe struct {
	Place thought `json:"place"`
	Never bool    `json:"never,omitempty"`
}

// Recipe returns what RemakeStart makes a start from that has seen no text; nil once it has seen some.
func (s *Start) Recipe() []byte {
	if s.begun {
		return nil
	}
	r, _ := json.Marshal(startRecipe{s.state, s.never}) // never fails
	return r
}

// RemakeStart returns the start of a recipe.
func RemakeStart(recipe []byte) (*Start, error) {
	var r startRecipe
	if err := json.Unmarshal(recipe, &r); err != nil || r.Place < beforeContent || r.Place > contentText {
		return nil, fmt.Errorf("prompt: the recipe of the start of an answer: want a place from %d to %d, got something else", beforeContent, contentText)
	}
	return &Start{thoughts: thoughts{state: r.Place}, never: r.Never}, nil
}
