// Package scripted is a model that answers what it is told, for tests of what lies above one: the handlers, and clients.
package scripted

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Model answers by a function. Its tokens are drawn from the vocabulary of Tok as the function's text encodes.
type Model struct {
	Tok  tokenizer.Tokenizer
	What api.Info
	// Answer returns the text of the answer to a prompt. An answer that does not end by itself goes on with its text again.
	Answer func(r *api.Request, prompt string) (answer string, ends bool)
	// Pause, if not nil, is waited for before each token.
	Pause func(ctx context.Context) error
	// Draw, if not nil, makes the pictures of states; else they are of type Picture.
	Draw func(s *api.State, d api.Drawing) ([]byte, error)
	// Fail, if not nil, may fail a request before it starts.
	Fail func(r *api.Request) error
	// Forgets reports whether Asked stays empty, for tests of very many requests.
	Forgets bool

	mu     sync.Mutex
	open   int
	health error
	asked  []api.Request
	read   []api.Request // for states
}

var _ api.Model = (*Model)(nil)

// Info returns What.
func (m *Model) Info() api.Info { return m.What }

// Tokenizer returns Tok.
func (m *Model) Tokenizer() tokenizer.Tokenizer { return m.Tok }

// Health returns what SetHealth set.
func (m *Model) Health() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health
}

// SetHealth sets what Health returns, and Start as well.
func (m *Model) SetHealth(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.health = err
}

// Open returns how many streams are not closed.
func (m *Model) Open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open
}

// Asked returns the requests so far.
func (m *Model) Asked() []api.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]api.Request(nil), m.asked...)
}

// Memory returns how often each id is in the prompt.
func (m *Model) Memory(_ context.Context, r *api.Request) (api.Memory, error) {
	if err := m.refuse(r); err != nil {
		return api.Memory{}, err
	}
	ids, err := m.prompt(r)
	memory := api.Memory{Values: make([]float32, m.What.Vocab), Tokens: len(ids)}
	for _, id := range ids {
		memory.Values[id]++
	}
	return memory, err
}

// refuse returns the error of requests that do not start.
func (m *Model) refuse(r *api.Request) error {
	if err := m.Health(); err != nil {
		return err
	}
	if m.Fail != nil {
		return m.Fail(r)
	}
	return nil
}

// prompt returns the ids of a request's prompt, behind those of its state.
func (m *Model) prompt(r *api.Request) ([]int, error) {
	ids, _ := before(r)
	ids = append(ids, r.IDs...)
	for _, s := range r.Segments {
		var err error
		if ids, err = m.Tok.AppendEncode(ids, []byte(s.Text)); err != nil {
			return nil, wire.Wrong("prompt", "a text that the vocabulary can spell", err.Error())
		}
	}
	return ids, nil
}

