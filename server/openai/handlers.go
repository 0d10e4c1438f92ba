package openai

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Options say how the protocol is spoken.
type Options struct {
	Preset  *sample.Params  // what holds for settings that are not sent; nil for what fits the dialect
	Dialect *prompt.Dialect // of chats that name none
	Think   prompt.Think    // likewise
	Date    int             // of the model, as prompt.Choice has it
	Most    int             // most tokens of an answer, and of a chat that does not say how many
	Ping    time.Duration   // between comments in a stream while nothing comes; 0 for none
	Write   time.Duration   // that a reader may take for one event; 0 for any time
}

// Handlers answer requests by a model.
type Handlers struct {
	model   api.Model
	options Options
}

// New returns handlers for a model.
func New(m api.Model, o Options) *Handlers { return &Handlers{m, o} }

// Routes returns the routes of the protocol.
func (h *Handlers) Routes() []api.Route {
	return append(h.tokenRoutes(), []api.Route{
		{Pattern: "GET /v1/models", Handle: h.models, Fail: Fail, Light: true},
		{Pattern: "GET /v1/models/{id}", Handle: h.oneModel, Fail: Fail, Light: true},
		{Pattern: "POST /v1/completions", Handle: h.completions, Fail: Fail},
		{Pattern: "POST /v1/chat/completions", Handle: h.chats, Fail: Fail},
	}...)
}

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // model
	Created int64  `json:"created"`
	Owner   string `json:"owned_by"`
}

func (h *Handlers) object() modelObject {
	i := h.model.Info()
	return modelObject{i.Name, "model", i.Created.Unix(), "rwkv-gpu"}
}

func (h *Handlers) models(w http.ResponseWriter, _ *api.Call) *wire.Error {
	reply(w, struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{h.object()}})
	return nil
}

func (h *Handlers) oneModel(w http.ResponseWriter, c *api.Call) *wire.Error {
	if err := h.called(c.PathValue("id"), "id"); err != nil {
		return err
	}
	reply(w, h.object())
	return nil
}

// called checks that the model that a request names is this one.
func (h *Handlers) called(name, param string) *wire.Error {
	i := h.model.Info()
	if i.Called(name) {
		return nil
	}
	return &wire.Error{Status: http.StatusNotFound, Param: param, Code: "model_not_found",
		Message: fmt.Sprintf("%s: this server has the model %q and no %q", param, i.Name, clip(name))}
}

// count returns a field that counts something, or what holds without it.
func count(param string, sent *int, otherwise, min, max int) (int, *wire.Error) {
	if sent == nil {
		return otherwise, nil
	}
	if *sent < min || *sent > max {
		return 0, wire.Wrong(param, fmt.Sprintf("an integer from %d to %d", min, max), strconv.Itoa(*sent))
	}
	return *sent, nil
}

const (
	mostStops   = 64
	mostStop    = 1024 // bytes of a stop string
	mostChoices = 128
)

// stops checks stop strings.
func stops(list []string) *wire.Error {
	if len(list) > mostStops {
		return wire.Wrong("stop", fmt.Sprintf("at most %d stop strings", mostStops), strconv.Itoa(len(list)))
	}
	for i, s := range list {
		if s == "" || len(s) > mostStop {
			return wire.Wrong(fmt.Sprintf("stop[%d]", i), fmt.Sprintf("a string of 1 to %d bytes", mostStop), fmt.Sprintf("%d bytes", len(s)))
		}
	}
	return nil
}

// seeds returns the settings of one of several answers, which draw differently.
func (s *Settings) seeds(p sample.Params, i int) sample.Params {
	if s.Seed != nil {
		p.Seed += uint64(i)
		return p
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	p.Seed = binary.LittleEndian.Uint64(b[:])
	return p
}

// newID returns the id of an answer.
func newID(prefix string) string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// finite returns x, or a number that stands for minus infinity, which JSON cannot write.
func finite(x float32) float32 {
	if math.IsInf(float64(x), -1) || math.IsNaN(float64(x)) {
		return -9999
	}
	return x
}

// meanLogprob is what the best answers are chosen by.
func meanLogprob(tokens []api.Token) float64 {
	sum, n := 0.0, 0
	for _, t := range tokens {
		if !t.Prompt {
			sum, n = sum+float64(finite(t.Logprob)), n+1
		}
	}
	return sum / float64(max(n, 1))
}

// best returns the indices of the n best answers, the best first.
func best(tokens [][]api.Token, n int) []int {
	order := make([]int, len(tokens))
	for i := range order {
		order[i] = i
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
