package local

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// asked returns a completion that has of a request what reading its prompt takes.
func asked(ctx context.Context, r *api.Request) completion.Request {
	q := completion.Request{User: r.User, Space: "user " + r.User, Fresh: r.Cold,
		Standing: completion.Standing{Follows: r.Follows, Background: api.InBackground(ctx)}}
	if r.State != nil {
		q.State, q.Origin = r.State.Data, r.State.Origin
	}
	return q
}

// begun returns the ids that come before the prompt of a request.
func (m *Model) begun(r *api.Request) []int {
	switch s := r.State; {
	case s == nil:
		return m.first
	case s.Pending != api.NoToken:
		return []int{s.Pending}
	}
	return nil
}

// read returns how many tokens a request's state has read.
func read(r *api.Request) int {
	if r.State == nil {
		return 0
	}
	return r.State.Tokens
}

// State reads the prompt of a request and returns the state behind it. Where there is nothing to read, this is the state
// that the request begins from.
func (m *Model) State(ctx context.Context, r *api.Request) (*api.State, error) {
	list, err := m.segments(r, nil)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return m.initial(r.State)
	}
	q := asked(ctx, r)
	q.Prompt = list
	data, ids, err := m.service.State(ctx, q)
	if err != nil {
		return nil, m.fault(err)
	}
	return &api.State{Data: data, Tokens: min(read(r)+len(ids), state.MostTokens), Pending: api.NoToken}, nil
}

// initial returns s or, if that is nil, the state that all begins from.
func (m *Model) initial(s *api.State) (*api.State, error) {
	if s != nil {
		return s, nil
	}
	data, err := m.engine.Model.Program.InitialState()
	return &api.State{Data: data, Pending: api.NoToken}, err
}

// EncodeState returns the file of a state, as package model/state has it.
func (m *Model) EncodeState(s *api.State) ([]byte, error) {
	return state.Encode(m.engine.Model, saved(s))
}

func saved(s *api.State) *state.State {
	return &state.State{Data: s.Data, Tokens: s.Tokens, Pending: s.Pending, Sampler: s.Sampler}
}

// DecodeState returns the state of such a file.
func (m *Model) DecodeState(file []byte) (*api.State, error) {
	s, err := state.Decode(m.engine.Model, "content", file)
	if err == nil && s.Sampler != nil {
		err = m.checkSampler(s.Sampler)
	}
	var bad *weights.Error
	switch {
	case errors.As(err, &bad):
		text := strings.ReplaceAll(bad.Error(), m.engine.Model.File.Path, m.info.Name)
		return nil, &wire.Error{Status: http.StatusBadRequest, Param: "content", Message: text, Code: "invalid_state"}
	case err != nil:
		return nil, err
	}
	return &api.State{Data: s.Data, Tokens: s.Tokens, Pending: s.Pending, Sampler: s.Sampler}, nil
}

// checkSampler returns what is wrong with the place of a sampler.
func (m *Model) checkSampler(data []byte) error {
	smp, err := sample.New(sample.Default(), sample.NewVocabulary(m.info.Vocab, m.tok))
	if err != nil {
		return err
	}
	if err := smp.UnmarshalBinary(data); err != nil {
		return &weights.Error{File: "content", Field: "sampler", Err: err}
	}
	return nil
}

// StateSize returns how many bytes the file of a state has.
func (m *Model) StateSize(s *api.State) int64 {
	if s == nil {
		s = &api.State{Tokens: state.MostTokens, Pending: m.info.Vocab - 1}
	}
	size, _ := state.Size(m.engine.Model, saved(s)) // which has not failed in New
	return int64(size)
}

// MostState returns how large a file of a state may be.
func (m *Model) MostState() int64 { return state.MostBytes(m.engine.Model) }

// whole sets the ids of a request's text without those that the model put before it.
func (s *stream) whole(r *completion.Result) {
	s.result.Whole, s.result.Rest = slices.Clone(r.Whole[min(s.reading.hidden, len(r.Whole)):]), r.Rest
}
