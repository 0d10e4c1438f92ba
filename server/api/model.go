package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Info tells what a model is.
type Info struct {
	Name        string    // by which requests ask for it
	Aliases     []string  // other such names; "*" stands for all
	Fingerprint string    // changes with whatever changes the numbers: weights, LoRAs, device
	Created     time.Time // of its file
	Version     string    // such as v7
	Vocab       int       // ids
	Sequences   int       // most that are worked on at once
	Together    int       // most that one call may begin, all of which a model without other work takes; 0 for any number
}

// Called reports whether a request that asks for the model of a name means this one. No name means any model.
func (i Info) Called(name string) bool {
	return name == "" || name == i.Name || slices.Contains(i.Aliases, name) || slices.Contains(i.Aliases, "*")
}

// Named returns the name of the model in the answer to a request for a name that Called takes: that name, since programs look
// for the one that they asked for. A name that is long, which only a server for any name takes, is not repeated.
func (i Info) Named(name string) string {
	const most = 128 // bytes
	if name == "" || len(name) > most {
		return i.Name
	}
	return name
}

// Want returns the error of a request whose field asks for another model.
func (i Info) Want(param, name string) *wire.Error {
	if i.Called(name) {
		return nil
	}
	return &wire.Error{Status: http.StatusNotFound, Param: param, Code: "model_not_found",
		Message: fmt.Sprintf("%s: this server has the model %q and no %q", param, i.Name, wire.Clip(name))}
}

// Model is a model that answers. Its methods may be called by any goroutine.
type Model interface {
	Info() Info
	Tokenizer() tokenizer.Tokenizer

	// Start begins requests, all or none. They are for answers to one prompt, that of the first, which is read once: they
	// differ in how the answers are drawn and when they end. When ctx is done, so are they. A context of Background has them
	// come after others. The error is ErrBusy, ErrClosing
	// or ErrDevice, or a *wire.Error about a request.
	Start(ctx context.Context, list []Request) ([]Stream, error)

	// Memory reads the prompt of a request and returns what the model then remembers of it. Its errors are those of Start
	// and of the context.
	Memory(ctx context.Context, r *Request) (Memory, error)

	// State reads the prompt of a request and returns the state behind it. Its errors are those of Start and of the context.
	State(ctx context.Context, r *Request) (*State, error)
	StateCodec
	// DrawState returns a picture of a state: a small file with the largest numbers of what each layer and head remembers. Its
	// error is a *wire.Error where the model has no such size, layer or head.
	DrawState(s *State, d Drawing) ([]byte, error)

	// Health returns nil, ErrClosing or ErrDevice.
	Health() error
}

// Memory is what a model remembers of a text.
type Memory struct {
	Values []float32 // the recurrent memory of the last layer, all heads one after the other
	Tokens int       // of the text
}

// State is what a model remembers of all that it has read, for requests to begin from. Nobody changes it.
type State struct {
	Data    []float32 // the model's own
	Tokens  int       // that the model has read, as far as that is known
	Pending int       // id of a token that comes before all others, NoToken for none
	Sampler []byte    // where the sampler goes on, for a state that came with a file; nil for a new one
	Origin  string    // by which a cache knows the state, of no other one
}

// NoToken is the State.Pending of a state that has read all of its text.
const NoToken = -1

// StateCodec makes files of states, and states of files.
type StateCodec interface {
	// EncodeState returns the file of a state.
	EncodeState(s *State) ([]byte, error)
	// DecodeState returns the state of a file. The error of a file that is no state of the model is a *wire.Error of the
	// field content.
	DecodeState(file []byte) (*State, error)
	// StateSize returns how many bytes EncodeState would. For nil these are as many as any state without a Sampler has.
	StateSize(s *State) int64
	// MostState returns how many bytes DecodeState takes.
	MostState() int64
}

// Drawing says what of a state a picture has.
type Drawing struct {
	Size        int // cells on each side of a head; 0 for the usual ones
	Layer, Head int // the only ones, from 0, or All
}

// All is the Drawing.Layer and Drawing.Head that stand for all of them.
const All = -1

