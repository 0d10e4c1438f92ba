package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// A request and its frames as replicas send them: JSON, in which log-probabilities are their bits, since they may be
// infinite.

// asked is a call for answers to one prompt.
type asked struct {
	User       string           `json:"user"`
	Background bool             `json:"background,omitempty"`
	Follows    bool             `json:"follows,omitempty"`
	Cold       bool             `json:"cold,omitempty"`
	Prompted   bool             `json:"prompted,omitempty"`
	Segments   []prompt.Segment `json:"segments,omitempty"`
	IDs        []int            `json:"ids,omitempty"` // that Segments are read as, where there are both
	Answers    []answerAsked    `json:"answers"`
}

// answerAsked is one of the answers.
type answerAsked struct {
	Params     sample.Params `json:"params"`
	Constraint []byte        `json:"constraint,omitempty"` // the recipe of one
	Gate       []byte        `json:"gate,omitempty"`
	Max        int           `json:"max"`
	Stop       []string      `json:"stop,omitempty"`
	Late       []string      `json:"late,omitempty"`
	Logprobs   bool          `json:"logprobs,omitempty"`
	Top        int           `json:"top,omitempty"`
	Whole      bool          `json:"whole,omitempty"`
	Returned   bool          `json:"returned,omitempty"`
	Drawn      []token       `json:"drawn,omitempty"`
}

// token is an api.Token.
type token struct {
	ID      int      `json:"id"`
	Bytes   []byte   `json:"bytes,omitempty"`
	Logprob uint32   `json:"logprob,omitempty"`
	Top     []likely `json:"top,omitempty"`
	Prompt  bool     `json:"prompt,omitempty"`
}

// likely is a token that might have been drawn.
type likely struct {
	ID      int    `json:"id"`
	Logprob uint32 `json:"logprob"`
}

// frame is what a worker tells of one of the answers, or with Began of all.
type frame struct {
	Began  bool        `json:"began,omitempty"` // the answers have begun
	Answer int         `json:"answer,omitempty"`
	Text   string      `json:"text,omitempty"`
	Tokens []token     `json:"tokens,omitempty"`
	Prompt []int       `json:"prompt,omitempty"`
	Drawn  []token     `json:"drawn,omitempty"`
	Result *api.Result `json:"result,omitempty"` // the answer has ended
	Fault  *fault      `json:"fault,omitempty"`  // by this error; before Began of all
}

// fault is an error.
type fault struct {
	Kind    string `json:"kind"`
	Status  int    `json:"status,omitempty"`
	Param   string `json:"param,omitempty"`
	Message string `json:"message,omitempty"`
	Code    string `json:"code,omitempty"`
}

// errBound says that a request can be answered in its own process only.
var errBound = errors.New("the request cannot leave its process")

// encode returns a request as it is sent. The error errBound says that it cannot be sent.
func (m *Model) encode(ctx context.Context, list []api.Request) (*asked, error) {
	first := &list[0]
	if first.State != nil {
		return nil, errBound
	}
	a := &asked{User: first.User, Background: api.InBackground(ctx), Follows: first.Follows, Cold: first.Cold, Prompted: first.Prompted,
		Segments: first.Segments, IDs: first.IDs}
	for i := range list {
		r := &list[i]
		one := answerAsked{Params: r.Params, Max: r.Max, Stop: r.Stop, Late: r.Late, Logprobs: r.Logprobs, Top: r.Top, Whole: r.Whole,
			Returned: r.Returned, Drawn: tokensOf(r.Drawn)}
		var ok bool
		if one.Constraint, ok = recipe(r.Constraint, m.o.Constraint != nil); !ok {
			return nil, errBound
		}
		if one.Gate, ok = recipe(r.Gate, m.o.Gate != nil); !ok {
			return nil, errBound
		}
		a.Answers = append(a.Answers, one)
	}
	return a, nil
}

// recipe returns the recipe of a constraint or a gate, nil for none. It reports whether others can make what there is.
func recipe(v any, able bool) ([]byte, bool) {
	if v == nil {
		return nil, true
	}
	p, portable := v.(Portable)
	if !portable || !able {
		return nil, false
	}
	r := p.Recipe()
	return r, r != nil
}

