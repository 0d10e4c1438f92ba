package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// model is a scripted model with the answers that the command's documentation lists.
type model struct {
	*scripted.Model

	mu      sync.Mutex
	refused map[string]int // how often, by the message
}

func newModel(tok tokenizer.Tokenizer) *model {
	m := &model{refused: map[string]int{}}
	m.Model = &scripted.Model{Tok: tok, Answer: m.answer, Fail: m.refuse,
		What: api.Info{Name: name, Aliases: []string{alias}, Fingerprint: "fp_" + name, Created: time.Unix(1e9, 0), Version: "none", Vocab: tok.Size(), Sequences: 4}}
	return m
}

// refuse returns an error for messages that are to be refused, as often as they say.
func (m *model) refuse(r *api.Request) error {
	var times int
	var who string
	message := m.message(r)
	if n, _ := fmt.Sscanf(message, "busy %d %s", &times, &who); n < 2 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused[message] == times {
		return nil
	}
	m.refused[message]++
	return api.ErrBusy
}

// message returns the last message that a user or a tool wrote; that of a completion is the whole prompt.
func (m *model) message(r *api.Request) string {
	message, last := "", -1
	for i, s := range r.Segments {
		switch {
		case s.Part == "": // of a completion
			return s.Text
		case s.Part != prompt.Content || s.Role != prompt.User && s.Role != prompt.Output:
		case last == i-1 && i > 0: // what is said of thinking stands behind the message
			last = i
			message += s.Text
		default:
			last = i
			message = strings.TrimPrefix(s.Text, " ")
		}
	}
	if r.IDs != nil {
		return m.text(r.IDs)
	}
	return message
}

// text returns the text of ids.
func (m *model) text(ids []int) string {
	var b []byte
	for _, id := range ids {
		b = append(b, m.Tok.Bytes(id)...)
	}
	return tokenizer.Text(b)
}

// spelled returns the string of JSON that stands in a message behind a word.
func spelled(message, word string) (text string, there bool) {
	_, rest, there := strings.Cut(message, word+` "`)
	if !there {
		return "", false
	}
	err := json.NewDecoder(strings.NewReader(`"` + rest)).Decode(&text)
	return text, err == nil
}

// outputStart is what stands before what a tool returned.
const outputStart = "Function output:\n"

// answer returns what the model writes.
func (m *model) answer(r *api.Request, whole string) (text string, ends bool) {
	message := m.message(r)
	for _, word := range []string{"write", "hang"} {
		if text, there := spelled(message, word); there {
			return text, true
		}
	}
	if message == "show" {
		return " " + quoted(whole), true
	}
	lead := thought(whole)
	output, isOutput := strings.CutPrefix(message, outputStart)
	echo := lead + " You said: " + message
	if isOutput {
		echo = lead + " The tool says: " + output
	}
	free := m.fits(r.Constraint, echo)
	if isOutput && free {
		return echo, true
	}
	if text := m.call(r, lead, message, strings.HasSuffix(whole, "```json")); text != "" {
		return text, true
	}
	if free {
		return echo, true
	}
	if text := object(message); text != "{}" && m.fits(r.Constraint, lead+text) {
		return lead + text, true
	}
	return m.form(r.Constraint.Clone(), lead), true
}

// thought returns how an answer begins whose prompt ends within the marks of a thought.
func thought(prompt string) string {
	switch {
	case strings.HasSuffix(prompt, "</think"):
		return ">\n"
	case strings.HasSuffix(prompt, "<think"):
		return ">\nThat is easy.\n</think>\n"
	}
	return ""
}

// Start begins answers, which may hang behind their text.
func (m *model) Start(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	all, err := m.Model.Start(ctx, list)
	for i, s := range all {
		if _, hangs := spelled(m.message(&list[i]), "hang"); hangs {
			h := &hanging{Stream: s}
			h.ctx, h.cancel = context.WithCancel(ctx)
			all[i] = h
		}
	}
	return all, err
}

// hanging is a stream that never ends by itself.
type hanging struct {
	api.Stream
	ctx    context.Context
	cancel func()
}

// Next returns more of the text, and behind it waits for the end of the request.
func (h *hanging) Next() (api.Piece, error) {
	p, err := h.Stream.Next()
	if err != io.EOF { //nolint:errorlint // the scripted stream returns it as it is
		return p, err
	}
	<-h.ctx.Done()
	return api.Piece{}, h.ctx.Err()
}

// Close ends the answer, and a Next under way.
func (h *hanging) Close() {
	h.cancel()
	h.Stream.Close()
}
