package prompt

import (
	"fmt"
	"slices"
	"strings"
)

// Options say how a conversation is written. The zero value is a cleaned conversation without tools and thoughts, for
// the newest models.
type Options struct {
	Think         Think
	Date          int // of the model, as Choice has it
	Tools         []Tool
	ToolChoice    ToolChoice
	KeepReasoning bool // reports whether earlier answers keep their thoughts, with ThinkFast also the empty ones
	Unclean       bool // reports whether texts stay as they are, with blank lines and white space at their ends
	Continue      bool // reports whether the last message, of an assistant, is the beginning of the answer
	Paragraph     bool // reports whether the answer also ends at a blank line
	Begun         bool // reports whether the messages go on with a conversation that was written Closed before
	Closed        bool // reports whether the prompt ends behind the last message's separator, with no answer begun
}

// ToolChoice says whether the model calls a tool. The zero value leaves it to the model.
type ToolChoice struct {
	Mode ToolMode
	Name string // of the tool, for ToolNamed
}

// ToolMode is a kind of ToolChoice.
type ToolMode int

// Modes of choosing tools.
const (
	ToolAuto ToolMode = iota
	ToolNone          // no tool is described, and none is looked for in the answer
	ToolRequired
	ToolNamed
)

// Part says what a segment is of a message.
type Part string

// Parts of a prompt.
const (
	Header   Part = "header"
	Content  Part = "content"
	ToolList Part = "tools"
	Thought  Part = "reasoning"
	Ending   Part = "separator"
	Opening  Part = "opening" // the beginning of the answer
)

// Mark says whether the place behind a segment is worth keeping the state of.
type Mark uint8

// Marks, the least important first.
const (
	NoMark Mark = iota
	Turn        // a place where a conversation is changed or goes on
	Anchor      // a place that many conversations share: the end of the system's message
)

// Segment is a part of a prompt that is encoded by itself.
type Segment struct {
	Part Part
	Role Role
	Text string
	// Verbatim is the text of an answer as the client sent it, where cleaning changed it. If ids of a kept state spell
	// it, the model wrote it so, and these ids are to be taken. Otherwise Text is encoded.
	Verbatim string
	Answer   bool // reports whether a model wrote the text; clients may have trimmed it
	End      Mark // of the place behind the segment
}

// Prompt is a conversation as text, up to where the model goes on.
type Prompt struct {
	Dialect  *Dialect // the one that wrote it: the ToolDialect where there are tools
	Think    Think
	Tools    []Tool // those that the answer may call
	Segments []Segment
	Stop     []string // as Dialect.Stop
	Preset   string   // of Dialect.Preset, or the one for a call of a tool

	opening opening
}

// opening says what of the answer stands in the prompt already.
type opening int

const (
	atHeader    opening = iota // nothing
	inThought                  // <think
	pastThought                // <think></think
	inCall                     // ```json
	inAnswer                   // a text of the client's
)

// Text returns the whole prompt.
func (p *Prompt) Text() string {
	var b strings.Builder
	for i := range p.Segments {
		b.WriteString(p.Segments[i].Text)
	}
	return b.String()
}

// Render writes messages in the dialect. The error is a *FieldError of "messages", "think", "tools" or "tool_choice".
func (d *Dialect) Render(messages []Message, o Options) (*Prompt, error) {
	if o.Think == "" {
		o.Think = ThinkOff
	}
	if o.ToolChoice.Mode == ToolNone {
		o.Tools = nil
	}
	if d.ToolDialect != "" && (len(o.Tools) > 0 || usesTools(messages)) {
		d = named(d.ToolDialect)
	}
	if err := d.check(messages, &o); err != nil {
		return nil, err
	}
	r := renderer{d: d, o: o, talked: o.Begun,
		prompt: &Prompt{Dialect: d, Think: o.Think, Tools: o.Tools, Stop: slices.Clone(d.Stop), Preset: d.Preset}}
	r.conversation(messages)
	if !o.Closed {
		r.open(messages)
	}
	if o.Paragraph {
		r.prompt.Stop = append([]string{Paragraph}, r.prompt.Stop...)
	}
	return r.prompt, nil
}

