package prompt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// FieldError says which field of an input is wrong. A server names Field as the parameter at fault.
type FieldError struct {
	Field string // with a path, such as messages[3].content[0].type
	Want  string
	Got   string // never a text of the conversation
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: want %s, got %s", e.Field, e.Want, e.Got)
}

// ParseMessages reads a list of messages in the form of OpenAI's chat completions. field is the list's name in errors,
// which are *FieldError. Fields that it does not know are ignored.
//
//   - Roles are system, developer, user, assistant and tool.
//   - content is a string or a list of parts {"type":"text","text":…}. That of an assistant may be null or missing if
//     the message has tool_calls or reasoning.
//   - tool_calls are {"id","type":"function","function":{"name","arguments"}}. The arguments are a string or an object.
//   - reasoning_content and reasoning, its other name, are a string or null.
func ParseMessages(field string, data []byte) ([]Message, error) {
	v, err := parse(field, data)
	if err != nil {
		return nil, err
	}
	list, err := v.list()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &FieldError{field, "at least one message", "none"}
	}
	messages := make([]Message, len(list))
	for i, item := range list {
		if messages[i], err = parseMessage(item); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// ParseTools reads a list of tools, {"type":"function","function":{"name","description","parameters"}}, or the fields
// of function without one. field is the list's name in errors, which are *FieldError.
func ParseTools(field string, data []byte) ([]Tool, error) {
	v, err := parse(field, data)
	if err != nil {
		return nil, err
	}
	list, err := v.list()
	if err != nil {
		return nil, err
	}
	tools := make([]Tool, len(list))
	for i, item := range list {
		if tools[i], err = parseTool(item); err != nil {
			return nil, err
		}
	}
	return tools, nil
}

func parseMessage(v value) (m Message, err error) {
	o, err := v.object()
	if err != nil {
		return m, err
	}
	role, err := o.field("role").oneOf("system", "developer", "user", "assistant", "tool")
	if err != nil {
		return m, err
	}
	if role == "developer" {
		role = "system"
	}
	m.Role = Role(role)
	switch m.Role {
	case Assistant:
		err = m.parseAnswer(o)
		return m, err
	case Output:
		if id := o.field("tool_call_id"); !id.null() {
			if m.CallID, err = id.text(); err != nil {
				return m, err
			}
		}
	}
	m.Content, err = o.field("content").content("text", "input_text")
	return m, err
}

// parseAnswer reads the fields of an assistant's message.
func (m *Message) parseAnswer(o object) (err error) {
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if v := o.field(name); !v.null() {
			text, err := v.text()
			if err != nil {
				return err
			}
			if m.Reasoning == "" {
				m.Reasoning = text
			}
		}
	}
	if calls := o.field("tool_calls"); !calls.null() {
		list, err := calls.list()
		if err != nil {
			return err
		}
		for _, item := range list {
			c, err := parseCall(item)
			if err != nil {
				return err
			}
			m.Calls = append(m.Calls, c)
		}
	}
	if v := o.field("content"); !v.null() || m.Reasoning == "" && len(m.Calls) == 0 {
		m.Content, err = v.content("text", "output_text", "refusal")
	}
	return err
}

func parseCall(v value) (c Call, err error) {
	o, err := v.object()
	if err != nil {
		return c, err
	}
	if id := o.field("id"); !id.null() {
		if c.ID, err = id.text(); err != nil {
			return c, err
		}
	}
	f, err := function(o)
	if err != nil {
		return c, err
	}
	if c.Name, err = f.field("name").name(); err != nil {
		return c, err
	}
	switch args := f.field("arguments"); args.kind() {
	case aString:
		c.Arguments, err = args.text()
	case anObject:
		c.Arguments = string(args.raw)
	case nothing, aNull:
	default:
		err = args.wrong("a string or an object")
	}
	return c, err
}

func parseTool(v value) (t Tool, err error) {
	o, err := v.object()
	if err != nil {
		return t, err
	}
	if !o.field("function").null() || o.field("name").null() {
		if o, err = function(o); err != nil {
			return t, err
		}
	} else if _, err = o.functionType(); err != nil {
		return t, err
	}
	if t.Name, err = o.field("name").name(); err != nil {
		return t, err
	}
	if d := o.field("description"); !d.null() {
		if t.Description, err = d.text(); err != nil {
			return t, err
		}
	}
	if p := o.field("parameters"); !p.null() {
		if _, err = p.object(); err != nil {
			return t, err
		}
		t.Parameters = p.raw
	}
	return t, nil
}

// function returns the object "function" of a call or a tool, of that type.
func function(o object) (object, error) {
	if _, err := o.functionType(); err != nil {
		return object{}, err
	}
	return o.field("function").object()
}

// functionType wants the type "function", which may be missing.
func (o object) functionType() (string, error) {
	if v := o.field("type"); !v.null() {
		return v.oneOf("function")
	}
	return "function", nil
}

