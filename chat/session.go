package chat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Options say how a conversation begins.
type Options struct {
	Dialect *prompt.Dialect
	Date    int // of the model, as prompt.Choice has it
	Think   prompt.Think
	System  string
	Params  sample.Params
	Seeded  bool         // reports whether Params.Seed was chosen; otherwise each answer has another one
	Max     int          // most tokens of an answer
	Begin   *state.State // what the conversation goes on from, nil for nothing
	// Thoughts has the model begin the thoughts that a mode of thinking asks for; nil leaves that to the model.
	Thoughts *constrain.Thoughts
}

// Service is what a conversation needs of a completion.Service.
type Service interface {
	Start(ctx context.Context, r completion.Request) (*completion.Completion, error)
	State(ctx context.Context, r completion.Request) (state []float32, ids []int, err error)
}

var _ Service = (*completion.Service)(nil)

// Session is a conversation. Not safe for concurrent use.
type Session struct {
	service  Service
	tok      tokenizer.Tokenizer
	o        Options
	branches map[string]*branch
	current  string
	answers  uint64 // so far, by which those of a chosen seed differ
	total    Totals
}

// branch is one course of the conversation.
type branch struct {
	begin *state.State
	turns []Turn
}

// Turn is what the user said and what the model answered.
type Turn struct {
	User      string
	Content   string
	Reasoning string
	Answered  bool
}

// Reply is what an answer was and what it cost.
type Reply struct {
	Content   string
	Reasoning string
	IDs       []int
	Prompt    int // tokens of the whole conversation before the answer
	Cached    int // of these, how many were not read again
	Drawn     int
	Finish    text.Finish
	Rate      float64 // tokens drawn a second
}

// Totals sums up replies.
type Totals struct{ Answers, Prompt, Cached, Drawn int }

// Main is the name of the branch that a conversation begins with.
const Main = "main"

// New begins a conversation.
func New(s Service, tok tokenizer.Tokenizer, o Options) *Session {
	return &Session{service: s, tok: tok, o: o, branches: map[string]*branch{Main: {begin: o.Begin}}, current: Main}
}

// Options returns the settings as they are now.
func (s *Session) Options() Options { return s.o }

// Branch returns the name of the branch, and Branches all names in order.
func (s *Session) Branch() string { return s.current }

// Branches returns the names of all branches in order.
func (s *Session) Branches() []string { return slices.Sorted(maps.Keys(s.branches)) }

// Turns returns the turns of the branch. They belong to the session.
func (s *Session) Turns() []Turn { return s.branches[s.current].turns }

// Totals returns the sums over all answers.
func (s *Session) Totals() Totals { return s.total }

// Say says something and lets the model answer. each is told of the answer as it comes; its error ends the answer. A text
// without anything but blanks is an error.
func (s *Session) Say(ctx context.Context, said string, each func(prompt.Delta) error) (*Reply, error) {
	if strings.TrimSpace(said) == "" {
		return nil, errors.New("want a message, got an empty one")
	}
	b := s.branches[s.current]
	b.turns = append(b.turns, Turn{User: said})
	r, err := s.answer(ctx, each)
	if err != nil && r == nil { // nothing was said
		b.turns = b.turns[:len(b.turns)-1]
	}
	return r, err
}

