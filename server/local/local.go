// Package local is the model that a server has in its own process: an engine's completions, as the protocols ask for them.
package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Options say how a model is served.
type Options struct {
	Names      []string // by which requests ask for it, at least one
	ID         string   // of the weights
	Created    time.Time
	First      []int // ids that come before every prompt, such as one that a saved state has not seen yet
	Completion completion.Options
}

// Model answers by an engine.
type Model struct {
	engine  *engine.Engine
	service *completion.Service
	tok     tokenizer.Tokenizer
	info    api.Info
	first   []int
	own     []func() error // what is closed after the service

	closing atomic.Bool
	failed  func() error // returns the error by which the device was given up, or nil
}

// New returns a model on an engine, which must outlive it.
func New(e *engine.Engine, tok tokenizer.Tokenizer, o Options) (*Model, error) {
	if _, err := state.Size(e.Model, &state.State{}); err != nil { // which computes the model's identity, for files of states
		return nil, err
	}
	s, err := completion.New(e, tok, o.Completion)
	if err != nil {
		return nil, err
	}
	queue := o.Completion.Schedule.Queue
	if queue <= 0 {
		queue = schedule.DefaultQueue
	}
	return &Model{engine: e, service: s, tok: tok, first: o.First, failed: s.Err, info: api.Info{Name: o.Names[0], Aliases: o.Names[1:],
		Fingerprint: "fp_" + o.ID[:min(len(o.ID), 16)], Created: o.Created, Version: e.Model.Version, Vocab: e.Model.Vocab,
		Sequences: e.Stats().Slots, Together: queue}}, nil
}

// Own has the model close something after itself, such as its engine.
func (m *Model) Own(list ...func() error) { m.own = append(m.own, list...) }

// Info tells what the model is.
func (m *Model) Info() api.Info { return m.info }

// Device returns the name of the device.
func (m *Model) Device() string { return m.engine.Device() }

// Tokenizer returns the model's tokenizer.
func (m *Model) Tokenizer() tokenizer.Tokenizer { return m.tok }

// Health returns nil while requests are answered. A device that is lost is opened anew: only one that was given up makes
// the model ill.
func (m *Model) Health() error {
	switch {
	case m.closing.Load():
		return api.ErrClosing
	case m.failed() != nil:
		return api.ErrDevice
	}
	return nil
}

// Close takes no more requests, ends those under way, waits until the states that are kept are in their files, and closes
// what the model owns.
func (m *Model) Close(ctx context.Context) error {
	m.closing.Store(true)
	err := m.service.Close(ctx)
	for _, f := range m.own {
		err = errors.Join(err, f())
	}
	return err
}

// Start begins requests for answers to one prompt.
func (m *Model) Start(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	first := &list[0]
	reading := &reading{tok: m.tok, hidden: len(m.begun(first))}
	parts, err := m.segments(first, reading)
	if err != nil {
		return nil, err
	}
	streams, asks := make([]api.Stream, len(list)), make([]completion.Request, len(list))
	own := make([]*stream, len(list))
	for i := range list {
		r, q := &list[i], &asks[i]
		own[i] = &stream{m: m, began: time.Now(), most: r.Max, told: r.Logprobs, before: read(r), wholly: r.Whole, reading: reading}
		streams[i] = own[i]
		*q = asked(ctx, r)
		q.Prompt = parts
		q.Sample, q.Constraint, q.Max, q.Logprobs, q.Top = r.Params, r.Constraint, max(r.Max, 1), r.Logprobs, r.Top
		q.Stop, q.Late, q.Gate, q.Returned = r.Stop, r.Late, r.Gate, r.Returned
		q.Run, own[i].traced = runOf(r), r.Traced
		if r.State != nil {
			q.Sampler = r.State.Sampler
		}
		if r.Prompted {
			reading.top = r.Top
			q.Prompted = reading.take
		}
	}
	completions, err := m.service.StartAll(ctx, asks)
	if err != nil {
		return nil, m.fault(err)
	}
	for i, c := range completions {
		own[i].c = c
	}
	return streams, nil
}