// Start begins answers.
func (m *Model) Start(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	var all []api.Stream
	for i := range list {
		if !slices.Equal(list[i].IDs, list[0].IDs) || !slices.Equal(list[i].Segments, list[0].Segments) || list[i].State != list[0].State ||
			list[i].Shares != (i > 0) {
			return nil, fmt.Errorf("scripted: request %d: want the prompt of the first, %+v, got %+v", i, list[0], list[i])
		}
		s, err := m.start(ctx, &list[i])
		if err != nil {
			for _, s := range all {
				s.Close()
			}
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (m *Model) start(ctx context.Context, r *api.Request) (api.Stream, error) {
	if err := m.refuse(r); err != nil {
		return nil, err
	}
	ids, err := m.prompt(r)
	if err != nil {
		return nil, err
	}
	prompt := ""
	for _, id := range ids {
		prompt += string(m.Tok.Bytes(id))
	}
	answer, ends := m.Answer(r, prompt)
	w, err := text.NewWriter(m.Tok, text.Options{Stop: r.Stop, Late: r.Late, Gate: r.Gate, Max: r.Max})
	if err != nil {
		return nil, err
	}
	drawn, err := m.Tok.AppendEncode(nil, []byte(answer))
	if err != nil {
		return nil, err
	}
	if ends {
		drawn = append(drawn, text.EndOfText)
	}
	ctx, cancel := context.WithCancel(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	if !m.Forgets {
		m.asked = append(m.asked, *r)
	}
	s := &stream{m: m, r: r, ctx: ctx, cancel: cancel, w: w, drawn: drawn}
	_, read := before(r)
	s.result = api.Result{Prompt: len(ids), Cached: read, Before: read, Reading: time.Millisecond}
	s.prompt = ids[read:]
	if r.State != nil && r.State.Pending != api.NoToken {
		s.prompt = s.prompt[1:]
	}
	if r.Prompted {
		for i, id := range s.prompt {
			s.told = append(s.told, s.token(id, i == 0 && r.State == nil, true))
		}
	}
	if err := s.replay(); err != nil {
		m.open--
		cancel()
		return nil, err
	}
	return s, nil
}

type stream struct {
	m      *Model
	r      *api.Request
	ctx    context.Context
	cancel func()
	w      *text.Writer
	drawn  []int
	prompt []int
	pushed []int
	at     int
	told   []api.Token
	again  *api.Piece // what earlier runs told, as long as it is to be told again
	asked  bool       // reports whether the ids of the prompt were told
	done   bool
	text   string // so far
	result api.Result
	once   sync.Once
}

// token tells of a token: how likely it is depends on its id alone.
func (s *stream) token(id int, first, prompt bool) api.Token {
	t := api.Token{ID: id, Bytes: s.m.Tok.Bytes(id), Logprob: Logprob(id), Prompt: prompt}
	if id == text.EndOfText {
		t.Bytes = nil
	}
	if first && prompt {
		t.Logprob = float32(math.NaN())
	}
	for i := range s.r.Top {
		t.Top = append(t.Top, sample.Candidate{ID: id + i, Logprob: Logprob(id) - float32(i)})
	}
	return t
}

// Logprob is how likely a token is told to be.
func Logprob(id int) float32 { return -float32(id%13) / 8 }

// Next returns the next token's text.
func (s *stream) Next() (api.Piece, error) {
	if p, there := s.earlier(); there {
		return p, nil
	}
	if s.told != nil {
		p := api.Piece{Tokens: s.told}
		s.told = nil
		return p, nil
	}
	if s.done || s.r.Max == 0 {
		s.result.Finish = s.w.Finish()
		if s.r.Max == 0 {
			s.result.Finish = text.FinishedLength
		}
		s.result.Stop, s.result.Drawn = s.w.Stop(), s.w.IDs()
		if s.r.Whole {
			s.whole()
		}
		s.kept()
		return api.Piece{}, io.EOF
	}
	if s.m.Pause != nil {
		if err := s.m.Pause(s.ctx); err != nil {
			return api.Piece{}, err
		}
	}
	if err := s.ctx.Err(); err != nil {
		return api.Piece{}, err
	}
	id := s.drawn[s.at%len(s.drawn)]
	s.at++
	more, done := s.w.Push(id)
	s.done = done
	s.pushed, s.text = append(s.pushed, id), s.text+string(more)
	p := api.Piece{Text: string(more)}
	if s.r.Traced {
		p.Drawn = []api.Token{s.token(id, false, false)}
	}
	if s.r.Logprobs {
		p.Tokens = []api.Token{s.token(id, false, false)}
	}
	return p, nil
}

// whole sets the ids of the prompt and the answer.
func (s *stream) whole() {
	n, bytes := s.w.Covered()
	if s.w.Finish() != text.FinishedStop {
		n, bytes = s.w.IDs(), len(s.text)
	}
	s.result.Whole = append(append([]int{}, s.prompt...), s.pushed[:n]...)
	s.result.Rest = s.text[bytes:]
}

// Result tells of the answer so far.
func (s *stream) Result() api.Result { return s.result }

// Close ends the answer.
func (s *stream) Close() {
	s.once.Do(func() {
		s.cancel()
		s.m.mu.Lock()
		s.m.open--
		s.m.mu.Unlock()
	})
}