// Fill writes what stands before and behind a gap, for a model to fill it in. The texts stay as they are. The error is a
// *FieldError of "suffix".
func (d *Dialect) Fill(prefix, suffix string) (*Prompt, error) {
	if d.FillStart == "" {
		return nil, &FieldError{"suffix", "none with the template " + d.Name, "one"}
	}
	r := renderer{d: d, prompt: &Prompt{Dialect: d, Think: ThinkOff, Stop: []string{flower}, Preset: d.Preset, opening: inAnswer}}
	r.add(Segment{Part: Header, Role: User, Text: d.FillStart})
	r.add(Segment{Part: Content, Role: User, Text: suffix})
	r.add(Segment{Part: Header, Role: User, Text: d.FillMiddle, End: Turn})
	r.add(Segment{Part: Content, Role: User, Text: prefix})
	return r.prompt, nil
}

// usesTools reports whether tools were called in a conversation.
func usesTools(messages []Message) bool {
	for i := range messages {
		if messages[i].Role == Output || len(messages[i].Calls) > 0 {
			return true
		}
	}
	return false
}

// check finds what the dialect cannot write.
func (d *Dialect) check(messages []Message, o *Options) error {
	if len(messages) == 0 {
		return &FieldError{"messages", "at least one message", "none"}
	}
	for i := range messages {
		if r := messages[i].Role; r != System && r != User && r != Assistant && r != Output {
			return &FieldError{fmt.Sprintf("messages[%d].role", i), "system, user, assistant or tool", fmt.Sprintf("%q", r)}
		}
	}
	if _, err := ParseThink("think", string(o.Think)); err != nil {
		return err
	}
	last := &messages[len(messages)-1]
	switch {
	case o.Think != ThinkOff && !d.Thinks:
		return &FieldError{"think", "off with the template " + d.Name, string(o.Think)}
	case len(o.Tools) > 0 && d.Tools == NoTools:
		return &FieldError{"tools", "none with the template " + d.Name, fmt.Sprint(len(o.Tools))}
	case o.ToolChoice.Mode == ToolRequired && len(o.Tools) == 0:
		return &FieldError{"tools", "at least one, since tool_choice requires one", "none"}
	case o.ToolChoice.Mode == ToolNamed && !has(o.Tools, o.ToolChoice.Name):
		return &FieldError{"tool_choice", "the name of one of the tools", fmt.Sprintf("%q", o.ToolChoice.Name)}
	case o.Continue && (last.Role != Assistant || len(last.Calls) > 0):
		return &FieldError{"messages", "an assistant's text as the last message, to go on with", "a message of " + string(last.Role)}
	}
	return nil
}

func has(tools []Tool, name string) bool {
	for i := range tools {
		if tools[i].Name == name {
			return true
		}
	}
	return false
}

// renderer writes a prompt.
type renderer struct {
	d      *Dialect
	o      Options
	prompt *Prompt
	system bool // reports whether a system's message was written
	talked bool // reports whether another message was written, here or before
}

// add appends a segment, unless it is empty.
func (r *renderer) add(s Segment) {
	if s.Text != "" {
		r.prompt.Segments = append(r.prompt.Segments, s)
	}
}

// clean returns the text of a message.
func (r *renderer) clean(text string) string {
	if r.o.Unclean {
		return text
	}
	return Clean(text)
}

// lead puts the dialect's Lead before a text, if there is one.
func (r *renderer) lead(text string) string {
	if text == "" {
		return ""
	}
	return r.d.Lead + text
}

// conversation writes all messages but one to continue.
func (r *renderer) conversation(messages []Message) {
	first := 0 // message that is not of the system
	for !r.o.Begun && first < len(messages) && messages[first].Role == System {
		first++
	}
	switch {
	case r.o.Begun: // what stands at the start of a conversation was written
	case first > 0 || len(r.o.Tools) > 0:
		r.systemMessages(messages[:first])
	case len(r.d.Introduction) > 0:
		for i := range r.d.Introduction {
			r.message(&r.d.Introduction[i], false)
		}
		r.prompt.Segments[len(r.prompt.Segments)-1].End = Anchor
	}
	asks := -1 // the last user's message, which asks for a thought of some length
	for i := range messages {
		if messages[i].Role == User && !r.o.Closed {
			asks = i
		}
	}
	if r.o.Continue {
		messages = messages[:len(messages)-1]
	}
	for i := first; i < len(messages); i++ {
		r.message(&messages[i], i == asks)
	}
}