// Errors of Model and Stream, to be tested with errors.Is.
var (
	ErrBusy    = errors.New("too many requests wait already")
	ErrClosing = errors.New("the server is about to end")
	ErrDevice  = errors.New("the device does not work")
	ErrSlow    = errors.New("the answer was not read as fast as it came")
)

// backgroundKey is that of Background in a context.
type backgroundKey struct{}

// Background returns a context whose requests come after those that somebody waits for.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// InBackground reports whether a context is one of Background.
func InBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// Request asks a model to go on with a prompt.
type Request struct {
	User    string // whose cached texts and states may be used
	State   *State // that the prompt follows; nil for the model's initial state
	Follows bool   // reports whether the request is the rest of one that has ended, so a full queue takes it too

	// The prompt: parts that are encoded each by itself, or, if IDs is not nil, ids.
	Segments []prompt.Segment
	IDs      []int
	Shares   bool // reports whether the prompt is that of the request before this one in the call

	Params     sample.Params
	Constraint sample.Constraint // which ids may be drawn; nil for all
	Max        int               // most ids to draw; 0 reads the prompt alone
	Stop       []string          // stop strings
	Late       []string          // stop strings that count behind the place that Gate finds
	Gate       text.Gate         // of this answer alone; nil has Late count from the start
	Cold       bool              // reports whether the prefix cache is neither read nor written

	Logprobs bool // Token.Logprob is asked for
	Top      int  // how many Token.Top are
	Prompted bool // reports whether the prompt's tokens are told of as well, with as much as drawn ones
	Whole    bool // Result.Whole is asked for
	Returned bool // reports whether the state behind the answer will be asked for

	Run
}

// Run is what several runs of a request need, of which each goes on where the one before has ended, perhaps in another
// process.
type Run struct {
	// Drawn are the tokens that earlier runs drew: the Piece.Drawn of their answers. The answer begins with them, and pieces
	// tell of them again. IDs has to be the Piece.Prompt of an earlier run then.
	Drawn  []Token
	Traced bool // reports whether Piece.Prompt and Piece.Drawn are asked for
	// Kept, if not nil, is told of the state that is kept at the end, and of the ids that it has seen, before the end of the
	// answer is told of. Both are its own during the call only, which may take its time.
	Kept func(ids []int, state []float32)
}

// Stream is an answer as it comes. But for Close it is for one goroutine.
type Stream interface {
	// Next waits for more of the answer. Its error is io.EOF at the end of the answer, else ErrSlow, ErrClosing, ErrDevice,
	// that of the context, or a *wire.Error.
	Next() (Piece, error)
	// Result tells of the answer, whole once Next has returned io.EOF.
	Result() Result
	// Close ends the request if it has not ended, and a Next under way. It may be called by any goroutine, and again.
	Close()
}

// Piece is more of an answer. Its slices are the caller's.
type Piece struct {
	Text string // valid UTF-8
	// Tokens are those whose text is part of the texts up to here, if log-probabilities were asked for: first those of the
	// prompt, and last the end of the text without any bytes, if that was drawn.
	Tokens []Token
	Prompt []int   // the ids of the prompt, with the first piece
	Drawn  []Token // by the answer since the piece before; their text may come later
}

// Token is a token of an answer or a prompt.
type Token struct {
	ID      int
	Bytes   []byte
	Logprob float32 // NaN for the first of a prompt, which nothing says how likely it is
	Top     []sample.Candidate
	Prompt  bool // reports whether it is the prompt's
}

// Result is how an answer ended and what it cost.
type Result struct {
	Finish text.Finish
	Stop   string // the stop string that ended it

	Prompt  int           // tokens of the prompt, and those before it that its state has read
	Cached  int           // of these, how many were not read, since a state was kept after them
	Before  int           // of these, how many the request's state had read, as far as that is known
	Drawn   int           // tokens of the answer
	Reading time.Duration // from the request's start to the first token of the answer: in the queue, and reading the prompt
	Drawing time.Duration // from the first token to the last

	// Whole has the ids of the prompt and the answer. Rest is the end of the answer where no token ends: the last one holds
	// also the beginning of a stop string.
	Whole []int
	Rest  string
}
