package anthropic

import (
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// render writes the conversation as the model knows it.
func (q *call) render() (err *wire.Error) {
	if err := q.h.model.Info().Want("model", q.q.Model); err != nil {
		return err
	}
	t := &q.talk
	*t = chat.Talk{Own: q.q.Own, Field: "thinking", Begun: q.q.State != ""}
	if t.Messages, err = q.conversation(); err != nil {
		return err
	}
	if t.Tools, err = tools(q.q.Tools); err != nil {
		return err
	}
	if t.Choice, err = q.q.Choice.choice(); err != nil {
		return err
	}
	effort, err := q.q.Output.effort()
	if err != nil {
		return err
	}
	if t.Thinking, err = q.q.Thinking.mode(&q.h.options, q.q.Max, effort); err != nil {
		return err
	}
	if q.form, err = q.q.Output.form(q.h.options.Forms); err != nil {
		return err
	}
	q.prompt, err = q.h.options.Render(t)
	return err
}

// conversation returns the system's text and the messages as package prompt has them.
func (q *call) conversation() ([]prompt.Message, *wire.Error) {
	if len(q.q.Messages) == 0 {
		return nil, wire.Missing("messages", "a list of at least one message")
	}
	system, err := q.q.System.join("system")
	if err != nil {
		return nil, err
	}
	var list []prompt.Message
	if system != "" {
		list = append(list, prompt.Message{Role: prompt.System, Content: system})
	}
	for i := range q.q.Messages {
		m, at := &q.q.Messages[i], fmt.Sprintf("messages[%d]", i)
		if m.Content == nil {
			return nil, wire.Missing(at+".content", m.Content.Want())
		}
		var next []prompt.Message
		switch at += ".content"; m.Role {
		case "user":
			next, err = m.user(at)
		case "assistant":
			next, err = m.assistant(at)
		case "system":
			next = []prompt.Message{{Role: prompt.System}}
			next[0].Content, err = m.Content.join(at)
		default:
			err = wire.Wrong(fmt.Sprintf("messages[%d].role", i), "user or assistant", other(m.Role))
		}
		if err != nil {
			return nil, err
		}
		list = append(list, next...)
	}
	return list, nil
}

// join returns the texts of blocks that are to be nothing else.
func (t Texts) join(at string) (string, *wire.Error) {
	texts := make([]string, len(t))
	for i := range t {
		if t[i].Type != "text" {
			return "", wire.Wrong(fmt.Sprintf("%s[%d].type", at, i), "text", other(t[i].Type))
		}
		texts[i] = t[i].Text
	}
	return strings.Join(texts, "\n"), nil
}

// user returns a message of a user: what tools returned, each by itself, and the texts before, between and behind.
func (m *InputMessage) user(at string) (list []prompt.Message, err *wire.Error) {
	var text strings.Builder // of the last message
	for i := range m.Content {
		b := &m.Content[i]
		switch b.Type {
		case "text":
			if n := len(list); n > 0 && list[n-1].Role == prompt.User {
				text.WriteString("\n")
				text.WriteString(b.Text)
				list[n-1].Content = text.String() // which copies nothing
				continue
			}
			text.Reset()
			text.WriteString(b.Text)
			list = append(list, prompt.Message{Role: prompt.User, Content: b.Text})
		case "tool_result":
			out := prompt.Message{Role: prompt.Output, CallID: b.CallID}
			if out.Content, err = b.Content.join(fmt.Sprintf("%s[%d].content", at, i)); err != nil {
				return nil, err
			}
			list = append(list, out)
		default:
			return nil, wire.Wrong(fmt.Sprintf("%s[%d].type", at, i), "text or tool_result", other(b.Type))
		}
	}
	if len(list) == 0 {
		list = []prompt.Message{{Role: prompt.User}}
	}
	return list, nil
}

// assistant returns an answer that was given before.
func (m *InputMessage) assistant(at string) ([]prompt.Message, *wire.Error) {
	a := prompt.Message{Role: prompt.Assistant}
	var texts, thoughts []string
	for i := range m.Content {
		b := &m.Content[i]
		switch b.Type {
		case "text":
			texts = append(texts, b.Text)
		case "thinking":
			thoughts = append(thoughts, b.Thinking)
		case "redacted_thinking": // which no model of ours wrote
		case "tool_use":
			if err := prompt.CheckName(fmt.Sprintf("%s[%d].name", at, i), b.Name); err != nil {
				return nil, chat.Fault(err)
			}
			if b.Input.Kind() != '{' {
				return nil, wire.Wrong(fmt.Sprintf("%s[%d].input", at, i), "an object", wire.Kind(b.Input.Kind()))
			}
			a.Calls = append(a.Calls, prompt.Call{ID: b.ID, Name: b.Name, Arguments: string(b.Input)})
		default:
			return nil, wire.Wrong(fmt.Sprintf("%s[%d].type", at, i), "text, thinking, redacted_thinking or tool_use", other(b.Type))
		}
	}
	a.Content, a.Reasoning = strings.Join(texts, "\n"), strings.Join(thoughts, "\n")
	return []prompt.Message{a}, nil
}
