package anthropic

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// event is what any event of the protocol may hold.
type event struct {
	Type    string   `json:"type"`
	Message *Message `json:"message,omitzero"`
	Index   *int     `json:"index,omitzero"`
	Block   *Block   `json:"content_block,omitzero"`
	Delta   any      `json:"delta,omitzero"`
	Usage   *Usage   `json:"usage,omitzero"`
	State   string   `json:"state,omitzero"` // of message_delta: behind the answer
}

// delta is more of a block.
type delta struct {
	Type     string  `json:"type"`
	Text     *string `json:"text,omitzero"`
	Thinking *string `json:"thinking,omitzero"`
	JSON     *string `json:"partial_json,omitzero"`
}

// ending is how a message ended.
type ending struct {
	Reason   *string `json:"stop_reason"`
	Sequence *string `json:"stop_sequence"`
}

// stream answers with events.
func (q *call) stream(w http.ResponseWriter, streams []api.Stream) *wire.Error {
	w.Header().Set("Request-Id", w.Header().Get("X-Request-Id"))
	q.events = sse.NewWriter(w, q.h.options.Write)
	begin := func() error {
		err := q.events.Begin()
		if err == nil {
			err = q.event(&event{Type: "message_start", Message: &q.answer})
		}
		return err
	}
	ping := func() error { return q.event(&event{Type: "ping"}) }
	q.span.Idle(q.h.options.Ping, ping)
	err := api.Gather(streams, begin, q.part(streams[0]), q.h.options.Ping, ping)
	a := &q.answer
	if err == nil {
		err = q.event(&event{Type: "message_delta", Delta: ending{a.StopReason, a.StopSequence}, Usage: &a.Usage, State: a.State})
	}
	if err == nil {
		err = q.event(&event{Type: "message_stop"})
	}
	if err == nil {
		return nil
	}
	e := *api.Fault(err)
	e.Told = true
	_ = q.events.Event("error", errorJSON(w, &e)) // the last thing that may be said
	return &e
}

// event sends an event, if the answer is a stream of them.
func (q *call) event(e *event) error {
	if q.events == nil {
		return nil
	}
	return q.events.Event(e.Type, encode(e))
}

// add takes more of the answer.
func (q *call) add(list []prompt.Delta) error {
	for i := range list {
		d := &list[i]
		if err := q.blockOf(d); err != nil {
			return err
		}
		if err := q.more(d); err != nil {
			return err
		}
	}
	return nil
}

// blockOf makes the last block of the answer the one that a delta is of.
func (q *call) blockOf(d *prompt.Delta) error {
	if n := len(q.answer.Content); q.open {
		last := &q.answer.Content[n-1]
		switch {
		case d.Kind == prompt.ContentDelta && last.Text != nil, d.Kind == prompt.ReasoningDelta && last.Thinking != nil,
			d.Kind == prompt.ArgumentsDelta:
			return nil
		}
	}
	if err := q.close(); err != nil {
		return err
	}
	b := block(d)
	q.answer.Content, q.open = append(q.answer.Content, b), true
	return q.event(&event{Type: "content_block_start", Index: q.last(), Block: &b})
}

// more adds a delta to the last block.
func (q *call) more(d *prompt.Delta) error {
	b := &q.answer.Content[len(q.answer.Content)-1]
	next := delta{Type: "text_delta", Text: &d.Text}
	switch d.Kind {
	case prompt.ContentDelta:
		*b.Text += d.Text
	case prompt.ReasoningDelta:
		*b.Thinking += d.Text
		next = delta{Type: "thinking_delta", Thinking: &d.Text}
	case prompt.CallDelta:
		q.calls++
		return nil
	case prompt.ArgumentsDelta:
		if string(b.Input) == "{}" {
			b.Input = nil
		}
		b.Input = append(b.Input, jsontext.Value(d.Text)...)
		next = delta{Type: "input_json_delta", JSON: &d.Text}
	}
	return q.event(&event{Type: "content_block_delta", Index: q.last(), Delta: next})
}

// close ends the last block, if it is open.
func (q *call) close() error {
	if !q.open {
		return nil
	}
	q.open = false
	return q.event(&event{Type: "content_block_stop", Index: q.last()})
}

// last returns the number of the last block.
func (q *call) last() *int {
	n := len(q.answer.Content) - 1
	return &n
}
