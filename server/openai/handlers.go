package openai

import (
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Handlers answer requests by a model.
type Handlers struct {
	model   api.Model
	options chat.Options
	kept    *keptResponses
}

// New returns handlers for a model. Without a store of states, the handlers have one of their own.
func New(m api.Model, o chat.Options) *Handlers {
	if o.States == nil {
		o.States = states.New(m, states.Options{})
	}
	return &Handlers{m, o, newKeptResponses(mostKept, mostKeptBytes)}
}

// Routes returns the routes of the protocol.
func (h *Handlers) Routes() []api.Route {
	return slices.Concat(h.tokenRoutes(), h.responseRoutes(), h.stateRoutes(), []api.Route{
		{Pattern: "GET /v1/models", Handle: h.models, Fail: Fail, Light: true},
		{Pattern: "GET /v1/models/{id}", Handle: h.oneModel, Fail: Fail, Light: true},
		{Pattern: "POST /v1/completions", Handle: h.completions, Fail: Fail},
		{Pattern: "POST /v1/chat/completions", Handle: h.chats, Fail: Fail},
		{Pattern: "POST /v1/embeddings", Handle: h.embeddings, Fail: Fail},
	})
}

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // model
	Created int64  `json:"created"`
	Owner   string `json:"owned_by"`
}

// object returns the model by the name by which it was asked for; "" for its own.
func (h *Handlers) object(name string) modelObject {
	i := h.model.Info()
	return modelObject{i.Named(name), "model", i.Created.Unix(), "rwkv-gpu"}
}

func (h *Handlers) models(w http.ResponseWriter, _ *api.Call) *wire.Error {
	reply(w, struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{h.object("")}})
	return nil
}

func (h *Handlers) oneModel(w http.ResponseWriter, c *api.Call) *wire.Error {
	if err := h.model.Info().Want("id", c.PathValue("id")); err != nil {
		return err
	}
	reply(w, h.object(c.PathValue("id")))
	return nil
}

const (
	mostChoices = 128     // answers to one request
	mostRead    = 1 << 24 // bytes of a prompt times the answers to it, if several; a token id counts as idBytes
	idBytes     = 4
)

// readable returns the error of a field whose ids each of several answers would have a copy of, if these are too many for
// the memory of the server. The size of the body alone bounds what one answer has.
func readable(param string, bytes, answers int) *wire.Error {
	if most := mostRead / answers; answers > 1 && bytes > most {
		return wire.Wrong(param, fmt.Sprintf("at most %d bytes for %d answers, and %d for each token id", most, answers, idBytes), fmt.Sprint(bytes))
	}
	return nil
}

// finite returns x, or a number that stands for minus infinity, which JSON cannot write.
func finite(x float32) float32 {
	if math.IsInf(float64(x), -1) || math.IsNaN(float64(x)) {
		return -9999
	}
	return x
}

// meanLogprob is what the best answers are chosen by: how likely the tokens of the text are. An answer without any is the
// worst.
func meanLogprob(tokens []api.Token) float64 {
	sum, n := 0.0, 0
	for _, t := range tokens {
		if !t.Prompt && t.ID != text.EndOfText {
			sum, n = sum+float64(finite(t.Logprob)), n+1
		}
	}
	if n == 0 {
		return math.Inf(-1)
	}
	return sum / float64(n)
}

// best returns the indices of the n best answers, the best first. All answers keep the order of their seeds.
func best(tokens [][]api.Token, n int) []int {
	order := make([]int, len(tokens))
	for i := range order {
		order[i] = i
	}
	if n == len(order) {
		return order
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := meanLogprob(tokens[a]), meanLogprob(tokens[b]); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return order[:n]
}
