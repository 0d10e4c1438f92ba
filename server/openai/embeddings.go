package openai

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// EmbeddingRequest is the body of POST /v1/embeddings.
type EmbeddingRequest struct {
	Model      string       `json:"model"`
	Input      wire.Prompts `json:"input"`
	Format     string       `json:"encoding_format"` // float or base64
	Dimensions *int         `json:"dimensions"`
}

// Bounds of /v1/embeddings, and how long an embedding is if nothing is said of it.
const (
	mostInputs        = 2048
	mostDimensions    = 8192
	defaultDimensions = 1024
)

// Embedding is the embedding of one text: a list of numbers, or these as float32 in little-endian order, in base64.
type Embedding struct {
	Object string `json:"object"` // embedding
	Index  int    `json:"index"`
	Values any    `json:"embedding"`
}

// embeddings answers with what the model remembers of texts: its last layer's memory, made short by a sketch.
func (h *Handlers) embeddings(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q EmbeddingRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	requests, dimensions, err := h.embeddingRequests(c.User, &q)
	if err != nil {
		return err
	}
	memories, err := h.memories(c.Context(), requests)
	if err != nil {
		return err
	}
	answer := struct {
		Object string      `json:"object"`
		Data   []Embedding `json:"data"`
		Model  string      `json:"model"`
		Usage  struct {
			Prompt int `json:"prompt_tokens"`
			Total  int `json:"total_tokens"`
		} `json:"usage"`
	}{Object: "list", Data: make([]Embedding, len(memories)), Model: h.model.Info().Named(q.Model)}
	for i, m := range memories {
		x := sketch(m.Values, dimensions)
		answer.Data[i] = Embedding{"embedding", i, x}
		if q.Format == "base64" {
			answer.Data[i].Values = base64Floats(x)
		}
		answer.Usage.Prompt += m.Tokens
	}
	answer.Usage.Total = answer.Usage.Prompt
	c.Done(api.Result{Prompt: answer.Usage.Prompt})
	reply(w, answer)
	return nil
}

// embeddingRequests checks a request and makes those of the model, one for each text.
func (h *Handlers) embeddingRequests(user string, q *EmbeddingRequest) ([]api.Request, int, *wire.Error) {
	if err := h.model.Info().Want("model", q.Model); err != nil {
		return nil, 0, err
	}
	switch n := len(q.Input); {
	case n == 0:
		return nil, 0, wire.Missing("input", q.Input.Want())
	case n > mostInputs:
		return nil, 0, wire.Wrong("input", fmt.Sprintf("at most %d texts", mostInputs), fmt.Sprint(n))
	case q.Format != "" && q.Format != "float" && q.Format != "base64":
		return nil, 0, wire.Wrong("encoding_format", "float or base64", "another string")
	}
	dimensions, err := wire.Count("dimensions", q.Dimensions, defaultDimensions, 1, mostDimensions)
	if err != nil {
		return nil, 0, err
	}
	list := make([]api.Request, len(q.Input))
	for i := range q.Input {
		p, name := &q.Input[i], "input"
		if len(q.Input) > 1 {
			name = fmt.Sprintf("input[%d]", i)
		}
		if p.Text == "" && len(p.IDs) == 0 {
			return nil, 0, wire.Wrong(name, "a text of at least one token", "an empty one")
		}
		if err := h.checkIDs(name, p.IDs); err != nil {
			return nil, 0, err
		}
		list[i] = api.Request{User: user, IDs: p.IDs, Cold: true}
		if len(p.IDs) == 0 {
			list[i].Segments = []prompt.Segment{{Text: p.Text}}
		}
	}
	return list, dimensions, nil
}

// memories asks the model for several memories, as many at once as it works on. The first error ends all.
func (h *Handlers) memories(ctx context.Context, requests []api.Request) ([]api.Memory, *wire.Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := make([]api.Memory, len(requests))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(len(requests), max(h.model.Info().Sequences, 1)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				var err error
				if list[i], err = h.model.Memory(ctx, &requests[i]); err != nil {
					cancel(err)
				}
			}
		}()
	}
	for i := 0; i < len(requests) && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	workers.Wait()
	return list, api.Fault(context.Cause(ctx))
}

// sketch makes a vector short so that angles between vectors stay about the same: each element is added to, or taken
// from, one of n sums that its index chooses (count sketch: Charikar, Chen, Farach-Colton 2002). The result has the
// length 1.
func sketch(x []float32, n int) []float32 {
	sums := make([]float64, n)
	for i, v := range x {
		h := mix(uint64(i))
		if h&1 == 0 {
			sums[(h>>1)%uint64(n)] += float64(v)
		} else {
			sums[(h>>1)%uint64(n)] -= float64(v)
		}
	}
	square := 0.0
	for _, s := range sums {
		square += s * s
	}
	out := make([]float32, n)
	for i, s := range sums {
		out[i] = float32(s / max(math.Sqrt(square), math.SmallestNonzeroFloat32))
	}
	return out
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func base64Floats(x []float32) string {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(b)
}
