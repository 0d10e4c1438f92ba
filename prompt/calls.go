package prompt

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

const legacyTag, endLegacyTag = "<tool_call>", "</tool_call>"

// callMarks are what a call may begin with.
var callMarks = []string{callTitle, jsonFence, legacyTag}

// callParser finds calls of tools in the content of an answer, as it comes.
type callParser struct {
	give  *Parser
	names map[string]bool // of the tools
	eager bool

	buf   []byte // text that is not certain; within a call, all of it from its mark on
	phase phase
	mark  string // what the call that is looked at begins with
	at    int    // bytes of buf that were looked at
	from  int    // the place of the value in buf
	scan  scanner

	open  bool // reports whether the call was given before it is whole
	given int  // the place in buf up to which its arguments were given, or -1 if all were
}

// phase is where a callParser is.
type phase int

const (
	seeking phase = iota // for a mark
	titled               // behind **Tool Call:**: a fence follows
	fenced               // behind a fence or a tag: the value follows
	within               // the value
	closing              // behind a value: a closing fence, or another value
)

// read takes text, and decides on all of it if it is the last.
func (c *callParser) read(text string, last bool) {
	if len(c.names) == 0 && c.phase == seeking {
		c.give.content(text, 0)
		return
	}
	c.buf = append(c.buf, text...)
	for c.step(last) {
	}
	if last {
		c.content(len(c.buf))
	}
}

// begin begins the look at what may be a call, at a mark that stands at the start of buf.
func (c *callParser) begin(mark string) {
	c.mark, c.at, c.open = mark, len(mark), false
	c.phase = fenced
	if mark == callTitle {
		c.phase = titled
	}
	if !bytes.HasPrefix(c.buf, []byte(mark)) {
		c.buf = append([]byte(mark), c.buf...) // it stands in the prompt
	}
}

// step goes one step on. It reports whether there is another.
func (c *callParser) step(last bool) bool {
	switch c.phase {
	case seeking:
		return c.seek()
	case titled, fenced:
		return c.follows(last)
	case within:
		return c.value(last)
	}
	return c.close(last)
}

// follows looks for the fence behind a title, and for the value behind a fence. White space may stand before them.
func (c *callParser) follows(last bool) bool {
	rest := bytes.TrimLeft(c.buf[c.at:], space)
	at := len(c.buf) - len(rest)
	switch {
	case c.phase == titled && bytes.HasPrefix(rest, []byte(jsonFence)):
		c.at, c.phase = at+len(jsonFence), fenced
	case c.phase == fenced && opens(rest):
		c.at, c.from, c.phase = at, at, within
		c.scan = scanner{python: c.mark == legacyTag}
	case !last && (len(rest) == 0 || c.phase == titled && strings.HasPrefix(jsonFence, string(rest))):
		return false // it may still come
	default:
		c.reject()
	}
	return true
}

// opens reports whether an object or a list begins.
func opens(text []byte) bool { return len(text) > 0 && (text[0] == '{' || text[0] == '[') }

// space is the white space of JSON.
const space = " \t\r\n"

// seek looks for a mark. Text before it is content.
func (c *callParser) seek() bool {
	first, mark := len(c.buf), ""
	for _, m := range callMarks {
		if i := bytes.Index(c.buf, []byte(m)); i >= 0 && i < first {
			first, mark = i, m
		}
	}
	if mark == "" {
		n := begun(string(c.buf), callMarks...)
		c.content(len(c.buf) - n)
		return false
	}
	c.content(first)
	c.begin(mark)
	return true
}

// content gives the first n bytes of buf on as content.
func (c *callParser) content(n int) {
	c.give.content(string(c.buf[:n]), len(c.buf)-n)
	c.buf = c.buf[n:]
}

// reject gives up the look at a call: its mark is content, and the rest is read anew.
func (c *callParser) reject() {
	c.content(len(c.mark))
	c.phase = seeking
}

