package openai

import (
	"net/http"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// responseEvent is what any event of a response may hold.
type responseEvent struct {
	Type      string      `json:"type"`
	Sequence  int         `json:"sequence_number"`
	Response  *Response   `json:"response,omitzero"`
	ItemID    string      `json:"item_id,omitzero"`
	Output    *int        `json:"output_index,omitzero"`
	Content   *int        `json:"content_index,omitzero"`
	Item      *OutputItem `json:"item,omitzero"`
	Part      *OutputPart `json:"part,omitzero"`
	Delta     *string     `json:"delta,omitzero"`
	Text      *string     `json:"text,omitzero"`
	Name      string      `json:"name,omitzero"`
	Arguments *string     `json:"arguments,omitzero"`
	Logprobs  []ChatToken `json:"logprobs,omitzero"`
}

// stream answers with events.
func (q *responseCall) stream(w http.ResponseWriter, streams []api.Stream) *wire.Error {
	q.events = sse.NewWriter(w, q.h.options.Write)
	q.span.Idle(q.h.options.Ping, q.events.Ping)
	begin := func() error {
		err := q.events.Begin()
		for _, kind := range []string{"response.created", "response.in_progress"} {
			if err == nil {
				err = q.event(&responseEvent{Type: kind, Response: &q.answer})
			}
		}
		return err
	}
	err := api.Gather(streams, begin, q.part(streams[0]), q.h.options.Ping, q.events.Ping)
	if err == nil {
		err = q.event(&responseEvent{Type: "response." + q.answer.Status, Response: &q.answer})
	}
	if err == nil {
		err = q.events.Event("", []byte("[DONE]"))
	}
	if err == nil {
		return nil
	}
	e := *api.Fault(err)
	e.Told = true
	q.answer.Status, q.answer.Error = "failed", &ResponseError{e.Code, e.Message}
	_ = q.event(&responseEvent{Type: "response.failed", Response: &q.answer}) // the last thing that may be said
	return &e
}

// event sends an event, if the answer is a stream of them.
func (q *responseCall) event(e *responseEvent) error {
	if q.events == nil {
		return nil
	}
	e.Sequence = q.sequence
	q.sequence++
	return q.events.Event(e.Type, encode(e))
}

// itemEvent sends an event about the last item.
func (q *responseCall) itemEvent(e responseEvent) error {
	n := len(q.answer.Output) - 1
	e.Output = &n
	if e.Item == nil {
		e.ItemID = q.answer.Output[n].ID
	}
	return q.event(&e)
}

// itemTypes are the types of items, and of the texts in them, by the kinds of deltas.
var itemTypes = map[prompt.Kind]struct{ item, text, prefix, id string }{
	prompt.ContentDelta:   {"message", "output_text", "response.output_text", "msg_"},
	prompt.ReasoningDelta: {"reasoning", "reasoning_text", "response.reasoning_text", "rs_"},
	prompt.CallDelta:      {"function_call", "", "response.function_call_arguments", "fc_"},
	prompt.ArgumentsDelta: {"function_call", "", "response.function_call_arguments", "fc_"},
}

// add takes more of the answer: its text, the tokens that are asked for, and what the parser makes of the text.
func (q *responseCall) add(piece api.Piece, list []prompt.Delta) error {
	if q.request.Logprobs {
		spans, certain := q.parser.Places()
		q.contents.push(spoken(piece.Tokens), spans, certain)
	}
	for i := range list {
		d := &list[i]
		if n := len(q.answer.Output); !q.open || d.Kind == prompt.CallDelta || q.answer.Output[n-1].Type != itemTypes[d.Kind].item {
			if err := q.close("completed"); err != nil {
				return err
			}
			if err := q.begin(d); err != nil {
				return err
			}
		}
		if d.Kind == prompt.CallDelta {
			continue
		}
		last := &q.answer.Output[len(q.answer.Output)-1]
		e := responseEvent{Type: itemTypes[d.Kind].prefix + ".delta", Delta: &d.Text}
		if last.Arguments != nil {
			*last.Arguments += d.Text
		} else {
			last.Content[0].Text += d.Text
			e.Content = new(int)
		}
		if d.Kind == prompt.ContentDelta {
			e.Logprobs = q.h.told(q.contents.take(), q.request.Top)
			last.Content[0].Logprobs = append(last.Content[0].Logprobs, e.Logprobs...)
		}
		if err := q.itemEvent(e); err != nil {
			return err
		}
	}
	return nil
}

// begin begins an item with what a delta is of.
func (q *responseCall) begin(d *prompt.Delta) error {
	t := itemTypes[d.Kind]
	item := OutputItem{ID: api.NewID(t.id), Type: t.item, Status: "in_progress"}
	part := OutputPart{Type: t.text}
	switch d.Kind {
	case prompt.ContentDelta:
		item.Role, item.Content = "assistant", []OutputPart{}
		part.Annotations, part.Logprobs = []any{}, []ChatToken{}
	case prompt.ReasoningDelta:
		item.Summary, item.Content = []OutputPart{}, []OutputPart{}
	default:
		item.CallID, item.Name, item.Arguments = api.NewID("call_"), d.Text, new(string)
	}
	q.answer.Output, q.open = append(q.answer.Output, item), true
	if err := q.itemEvent(responseEvent{Type: "response.output_item.added", Item: &item}); err != nil || item.Arguments != nil {
		return err
	}
	q.answer.Output[len(q.answer.Output)-1].Content = []OutputPart{part}
	return q.itemEvent(responseEvent{Type: "response.content_part.added", Content: new(int), Part: &part})
}

// close ends the last item, if it is open.
func (q *responseCall) close(status string) error {
	if !q.open {
		return nil
	}
	q.open = false
	last := &q.answer.Output[len(q.answer.Output)-1]
	last.Status = status
	var err error
	if last.Arguments != nil {
		err = q.itemEvent(responseEvent{Type: "response.function_call_arguments.done", Name: last.Name, Arguments: last.Arguments})
	} else {
		part := &last.Content[0]
		if part.Logprobs != nil { // of tokens that came behind their text
			part.Logprobs = append(part.Logprobs, q.h.told(q.contents.take(), q.request.Top)...)
		}
		err = q.itemEvent(responseEvent{Type: "response." + part.Type + ".done", Content: new(int), Text: &part.Text, Logprobs: part.Logprobs})
		if err == nil {
			err = q.itemEvent(responseEvent{Type: "response.content_part.done", Content: new(int), Part: part})
		}
	}
	if err != nil {
		return err
	}
	return q.itemEvent(responseEvent{Type: "response.output_item.done", Item: last})
}
