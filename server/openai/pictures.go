package openai

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// PictureRequest is the body of POST /v1/states/picture: a state as POST /v1/states has it, which is drawn and not kept, and
// what of it is drawn.
type PictureRequest struct {
	StateRequest
	Size  *int `json:"size"`  // cells on each side of a head
	Layer *int `json:"layer"` // from 0; all if it is not there
	Head  *int `json:"head"`  // likewise
}

// drawing returns what of a state is drawn.
func drawing(size, layer, head *int) (api.Drawing, *wire.Error) {
	d := api.Drawing{Layer: api.All, Head: api.All}
	for _, field := range []struct {
		name        string
		asked       *int
		least, most int // of any model
		to          *int
	}{{"size", size, 1, 1 << 11, &d.Size}, {"layer", layer, 0, 1<<16 - 1, &d.Layer}, {"head", head, 0, 1<<16 - 1, &d.Head}} {
		if field.asked == nil {
			continue
		}
		if *field.to = *field.asked; *field.to < field.least || *field.to > field.most {
			return d, wire.Wrong(field.name, fmt.Sprintf("%d to %d", field.least, field.most), strconv.Itoa(*field.to))
		}
	}
	return d, nil
}

// drawingOf returns what the address of a request asks for.
func drawingOf(c *api.Call) (api.Drawing, *wire.Error) {
	query := c.URL.Query()
	numbers := map[string]*int{}
	for _, name := range []string{"size", "layer", "head"} {
		if !query.Has(name) {
			continue
		}
		n, err := strconv.Atoi(query.Get(name))
		if err != nil {
			return api.Drawing{}, wire.Wrong(name, "a whole number", strconv.Quote(wire.Clip(query.Get(name))))
		}
		numbers[name] = &n
	}
	return drawing(numbers["size"], numbers["layer"], numbers["head"])
}

// statePicture answers with the picture of a kept state.
func (h *Handlers) statePicture(w http.ResponseWriter, c *api.Call) *wire.Error {
	d, err := drawingOf(c)
	if err != nil {
		return err
	}
	s, err := h.options.KeptState("id", c.User, c.PathValue("id"))
	if err != nil {
		return err
	}
	return h.draw(w, s, d)
}

// textPicture answers with the picture of the state behind a text. A checkpoint of the cache saves reading the text again.
func (h *Handlers) textPicture(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q PictureRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	d, err := drawing(q.Size, q.Layer, q.Head)
	if err != nil {
		return err
	}
	r, err := h.stateRequest(c.User, &q.StateRequest)
	if err != nil {
		return err
	}
	if err := h.follow(c.User, &q.StateRequest, r); err != nil {
		return err
	}
	s, err := h.behind(c, r)
	if err != nil {
		return err
	}
	return h.draw(w, s, d)
}

// draw answers with a picture.
func (h *Handlers) draw(w http.ResponseWriter, s *api.State, d api.Drawing) *wire.Error {
	data, failed := h.model.DrawState(s, d)
	if failed != nil {
		return api.Fault(failed)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // if the client has left, nobody is there to be told
	return nil
}
