package prompt

// Frame says where in an answer a text stands that is to have a form, such as JSON of a schema.
type Frame struct {
	After          string // the text stands behind the first of these in the answer; "" for the answer's beginning
	First          bool   // reports whether the answer has to begin with After
	Before, Behind string // what a call of a tool has before its JSON object, and behind it
	Begun          bool   // reports whether the answer's beginning is the client's, so that its form is too
	Thought        bool   // reports whether the answer begins with a thought whose tag the prompt has opened
}

// Frame returns where a text of a form stands in the answer to the prompt.
func (p *Prompt) Frame() Frame {
	f := Frame{Before: jsonFence + "\n", Behind: "\n" + fence}
	switch p.opening {
	case inThought:
		f.After, f.Thought = endThinkTag, true
	case pastThought:
		f.After, f.First = ">", true
	case inCall: // the closing fence is a stop string
		f.Before, f.Behind = "\n", ""
	case inAnswer:
		f.Begun = true
	}
	if p.Dialect.Tools == MarkdownTools {
		f.Before = callTitle + "\n" + f.Before
	}
	return f
}