// answer lets the model answer the last turn. With an error it returns what there is of the answer, nil if there is nothing.
func (s *Session) answer(ctx context.Context, each func(prompt.Delta) error) (*Reply, error) {
	b := s.branches[s.current]
	p, err := s.o.Dialect.Render(s.messages(), prompt.Options{Think: s.o.Think, Date: s.o.Date, Begun: b.begin != nil})
	if err != nil {
		return nil, err
	}
	r := s.request(b, p.Segments)
	r.Sample, r.Max, r.Stop, r.Logprobs = s.o.Params, s.o.Max, p.Stop, true // so that the pieces tell when tokens come
	if s.o.Thoughts != nil && p.Frame().Thought {
		r.Constraint = s.o.Thoughts.Begin(nil)
	}
	if s.answers++; s.o.Seeded {
		r.Sample.Seed += s.answers - 1
	} else {
		r.Sample.Seed = rand.Uint64()
	}
	c, err := s.service.Start(ctx, r)
	if err != nil {
		return nil, err
	}
	parser := p.Parser(prompt.ParserOptions{})
	var first, last time.Time
	for piece, more := c.Next(); more; piece, more = c.Next() {
		if last = time.Now(); first.IsZero() {
			first = last
		}
		if err = tell(parser.Push(piece.Text), each); err != nil {
			c.Cancel()
			break
		}
	}
	result, failed := c.Result()
	if err == nil {
		err = tell(parser.End(), each)
	}
	a := parser.Answer()
	reply := &Reply{Content: strings.TrimRight(a.Content, "\n"), Reasoning: a.Reasoning, IDs: append([]int{}, result.IDs...),
		Prompt: result.Cached + result.Prefilled, Cached: result.Cached, Drawn: result.Drawn, Finish: result.Finish}
	if took := last.Sub(first).Seconds(); result.Drawn > 1 && took > 0 {
		reply.Rate = float64(result.Drawn-1) / took
	}
	if err = errors.Join(err, failed); err != nil && result.Drawn == 0 {
		return nil, err
	}
	t := &b.turns[len(b.turns)-1]
	t.Content, t.Reasoning, t.Answered = reply.Content, reply.Reasoning, true
	s.total = Totals{s.total.Answers + 1, s.total.Prompt + reply.Prompt, s.total.Cached + reply.Cached, s.total.Drawn + reply.Drawn}
	return reply, err
}

func tell(list []prompt.Delta, each func(prompt.Delta) error) error {
	for _, d := range list {
		if err := each(d); err != nil {
			return err
		}
	}
	return nil
}

// messages returns the conversation of the branch.
func (s *Session) messages() (list []prompt.Message) {
	if s.o.System != "" {
		list = append(list, prompt.Message{Role: prompt.System, Content: s.o.System})
	}
	for _, t := range s.Turns() {
		list = append(list, prompt.Message{Role: prompt.User, Content: t.User})
		if t.Answered {
			list = append(list, prompt.Message{Role: prompt.Assistant, Content: t.Content, Reasoning: t.Reasoning})
		}
	}
	return list
}

// request returns a request of a prompt on a branch.
func (s *Session) request(b *branch, segments []prompt.Segment) completion.Request {
	var r completion.Request
	if b.begin != nil {
		r.State = b.begin.Data
		if first := b.begin.First(nil); len(first) > 0 {
			r.Prompt = append(r.Prompt, statecache.Segment{Text: string(tokenizer.Decode(s.tok, first)), IDs: first})
		}
	}
	kinds := map[prompt.Mark]statecache.Kind{prompt.Turn: statecache.Turn, prompt.Anchor: statecache.Anchor}
	for _, part := range segments {
		r.Prompt = append(r.Prompt, statecache.Segment{Text: part.Text, Verbatim: part.Verbatim, Answer: part.Answer, End: kinds[part.End]})
	}
	return r
}

// State returns the state after the conversation so far, for another conversation to go on from.
func (s *Session) State(ctx context.Context) (*state.State, error) {
	b := s.branches[s.current]
	messages := s.messages()
	if len(messages) == 0 {
		return nil, errors.New("want a conversation, got none yet")
	}
	p, err := s.o.Dialect.Render(messages, prompt.Options{Date: s.o.Date, Begun: b.begin != nil, Closed: true})
	if err != nil {
		return nil, err
	}
	data, ids, err := s.service.State(ctx, s.request(b, p.Segments))
	if err != nil {
		return nil, fmt.Errorf("the state of the conversation: %w", err)
	}
	tokens := len(ids)
	if b.begin != nil {
		tokens += b.begin.Tokens
	}
	return &state.State{Data: data, Tokens: tokens, Pending: state.None}, nil
}
