package prompt

import (
	"encoding/json"
	"strings"
)

// Fences around JSON.
const (
	fence     = "```"
	jsonFence = "```json"
	callTitle = "**Tool Call:**"
)

// What the dialects say of tools. "Return only a JSON function call." is the line that G1 models were trained with; it
// leaves no choice. The line that leaves one is this project's.
const (
	mustCall = "Return only a JSON function call."
	mayCall  = "Return a JSON function call, or answer if none is needed."
	howTo    = "To call one of these tools, write exactly this format:\n" + callTitle + "\n" + jsonFence + "\n" +
		`{"name": "tool_name", "arguments": {"key": "value"}}` + "\n" + fence + "\n" +
		"Do not invent tool call IDs or write tool outputs yourself."
	outputTitle = "Function output:\n"
)

// systemMessages writes messages of the system as one. The first one describes the tools.
func (r *renderer) systemMessages(messages []Message) {
	r.add(Segment{Part: Header, Role: System, Text: r.d.SystemHeader})
	lead := r.d.Lead
	if r.d.SystemHeader == "" {
		lead = ""
	}
	add := func(part Part, text string, end Mark) {
		if text != "" {
			r.add(Segment{Part: part, Role: System, Text: lead + text, End: end})
			lead = "\n"
		}
	}
	for i := range messages {
		end := Turn
		if i+1 == len(messages) {
			end = NoMark // the separator follows
		}
		add(Content, r.clean(messages[i].Content), end)
	}
	end := Turn // what follows other messages is no beginning that conversations share
	if !r.system && !r.talked {
		end = Anchor
		if len(r.o.Tools) > 0 {
			list, how := r.toolList()
			add(ToolList, list, Turn)
			add(ToolList, how, NoMark)
		}
	}
	r.system = true
	r.add(Segment{Part: Ending, Role: System, Text: r.d.Separator, End: end})
}

// toolList returns the list of tools, and what is said of their use.
func (r *renderer) toolList() (list, how string) {
	var b strings.Builder
	if r.d.Tools == MarkdownTools {
		for i := range r.o.Tools {
			r.markdownTool(&b, &r.o.Tools[i])
		}
		return strings.TrimSuffix(b.String(), "\n"), howTo
	}
	b.WriteString("Tools:\n[\n")
	for i := range r.o.Tools {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(jsonTool(&r.o.Tools[i]))
	}
	b.WriteString("\n]")
	if r.o.ToolChoice.Mode == ToolAuto {
		return b.String(), mayCall
	}
	return b.String(), mustCall
}

// jsonTool returns a tool as a line. "arguments" is what the schema calls properties.
func jsonTool(t *Tool) string {
	line := `{"name":` + quoted(t.Name)
	if t.Description != "" {
		line += `,"description":` + quoted(t.Description)
	}
	var schema struct {
		Properties json.RawMessage `json:"properties"`
	}
	arguments := "{}"
	if err := json.Unmarshal(t.Parameters, &schema); err == nil && len(schema.Properties) > 0 {
		if text, ok := rewrite(schema.Properties, ""); ok && text != "null" {
			arguments = text
		}
	}
	return line + `,"arguments":` + arguments + "}"
}

func (r *renderer) markdownTool(b *strings.Builder, t *Tool) {
	b.WriteString("### `" + t.Name + "`\n")
	if d := r.clean(t.Description); d != "" {
		b.WriteString("**Description:** " + d + "\n")
	}
	parameters, ok := rewrite(t.Parameters, "  ")
	if !ok {
		parameters = "{}"
	}
	b.WriteString("**Parameters:**\n" + jsonFence + "\n" + parameters + "\n" + fence + "\n")
}

// output returns the text of what a tool returned.
func (r *renderer) output(content string) string {
	if r.d.Tools == MarkdownTools {
		text, ok := rewrite([]byte(content), "  ")
		if !ok {
			text = quoted(content)
		}
		return jsonFence + "\n" + text + "\n" + fence
	}
	return outputTitle + r.clean(content)
}

// calls appends calls of tools to the text of an answer. asGiven keeps the arguments' white space, which is what the
// model drew.
func (r *renderer) calls(text string, calls []Call, asGiven bool) string {
	parts := make([]string, 0, len(calls)+1)
	if text != "" {
		parts = append(parts, text)
	}
	for i := range calls {
		name, args := quoted(calls[i].Name), arguments(calls[i].Arguments)
		if r.d.Tools == MarkdownTools {
			object, _ := rewrite([]byte(`{"name":`+name+`,"arguments":`+args+"}"), "  ") // it is JSON by its parts
			parts = append(parts, callTitle+"\n"+jsonFence+"\n"+object+"\n"+fence)
			continue
		}
		if !asGiven {
			args, _ = rewrite([]byte(args), "") // as above
		}
		parts = append(parts, jsonFence+"\n"+`{"name":`+name+`,"arguments":`+args+"}\n"+fence)
	}
	return strings.Join(parts, "\n")
}

// arguments returns a call's arguments as JSON. What is none becomes a string.
func arguments(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "{}"
	case json.Valid([]byte(text)):
		return text
	}
	return quoted(text)
}