// value goes through the value of a call.
func (c *callParser) value(last bool) bool {
	for c.at < len(c.buf) {
		r := c.scan.next(c.buf[c.at])
		if r == bad {
			c.broken()
			return true
		}
		c.at++
		switch {
		case r == done:
			return c.whole()
		case c.open && c.scan.depth == 1:
			c.arguments()
			c.given = -1
		case c.eager && !c.open && c.scan.depth == 2 && c.buf[c.at-1] == '{':
			c.early()
		}
	}
	if last {
		c.broken()
	}
	c.arguments()
	return last
}

// broken ends a call whose value is no JSON, or ends too early.
func (c *callParser) broken() {
	if !c.open {
		c.reject()
		return
	}
	c.arguments()
	c.buf, c.open, c.phase = c.buf[c.at:], false, seeking
}

// whole gives a call on whose value is complete.
func (c *callParser) whole() bool {
	if !c.open {
		calls := c.parse(string(c.buf[c.from:c.at]))
		if calls == nil {
			c.reject()
			return true
		}
		for _, call := range calls {
			c.give.call(call.Name)
			c.give.put(ArgumentsDelta, call.Arguments)
		}
	}
	c.buf, c.open, c.phase = c.buf[c.at:], false, closing
	return true
}

// close looks at what follows a call.
func (c *callParser) close(last bool) bool {
	end := fence
	if c.mark == legacyTag {
		end = endLegacyTag
	}
	rest := bytes.TrimLeft(c.buf, space+",")
	switch {
	case bytes.HasPrefix(rest, []byte(end)):
		c.buf, c.phase = rest[len(end):], seeking
		return true
	case strings.HasPrefix(end, string(rest)): // and rest may be empty
		if last {
			c.buf, c.phase = nil, seeking
		}
		return false
	case c.mark != legacyTag && opens(rest):
		c.mark = string(c.buf[:len(c.buf)-len(rest)+1]) // what is content if the value is no call
		c.at, c.open, c.phase = len(c.mark)-1, false, fenced
		return true
	}
	c.phase = seeking
	return true
}

// nameFirst matches a call up to the first byte of its arguments.
var nameFirst = regexp.MustCompile(`^\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*\{$`)

// early gives the beginning of a call on if its arguments begin with the last byte.
func (c *callParser) early() {
	found := nameFirst.FindSubmatch(c.buf[c.from:c.at])
	if found == nil {
		return
	}
	var name string
	if err := json.Unmarshal(found[1], &name); err != nil || !c.names[name] {
		return
	}
	c.open, c.given = true, c.at-1
	c.give.call(name)
}

// arguments gives on what was looked at of the arguments of an open call.
func (c *callParser) arguments() {
	if c.open && c.given >= 0 {
		c.give.put(ArgumentsDelta, string(c.buf[c.given:c.at]))
		c.given = c.at
	}
}

// parse returns the calls that a value holds, nil if it is something else.
func (c *callParser) parse(text string) []Call {
	if c.mark == legacyTag && !json.Valid([]byte(text)) {
		var err error
		if text, err = pythonJSON(text); err != nil {
			return nil
		}
	}
	list := []json.RawMessage{json.RawMessage(text)}
	if text[0] == '[' && json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	var calls []Call
	for _, raw := range list {
		call, ok := c.parseCall(raw)
		if !ok {
			return nil
		}
		calls = append(calls, call)
	}
	return calls
}

func (c *callParser) parseCall(raw json.RawMessage) (call Call, ok bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || json.Unmarshal(fields["name"], &call.Name) != nil || !c.names[call.Name] {
		return call, false
	}
	args := string(fields["arguments"])
	if strings.HasPrefix(args, `"`) {
		var text string
		if json.Unmarshal([]byte(args), &text) != nil {
			return call, false
		}
		if args = strings.Trim(text, space); !json.Valid([]byte(args)) {
			var err error
			if args, err = pythonJSON(args); err != nil {
				return call, false
			}
		}
	}
	call.Arguments = args
	return call, strings.HasPrefix(args, "{")
}