// message writes a message and its separator.
func (r *renderer) message(m *Message, asks bool) {
	end := Turn
	switch m.Role {
	case System:
		r.systemMessages([]Message{*m})
		return
	case User:
		header := r.d.UserHeader
		if r.system && r.d.AfterSystem != "" {
			header = r.d.AfterSystem
		}
		r.add(Segment{Part: Header, Role: User, Text: header})
		r.add(Segment{Part: Content, Role: User, Text: r.lead(r.clean(m.Content))})
		if suffix := thinkingOf(r.o.Date).suffix[r.o.Think]; asks && suffix != "" {
			r.prompt.Segments[len(r.prompt.Segments)-1].End = Turn // the next turn has no suffix here
			r.add(Segment{Part: Content, Role: User, Text: suffix})
		}
	case Output:
		r.add(Segment{Part: Header, Role: Output, Text: r.d.header(Output)})
		r.add(Segment{Part: Content, Role: Output, Text: r.lead(r.output(m.Content))})
	case Assistant:
		r.add(Segment{Part: Header, Role: Assistant, Text: r.d.AssistantHeader, End: Turn})
		r.answer(m)
		end = NoMark // the state before the separator is the one of the turn
	}
	r.talked = true
	r.add(Segment{Part: Ending, Role: m.Role, Text: r.d.Separator, End: end})
}

// header returns the header of what a tool returned; dialects without tools show it as a user's text.
func (d *Dialect) header(role Role) string {
	if role == Output && d.OutputHeader == "" {
		return d.UserHeader
	}
	return d.OutputHeader
}

// answer writes the text of an assistant.
func (r *renderer) answer(m *Message) {
	reasoning, content := m.Reasoning, m.Content
	if thought, rest := splitThink(content); thought != "" || rest != content {
		content = rest
		if reasoning == "" {
			reasoning = thought
		}
	}
	lead := r.d.Lead
	switch keep := r.o.KeepReasoning && r.d.Thinks; {
	case keep && strings.TrimSpace(reasoning) != "":
		r.add(Segment{Part: Thought, Role: Assistant, Text: lead + openThink})
		text := ">\n" + strings.TrimSpace(reasoning) + "\n" + endThinkTag
		r.add(Segment{Part: Thought, Role: Assistant, Text: text, Answer: true, End: Turn})
		lead = "\n"
	case keep && r.o.Think == ThinkFast && content != "":
		r.add(Segment{Part: Thought, Role: Assistant, Text: lead + thinkingOf(r.o.Date).fast})
		lead = ">\n"
	}
	text, verbatim := content, content
	if !r.o.Unclean {
		text = strip(content)
		if !r.d.KeepsLines {
			text = Clean(content)
		}
		verbatim = strip(content)
	}
	text, verbatim = r.calls(text, m.Calls, false), r.calls(verbatim, m.Calls, true)
	if text == "" {
		return
	}
	s := Segment{Part: Content, Role: Assistant, Text: lead + text, Answer: true, End: Turn}
	if verbatim != text {
		s.Verbatim = lead + verbatim
	}
	r.add(s)
}

// open writes the beginning of the answer.
func (r *renderer) open(messages []Message) {
	p := r.prompt
	r.add(Segment{Part: Header, Role: Assistant, Text: r.d.AssistantHeader, End: Turn})
	if r.o.Continue {
		r.answer(&messages[len(messages)-1])
		p.opening = inAnswer
		if n := len(p.Segments); p.Segments[n-1].Part == Content {
			p.Segments[n-1].End = NoMark
		}
		return
	}
	if text := thinkingOf(r.o.Date).opening(r.o.Think); text != "" {
		p.opening = inThought
		if r.o.Think == ThinkFast {
			p.opening = pastThought
		}
		r.add(Segment{Part: Opening, Role: Assistant, Text: r.d.Lead + text})
		return
	}
	if r.d.Tools == JSONTools && (r.o.ToolChoice.Mode == ToolRequired || r.o.ToolChoice.Mode == ToolNamed) {
		p.opening = inCall
		r.add(Segment{Part: Opening, Role: Assistant, Text: r.d.Lead + jsonFence})
		p.Stop = append([]string{"\n" + fence}, p.Stop...)
		p.Preset = "tools"
	}
}