// decode returns the requests of a call, the context of their work, and the places of their prompt.
func (m *Model) decode(ctx context.Context, data []byte) (_ context.Context, list []api.Request, places []place, err error) {
	var a asked
	if err := json.Unmarshal(data, &a); err != nil || len(a.Answers) == 0 {
		return nil, nil, nil, fmt.Errorf("the request of another replica: want answers, got none (%w)", err)
	}
	if a.Background {
		ctx = api.Background(ctx)
	}
	text := api.Request{User: a.User, Segments: a.Segments}
	if a.Segments == nil {
		text.IDs = a.IDs
	}
	places = placesOf(&text)
	if a.IDs != nil {
		a.Segments = nil
	}
	for i := range a.Answers {
		one := &a.Answers[i]
		r := api.Request{User: a.User, Follows: a.Follows, Cold: a.Cold, Prompted: a.Prompted, Segments: a.Segments, IDs: a.IDs, Shares: i > 0,
			Params: one.Params, Max: one.Max, Stop: one.Stop, Late: one.Late, Logprobs: one.Logprobs, Top: one.Top, Whole: one.Whole,
			Returned: one.Returned, Run: api.Run{Drawn: tokensFrom(one.Drawn), Traced: true}}
		if one.Constraint != nil {
			if m.o.Constraint == nil {
				return nil, nil, nil, errBound
			}
			if r.Constraint, err = m.o.Constraint(one.Constraint); err != nil {
				return nil, nil, nil, err
			}
		}
		if one.Gate != nil {
			if m.o.Gate == nil {
				return nil, nil, nil, errBound
			}
			if r.Gate, err = m.o.Gate(one.Gate); err != nil {
				return nil, nil, nil, err
			}
		}
		list = append(list, r)
	}
	return ctx, list, places, nil
}

func tokensOf(list []api.Token) (out []token) {
	for _, t := range list {
		one := token{ID: t.ID, Bytes: t.Bytes, Logprob: math.Float32bits(t.Logprob), Prompt: t.Prompt}
		for _, c := range t.Top {
			one.Top = append(one.Top, likely{c.ID, math.Float32bits(c.Logprob)})
		}
		out = append(out, one)
	}
	return out
}

func tokensFrom(list []token) (out []api.Token) {
	for _, t := range list {
		one := api.Token{ID: t.ID, Bytes: t.Bytes, Logprob: math.Float32frombits(t.Logprob), Prompt: t.Prompt}
		for _, c := range t.Top {
			one.Top = append(one.Top, sample.Candidate{ID: c.ID, Logprob: math.Float32frombits(c.Logprob)})
		}
		out = append(out, one)
	}
	return out
}

// faults are the errors that have a name of their own.
var faults = map[string]error{"busy": api.ErrBusy, "closing": api.ErrClosing, "device": api.ErrDevice, "slow": api.ErrSlow,
	"canceled": context.Canceled, "late": context.DeadlineExceeded}

// faultOf returns an error as it is sent.
func faultOf(err error) *fault {
	var told *wire.Error
	if errors.As(err, &told) && told != nil {
		return &fault{"told", told.Status, told.Param, told.Message, told.Code}
	}
	for kind, known := range faults {
		if errors.Is(err, known) {
			return &fault{Kind: kind, Message: err.Error()}
		}
	}
	return &fault{Kind: "other", Message: err.Error()}
}

// err returns the error that was sent.
func (f *fault) err() error {
	if f.Kind == "told" {
		return &wire.Error{Status: f.Status, Param: f.Param, Message: f.Message, Code: f.Code}
	}
	if known := faults[f.Kind]; known != nil {
		return known
	}
	return &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal",
		Cause: errors.New("another replica: " + f.Message)}
}

// passes reports whether another replica may answer what has failed with this error.
func (f *fault) passes() bool { return f.Kind == "busy" || f.Kind == "closing" || f.Kind == "device" }
