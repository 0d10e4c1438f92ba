package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// tool is a line of the prompt's list of tools.
type tool struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // its properties
}

// call returns a call of the first tool that may be called, "" if there is none. lead is the beginning of the answer, and
// begun reports whether the prompt ends with the call's fence.
func (m *model) call(r *api.Request, lead, message string, begun bool) string {
	for _, s := range r.Segments {
		if s.Part != prompt.ToolList {
			continue
		}
		for line := range strings.SplitSeq(s.Text, "\n") {
			var t tool
			if json.Unmarshal([]byte(strings.TrimSuffix(line, ",")), &t) != nil {
				continue // no line of a tool
			}
			text := "\n" + `{"name":` + quoted(t.Name) + `,"arguments":` + arguments(t.Arguments, message) + "}"
			if !begun {
				text = lead + "```json" + text + "\n```"
			}
			if m.fits(r.Constraint, text) {
				return text
			}
		}
	}
	return ""
}

// arguments returns arguments of a call, made of a message: an object with a value for each property.
func arguments(properties []byte, message string) string {
	d := json.NewDecoder(bytes.NewReader(properties))
	if brace, err := d.Token(); err != nil || brace != json.Delim('{') {
		return "{}"
	}
	var members []string
	for d.More() {
		name, err := d.Token()
		var schema json.RawMessage
		if err == nil {
			err = d.Decode(&schema)
		}
		if err != nil {
			return "{}"
		}
		members = append(members, quoted(name.(string))+":"+value(schema, message))
	}
	return "{" + strings.Join(members, ",") + "}"
}

var number = regexp.MustCompile(`[0-9]+`)

// value returns a value of a schema, made of a message.
func value(schema []byte, message string) string {
	var s struct {
		Type string            `json:"type"`
		Enum []json.RawMessage `json:"enum"`
	}
	if json.Unmarshal(schema, &s) == nil && len(s.Enum) > 0 {
		return string(s.Enum[0])
	}
	switch s.Type {
	case "integer", "number":
		if n := number.FindString(message); n != "" {
			return n
		}
		return "1"
	case "boolean":
		return "true"
	case "array":
		return "[]"
	case "object":
		return "{}"
	case "null":
		return "null"
	}
	return quoted(message)
}

var word = regexp.MustCompile(`'([a-z]+)'`)

// object returns an object with a member for each word that stands in single quotes.
func object(message string) string {
	var members []string
	for _, found := range word.FindAllStringSubmatch(message, -1) {
		members = append(members, quoted(found[1])+":"+quoted("a "+found[1]))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings have a form in JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// fits reports whether a constraint, if there is one, lets a text through, and lets it end.
func (m *model) fits(c sample.Constraint, whole string) bool {
	if c == nil {
		return true
	}
	c = c.Clone()
	done, err := m.accept(c, whole)
	if err != nil || done {
		return err == nil
	}
	mask, err := c.Mask()
	return err == nil && may(mask, text.EndOfText)
}

// may reports whether a mask of a constraint lets an id come.
func may(mask []uint64, id int) bool {
	return len(mask) == 0 || mask[id/64]>>(id%64)&1 == 1
}

// accept draws a text.
func (m *model) accept(c sample.Constraint, whole string) (done bool, err error) {
	ids, err := m.Tok.AppendEncode(nil, []byte(whole))
	for i := 0; err == nil && !done && i < len(ids); i++ {
		done, err = c.Accept(ids[i])
	}
	return done, err
}

// Bytes that a short text of a form is drawn from, those that end something first: outside of strings, and in them.
const (
	outside  = `}]"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:,{[`
	inString = `"0`
)

// mostForm is how many bytes a short text may have.
const mostForm = 4096

// form returns a short text that a constraint lets through, which begins with lead.
func (m *model) form(c sample.Constraint, lead string) string {
	done, err := m.accept(c, lead)
	for err == nil && !done && len(lead) < mostForm {
		id := m.next(c)
		if id == text.EndOfText {
			break
		}
		lead += string(m.Tok.Bytes(id))
		done, err = c.Accept(id)
	}
	return lead
}

// next returns the id of the end if a text may end, else that of the first byte of outside or inString that may come, else
// the lowest that may come. Where none may come, it is that of the end.
func (m *model) next(c sample.Constraint) int {
	mask, err := c.Mask()
	if err != nil || may(mask, text.EndOfText) {
		return text.EndOfText
	}
	first := func(bytes string) int {
		for i := range len(bytes) {
			if ids, err := m.Tok.AppendEncode(nil, []byte{bytes[i]}); err == nil && may(mask, ids[0]) {
				return ids[0]
			}
		}
		return text.EndOfText
	}
	if first("}") > 0 && first("a") > 0 {
		if id := first(inString); id > 0 {
			return id
		}
	}
	if id := first(outside); id > 0 {
		return id
	}
	for id := range m.Info().Vocab {
		if may(mask, id) {
			return id
		}
	}
	return text.EndOfText
}
