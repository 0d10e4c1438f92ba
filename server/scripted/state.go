package scripted

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// File is the file of a state: the ids that were read. Elements of a state are these ids too, so a text that goes on from
// a state is the same text as one that was sent whole.
type File struct {
	Model   string `json:"model"`
	IDs     []int  `json:"ids"`
	Pending int    `json:"pending"`
}

// mostState bounds files, in bytes.
const mostState = 1 << 20

// before returns the ids that come before the prompt of a request, and how many of them were read.
func before(r *api.Request) (ids []int, read int) {
	if r.State == nil {
		return nil, 0
	}
	for _, v := range r.State.Data {
		ids = append(ids, int(v))
	}
	read = len(ids)
	if r.State.Pending != api.NoToken {
		ids = append(ids, r.State.Pending)
	}
	return ids, read
}

// State returns the ids of a request's prompt, behind those of the state that it follows.
func (m *Model) State(_ context.Context, r *api.Request) (*api.State, error) {
	if err := m.refuse(r); err != nil {
		return nil, err
	}
	ids, err := m.prompt(r)
	if err != nil {
		return nil, err
	}
	s := &api.State{Tokens: len(ids), Pending: api.NoToken}
	for _, id := range ids {
		s.Data = append(s.Data, float32(id))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read = append(m.read, *r)
	return s, nil
}

// Read returns the requests for states so far.
func (m *Model) Read() []api.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]api.Request(nil), m.read...)
}

// EncodeState returns the file of a state.
func (m *Model) EncodeState(s *api.State) ([]byte, error) {
	ids, _ := before(&api.Request{State: &api.State{Data: s.Data, Pending: api.NoToken}})
	return json.Marshal(File{m.What.Name, ids, s.Pending})
}

// DecodeState returns the state of a file.
func (m *Model) DecodeState(file []byte) (*api.State, error) {
	var f File
	fail := func(field, want, got string) error { return wire.Wrong("content", field+": "+want, got) }
	switch err := json.Unmarshal(file, &f); {
	case err != nil:
		return nil, fail("form", "the file of a state", "another")
	case f.Model != m.What.Name:
		return nil, fail("model", m.What.Name, f.Model)
	}
	s := &api.State{Tokens: len(f.IDs), Pending: f.Pending}
	for i, id := range f.IDs {
		if id < 0 || id >= m.What.Vocab {
			return nil, &wire.Error{Status: http.StatusBadRequest, Param: "content", Message: fmt.Sprintf("content: ids[%d]: %d", i, id)}
		}
		s.Data = append(s.Data, float32(id))
	}
	return s, nil
}

// StateSize returns how many bytes the file of a state has.
func (m *Model) StateSize(s *api.State) int64 {
	if s == nil {
		return 1 << 10
	}
	file, err := m.EncodeState(s)
	if err != nil {
		return 0
	}
	return int64(len(file))
}

// MostState returns how large a file may be.
func (m *Model) MostState() int64 { return mostState }

// Picture is a picture of a state: the ids that were read, and what was asked for.
type Picture struct {
	IDs []int `json:"ids"`
	api.Drawing
}

// DrawState returns what Draw does or, without it, a Picture.
func (m *Model) DrawState(s *api.State, d api.Drawing) ([]byte, error) {
	if m.Draw != nil {
		return m.Draw(s, d)
	}
	ids, _ := before(&api.Request{State: &api.State{Data: s.Data, Pending: api.NoToken}})
	return json.Marshal(Picture{ids, d})
}
