package prompt

import "strings"

// Kind says what a Delta is a part of.
type Kind int

// Kinds of deltas.
const (
	ContentDelta   Kind = iota
	ReasoningDelta      // of what the model thought
	CallDelta           // a call of a tool begins; Text is the tool's name
	ArgumentsDelta      // of the arguments of the call that began last, JSON as text
)

// Delta is a piece of an answer.
type Delta struct {
	Kind Kind
	Call int // number of the call that the delta is of, from 0
	Text string
}

// Answer is what a model wrote.
type Answer struct {
	Content    string
	Reasoning  string
	Calls      []Call // without IDs, which the caller chooses
	Unfinished bool   // reports whether the text ended within a thought, so that there is no Content
}

// ParserOptions say how an answer is read.
type ParserOptions struct {
	// Eager has arguments of calls given as they come, if the call has its name first and its arguments second. Then
	// what has begun as a call stays one, though its JSON may end too early or prove wrong. Otherwise a call is given
	// when it is whole, and what is none stays content. Eager fits answers that a grammar keeps in order.
	Eager bool
	// Single has the first call given alone. Calls behind it are left out.
	Single bool
}

// Parser divides the text of an answer, as it comes, into content, reasoning and calls of tools. It holds text back as
// long as the text may be the beginning of a mark or of a call. However the text is cut into pieces, joined deltas are
// the same. Not safe for concurrent use.
//
// # Reasoning
//
// Behind a prompt that ends in <think, or behind <think> at its beginning, text up to </think> is reasoning, but for
// the > and one line break at its beginning. White space before the content is dropped, and so are line breaks behind
// it.
//
// # Calls
//
// Calls are looked for in content, if there are tools. These forms are calls:
//
//   - a JSON object {"name":…,"arguments":{…}} or a list of such objects in a ```json fence, with the title **Tool
//     Call:** or without it. The closing fence may be missing, and several objects may follow each other.
//   - such an object, or a Python dict, behind <tool_call>
//
// A name has to be that of a tool. Arguments may be a string that holds an object. All that is no call stays content.
type Parser struct {
	thoughts
	calls  callParser
	begun  bool   // reports whether there was content
	breaks string // line breaks at the end of the content so far
	answer Answer
	text   struct{ content, reasoning strings.Builder }
	args   []*strings.Builder // of the calls
	deltas []Delta
	places places
	ended  bool
	single bool // ParserOptions.Single
	past   bool // reports whether the call that began last is left out
}

// Parser returns a parser for the answer to a prompt.
func (p *Prompt) Parser(o ParserOptions) *Parser {
	r := &Parser{thoughts: p.thoughts(), single: o.Single}
	r.calls = callParser{give: r, eager: o.Eager, names: map[string]bool{}}
	for i := range p.Tools {
		r.calls.names[p.Tools[i].Name] = true
	}
	switch p.opening {
	case inAnswer:
		r.begun = true
	case inCall:
		r.calls.begin(jsonFence)
	}
	return r
}

// Push takes the next piece of the text. It returns what is now certain.
func (p *Parser) Push(text string) []Delta {
	p.deltas, p.places.content = nil, nil
	if !p.ended {
		p.places.read += len(text)
		p.read(text, false)
	}
	return p.deltas
}

// End ends the text, and returns what was held back.
func (p *Parser) End() []Delta {
	p.deltas, p.places.content = nil, nil
	if !p.ended {
		p.ended = true
		p.answer.Unfinished = p.Thinking()
		p.read("", true)
	}
	return p.deltas
}

// Answer returns what was read so far.
func (p *Parser) Answer() Answer {
	a := p.answer
	a.Content, a.Reasoning = p.text.content.String(), p.text.reasoning.String()
	a.Calls = append([]Call(nil), a.Calls...)
	for i := range a.Calls {
		a.Calls[i].Arguments = p.args[i].String()
	}
	return a
}

// read goes through a piece of text, and through all that is held back if it is the last.
func (p *Parser) read(text string, last bool) {
	text, found := p.thoughts.read(text, last, func(reasoning string) { p.put(ReasoningDelta, reasoning) })
	if found {
		p.calls.read(text, last)
	}
}

// begun returns the length of the longest end of text that is a beginning of one of the marks, and none of them whole.
func begun(text string, marks ...string) int {
	most := 0
	for _, m := range marks {
		for n := min(len(m)-1, len(text)); n > most; n-- {
			if strings.HasSuffix(text, m[:n]) {
				most = n
			}
		}
	}
	return most
}

// content gives text of the content on, which stands before the last so many bytes of the text that was read. Line breaks
// wait for what follows them, and are dropped at the beginning.
func (p *Parser) content(text string, behind int) {
	if !p.begun {
		text = strings.TrimLeft(text, space)
		p.begun = text != ""
	}
	p.places.add(text, p.places.read-behind)
	text = p.breaks + text
	n := len(strings.TrimRight(text, "\n"))
	p.breaks = text[n:]
	p.put(ContentDelta, text[:n])
}

// call gives the beginning of a call on, unless the call is to be left out.
func (p *Parser) call(name string) {
	if p.past = p.single && len(p.args) > 0; p.past {
		return
	}
	p.answer.Calls = append(p.answer.Calls, Call{Name: name})
	p.args = append(p.args, new(strings.Builder))
	p.deltas = append(p.deltas, Delta{CallDelta, len(p.args) - 1, name})
}

// put appends to the answer and to the last delta, if that is of the same kind.
func (p *Parser) put(kind Kind, text string) {
	if text == "" || kind == ArgumentsDelta && p.past {
		return
	}
	call := 0
	switch kind {
	case ContentDelta:
		p.text.content.WriteString(text)
	case ReasoningDelta:
		p.text.reasoning.WriteString(text)
	case ArgumentsDelta:
		call = len(p.args) - 1
		p.args[call].WriteString(text)
	}
	if n := len(p.deltas); n > 0 && p.deltas[n-1].Kind == kind {
		p.deltas[n-1].Text += text
		return
	}
	p.deltas = append(p.deltas, Delta{kind, call, text})
}
