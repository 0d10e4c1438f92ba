package openai

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// sharedResponse is a kept response as servers that work together share it.
type sharedResponse struct {
	Body     []byte           `json:"body"`
	Items    []OutputItem     `json:"items"`
	Input    []OutputItem     `json:"input"`
	Own      int              `json:"own"`
	Messages []prompt.Message `json:"messages"`
	Begin    string           `json:"begin,omitzero"`
}

// keep keeps a response, before its client is told that it is whole. Where it cannot be shared, it is kept in this
// server.
func (h *Handlers) keep(ctx context.Context, k *keptResponse) {
	h.kept.add(k)
	if h.options.Shared != nil {
		_ = h.options.Shared.Keep(ctx, k.user, k.id, encode(sharedResponse{k.body, k.items, k.input, k.own, k.messages, k.begin})) // which the log tells
	}
}

// response returns a user's response, nil if there is none of the id: one of this server, or of another that works
// together with it.
func (h *Handlers) response(ctx context.Context, user, id string) *keptResponse {
	own := h.kept.get(user, id, false)
	if h.options.Shared == nil {
		return own
	}
	data, err := h.options.Shared.Kept(ctx, user, id)
	switch {
	case errors.Is(err, api.ErrForgotten): // by another server
		h.kept.get(user, id, true)
		return nil
	case err != nil, data == nil, own != nil:
		return own
	}
	var s sharedResponse
	if json.Unmarshal(data, &s) != nil || s.Own < 0 || s.Own > len(s.Input) { // of another version of this program
		return nil
	}
	return h.kept.adopt(&keptResponse{id: id, user: user, body: s.Body, items: s.Items, input: s.Input, own: s.Own, messages: s.Messages, begin: s.Begin})
}

// forget forgets a user's response. It reports whether there was one.
func (h *Handlers) forget(ctx context.Context, user, id string) (bool, *wire.Error) {
	if h.response(ctx, user, id) == nil {
		return false, nil
	}
	if h.options.Shared != nil {
		if err := h.options.Shared.Forget(ctx, user, id); err != nil {
			return true, &wire.Error{Status: http.StatusServiceUnavailable, Code: "cluster_unreachable", Cause: err,
				Message: "the response cannot be deleted now: the servers that keep it too are not reached"}
		}
	}
	h.kept.get(user, id, true)
	return true, nil
}