// Memory returns what the last layer remembers of a request's prompt. Models before RWKV-5 have no such memory.
func (m *Model) Memory(ctx context.Context, r *api.Request) (api.Memory, error) {
	from, to := m.memory()
	if from == to {
		return api.Memory{}, &wire.Error{Status: http.StatusBadRequest, Param: "model", Code: "invalid_value",
			Message: "model: want one of RWKV-5 or newer, got " + m.info.Version}
	}
	list, err := m.segments(r, nil)
	if err != nil {
		return api.Memory{}, err
	}
	q := asked(ctx, r)
	q.Prompt = list
	data, ids, err := m.service.State(ctx, q)
	if err := m.fault(err); err != nil {
		return api.Memory{}, err
	}
	return api.Memory{Values: data[from:to], Tokens: len(ids)}, nil
}

// memory returns where the state has the memory of the last layer.
func (m *Model) memory() (from, to int) {
	at := 0
	for _, o := range m.engine.Model.Program.Of(op.State) {
		if strings.HasSuffix(o.Name, ".att_kv") {
			from, to = at, at+o.Width
		}
		at += o.Width
	}
	return from, to
}

// segments returns the prompt of a request as the cache knows it. Where its tokens are told of, their ids become those of
// told.
func (m *Model) segments(r *api.Request, told *reading) ([]statecache.Segment, error) {
	var list []statecache.Segment
	add := func(ids []int, end statecache.Kind) {
		if len(ids) == 0 {
			return
		}
		if r.Prompted { // whose tokens are told of
			told.ids = append(told.ids, ids...)
		}
		list = append(list, statecache.Segment{Text: string(tokenizer.Decode(m.tok, ids)), IDs: ids, End: end})
	}
	add(m.begun(r), statecache.None)
	if r.IDs != nil {
		add(r.IDs, statecache.Turn)
		return list, nil
	}
	kinds := map[prompt.Mark]statecache.Kind{prompt.Turn: statecache.Turn, prompt.Anchor: statecache.Anchor}
	for _, part := range r.Segments {
		next := statecache.Segment{Text: part.Text, Verbatim: part.Verbatim, Answer: part.Answer, End: kinds[part.End]}
		if r.Prompted { // so the ids are chosen here
			var err error
			if next.IDs, err = m.tok.AppendEncode(nil, []byte(part.Text)); err != nil {
				return nil, m.fault(err)
			}
			told.ids = append(told.ids, next.IDs...)
		}
		list = append(list, next)
	}
	return list, nil
}

// fault returns an error as package api has it.
func (m *Model) fault(err error) error {
	var text *tokenizer.TextError
	var param *sample.ParamError
	var lost bool
	for _, known := range []error{engine.ErrDeviceLost, engine.ErrOutOfMemory, engine.ErrTimeout, engine.ErrStateLost} {
		lost = lost || errors.Is(err, known)
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &text):
		return &wire.Error{Status: http.StatusBadRequest, Message: "the text has bytes that the model's vocabulary cannot spell", Code: "invalid_value"}
	case errors.As(err, &param):
		return &wire.Error{Status: http.StatusBadRequest, Param: param.Name, Message: param.Name + ": " + param.Why, Code: "invalid_value"}
	case errors.Is(err, schedule.ErrQueueFull):
		return api.ErrBusy
	case errors.Is(err, schedule.ErrClosed), errors.Is(err, engine.ErrClosed):
		return api.ErrClosing
	case errors.Is(err, schedule.ErrCanceled):
		return context.Canceled
	case errors.Is(err, completion.ErrSlowReader):
		return api.ErrSlow
	case lost:
		return fmt.Errorf("%w: %w", api.ErrDevice, err)
	}
	return err
}
