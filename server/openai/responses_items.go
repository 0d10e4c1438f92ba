package openai

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// messages returns items as package prompt has them, and as a client may list them. What an assistant thought, said and
// called in a row is one message. find returns the item of an earlier response, or nil.
func (l Items) messages(find func(id string) *OutputItem) (list []prompt.Message, items []OutputItem, err *wire.Error) {
	var thoughts strings.Builder // of the last message
	for i := range l {
		it, at := &l[i], fmt.Sprintf("input[%d]", i)
		if it.Type == "item_reference" || it.Type == "" && it.Role == "" && it.ID != "" { // whose type may be missing
			kept := find(it.ID)
			if kept == nil {
				return nil, nil, &wire.Error{Status: http.StatusNotFound, Param: at + ".id", Code: "item_not_found",
					Message: at + ".id: there is no item of this id in the responses that are kept"}
			}
			it = kept.input()
			items = append(items, *kept)
		} else {
			items = append(items, it.kept())
		}
		switch it.Type {
		case "", "message":
			list, err = it.message(list, at)
		case "reasoning":
			var thought string
			thought, err = it.Content.join(at+".content", "reasoning_text")
			if n := len(list); n == 0 || list[n-1].Role != prompt.Assistant || list[n-1].Content != "" || len(list[n-1].Calls) > 0 {
				list = append(list, prompt.Message{Role: prompt.Assistant})
			}
			a := &list[len(list)-1]
			if a.Reasoning == "" {
				thoughts.Reset()
			}
			thoughts.WriteString(thought)
			a.Reasoning = thoughts.String() // which copies nothing
		case "function_call":
			if e := prompt.CheckName(at+".name", it.Name); e != nil {
				return nil, nil, chat.Fault(e)
			}
			if n := len(list); n == 0 || list[n-1].Role != prompt.Assistant {
				list = append(list, prompt.Message{Role: prompt.Assistant})
			}
			a := &list[len(list)-1]
			a.Calls = append(a.Calls, prompt.Call{ID: it.CallID, Name: it.Name, Arguments: it.Arguments})
		case "function_call_output":
			out := prompt.Message{Role: prompt.Output, CallID: it.CallID}
			out.Content, err = it.Output.join(at+".output", "input_text")
			list = append(list, out)
		default:
			err = wire.Wrong(at+".type", "message, reasoning, function_call, function_call_output or item_reference", "another string")
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return list, items, nil
}

// input returns an item of an answer as one of a conversation.
func (o *OutputItem) input() *Item {
	it := &Item{Type: o.Type, Role: o.Role, Content: Parts{}, CallID: o.CallID, Name: o.Name}
	for _, part := range o.Content {
		it.Content = append(it.Content, Part{Type: part.Type, Text: part.Text, Refusal: part.Refusal})
	}
	if o.Arguments != nil {
		it.Arguments = *o.Arguments
	}
	if o.Output != nil {
		it.Output = Parts{{Type: "text", Text: *o.Output}}
	}
	return it
}

// kept returns an item of a conversation as it is kept, with an id of its own: ids that clients send prove nothing.
func (it *Item) kept() OutputItem {
	o := OutputItem{Type: it.Type, Status: "completed"}
	prefix := "msg_"
	switch it.Type {
	case "reasoning":
		prefix, o.Summary, o.Content = "rs_", []OutputPart{}, it.Content.kept("reasoning_text")
	case "function_call":
		arguments := it.Arguments // alone: a pointer into the item would keep all of it
		prefix, o.CallID, o.Name, o.Arguments = "fc_", it.CallID, it.Name, &arguments
	case "function_call_output":
		text := it.Output.text()
		prefix, o.CallID, o.Output = "fco_", it.CallID, &text
	default:
		text := "input_text"
		if it.Role == "assistant" {
			text = "output_text"
		}
		o.Type, o.Role, o.Content = "message", it.Role, it.Content.kept(text)
	}
	o.ID = api.NewID(prefix)
	return o
}

// kept returns the parts of a text, those of no type as parts of the one given.
func (l Parts) kept(text string) []OutputPart {
	list := make([]OutputPart, len(l))
	for i, part := range l {
		list[i] = OutputPart{Type: part.Type, Text: part.Text, Refusal: part.Refusal}
		if part.Type == "text" {
			list[i].Type = text
		}
		if list[i].Type == "output_text" {
			list[i].Annotations, list[i].Logprobs = []any{}, []ChatToken{}
		}
	}
	return list
}

// message appends a message.
func (it *Item) message(list []prompt.Message, at string) ([]prompt.Message, *wire.Error) {
	if it.Content == nil {
		return nil, wire.Missing(at+".content", it.Content.Want())
	}
	m, types := prompt.Message{}, []string{"input_text"}
	switch it.Role {
	case "user":
		m.Role = prompt.User
	case "system", "developer":
		m.Role = prompt.System
	case "assistant":
		m.Role, types = prompt.Assistant, []string{"output_text", "refusal"}
	default:
		return nil, wire.Wrong(at+".role", "user, assistant, system or developer", other(it.Role))
	}
	text, err := it.Content.join(at+".content", types...)
	if err != nil {
		return nil, err
	}
	if n := len(list); m.Role == prompt.Assistant && n > 0 && list[n-1].Role == prompt.Assistant && list[n-1].Content == "" && len(list[n-1].Calls) == 0 {
		list[n-1].Content = text // which it thought before
		return list, nil
	}
	m.Content = text
	return append(list, m), nil
}

// inputItems answers with the items that a response was made from: those of the responses before it and those of its
// request.
func (h *Handlers) inputItems(w http.ResponseWriter, c *api.Call) *wire.Error {
	k := h.response(c.Context(), c.User, c.PathValue("id"))
	if k == nil {
		return noResponse("id")
	}
	page, more, err := pageOf(k.input, c.URL.Query())
	if err != nil {
		return err
	}
	answer := struct {
		Object string       `json:"object"`
		Data   []OutputItem `json:"data"`
		First  *string      `json:"first_id"`
		Last   *string      `json:"last_id"`
		More   bool         `json:"has_more"`
	}{Object: "list", Data: page, More: more}
	if n := len(page); n > 0 {
		answer.First, answer.Last = &page[0].ID, &page[n-1].ID
	}
	reply(w, answer)
	return nil
}

// pageOf returns the part of a list that a query asks for, the last item first if it does not say, and reports whether
// there are more behind it.
func pageOf(items []OutputItem, q url.Values) (page []OutputItem, more bool, err *wire.Error) {
	if err := checkQuery(q); err != nil {
		return nil, false, err
	}
	const usual, most = 20, 100
	limit := usual
	if v := q.Get("limit"); v != "" {
		n, e := strconv.Atoi(v)
		if e != nil || n < 1 || n > most {
			return nil, false, wire.Wrong("limit", fmt.Sprintf("an integer from 1 to %d", most), "another")
		}
		limit = n
	}
	page = slices.Clone(items)
	switch q.Get("order") {
	case "", "desc":
		slices.Reverse(page)
	case "asc":
	default:
		return nil, false, wire.Wrong("order", "asc or desc", "another string")
	}
	if after := q.Get("after"); after != "" {
		i := slices.IndexFunc(page, func(o OutputItem) bool { return o.ID == after })
		if i < 0 {
			return nil, false, wire.Wrong("after", "the id of an item of the list", "another string")
		}
		page = page[i+1:]
	}
	return page[:min(limit, len(page))], len(page) > limit, nil
}

// cancelResponse refuses: no response of this server goes on without its request.
func (h *Handlers) cancelResponse(_ http.ResponseWriter, c *api.Call) *wire.Error {
	if h.response(c.Context(), c.User, c.PathValue("id")) == nil {
		return noResponse("id")
	}
	return wire.Wrong("id", "a response that is made in the background, which this server has none of", "one that is there")
}