// content reads a message's content. A part of each type has its text in the field "text", or in one of its type's
// name.
func (v value) content(types ...string) (string, error) {
	switch v.kind() {
	case aString:
		return v.text()
	case aList:
	default:
		return "", v.wrong("a string or a list of parts")
	}
	list, err := v.list()
	if err != nil {
		return "", err
	}
	texts := make([]string, len(list))
	for i, item := range list {
		o, err := item.object()
		if err != nil {
			return "", err
		}
		typ, err := o.field("type").oneOf(types...)
		if err != nil {
			return "", err
		}
		name := "text"
		if typ == "refusal" {
			name = typ
		}
		if texts[i], err = o.field(name).text(); err != nil {
			return "", err
		}
	}
	return strings.Join(texts, "\n"), nil
}

// value is a JSON value with its path.
type value struct {
	path string
	raw  json.RawMessage // nil if it is missing
}

// object is a JSON object with its path.
type object struct {
	path   string
	fields map[string]json.RawMessage
}

// parse checks that data is one JSON value. Everything inside it is then well-formed.
func parse(path string, data []byte) (value, error) {
	var raw json.RawMessage
	d := json.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&raw)
	if err == nil {
		if _, err = d.Token(); err == nil {
			return value{}, &FieldError{path, "one JSON value", "more"}
		} else if errors.Is(err, io.EOF) {
			return value{path, raw}, nil
		}
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return value{}, &FieldError{path, "JSON", fmt.Sprintf("an error at byte %d: %v", syntax.Offset, syntax)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return value{}, &FieldError{path, "JSON", "some that ends too early"}
	}
	return value{path: path}, nil // whoever reads it says what is missing
}

// kind is the kind of a JSON value, in words.
type kind string

const (
	nothing  kind = "none"
	aNull    kind = "null"
	aString  kind = "a string"
	aNumber  kind = "a number"
	aBool    kind = "true or false"
	aList    kind = "a list"
	anObject kind = "an object"
)

func (v value) kind() kind {
	if len(v.raw) == 0 {
		return nothing
	}
	switch v.raw[0] {
	case '"':
		return aString
	case '[':
		return aList
	case '{':
		return anObject
	case 'n':
		return aNull
	case 't', 'f':
		return aBool
	}
	return aNumber
}

// null reports whether the value is null or missing.
func (v value) null() bool { return v.kind() == nothing || v.kind() == aNull }

func (v value) wrong(want string) error { return &FieldError{v.path, want, string(v.kind())} }

func (v value) list() ([]value, error) {
	if v.kind() != aList {
		return nil, v.wrong(string(aList))
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(v.raw, &raw); err != nil {
		return nil, &FieldError{v.path, string(aList), err.Error()}
	}
	list := make([]value, len(raw))
	for i, r := range raw {
		list[i] = value{fmt.Sprintf("%s[%d]", v.path, i), r}
	}
	return list, nil
}

func (v value) object() (object, error) {
	if v.kind() != anObject {
		return object{}, v.wrong(string(anObject))
	}
	o := object{path: v.path}
	if err := json.Unmarshal(v.raw, &o.fields); err != nil {
		return object{}, &FieldError{v.path, string(anObject), err.Error()}
	}
	return o, nil
}

func (v value) text() (s string, err error) {
	if v.kind() != aString {
		return "", v.wrong(string(aString))
	}
	if err := json.Unmarshal(v.raw, &s); err != nil {
		return "", &FieldError{v.path, string(aString), err.Error()}
	}
	return s, nil
}

// mostName bounds the names of tools.
const mostName = 256

// name reads a name of a tool. It stands on one line of a prompt, between backticks in some dialects.
func (v value) name() (string, error) {
	s, err := v.text()
	if err != nil {
		return "", err
	}
	return s, CheckName(v.path, s)
}

// CheckName checks the name of a tool. The error is a *FieldError of field.
func CheckName(field, s string) error {
	const want = "a name of a tool"
	switch {
	case s == "":
		return &FieldError{field, want, "an empty string"}
	case len(s) > mostName:
		return &FieldError{field, fmt.Sprintf("%s of at most %d bytes", want, mostName), fmt.Sprintf("%d bytes", len(s))}
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '`' || r == 0x7f }):
		return &FieldError{field, want + " without control characters and backticks", fmt.Sprintf("%q", s)}
	}
	return nil
}

// oneOf reads a string that is one of some words.
func (v value) oneOf(words ...string) (string, error) {
	want := strings.Join(words, ", ")
	if n := len(words); n > 1 {
		want = strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	if v.kind() != aString {
		return "", v.wrong(want)
	}
	s, err := v.text()
	if err != nil {
		return "", err
	}
	for _, w := range words {
		if s == w {
			return s, nil
		}
	}
	if len(s) > 40 {
		return "", &FieldError{v.path, want, fmt.Sprintf("a string of %d bytes", len(s))}
	}
	return "", &FieldError{v.path, want, fmt.Sprintf("%q", s)}
}

// field returns a field. Whoever reads it as something that it is not, missing ones among these, gets an error.
func (o object) field(name string) value { return value{o.path + "." + name, o.fields[name]} }
