package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Request asks for a continuation of a slot's sequence.
type Request struct {
	Prompt []int // at least one token
	Max    int   // most tokens to generate
	Sample sample.Params
	Stop   []string
	// Emit receives text as soon as it is certain. An error from it ends the generation and is returned.
	Emit func(text string) error
}

// Result tells what was generated.
type Result struct {
	Text          string
	Tokens        []int // without the end-of-text token
	PromptTokens  int
	Finish        text.Finish
	Prefill       time.Duration // from the start to the first token's logits, less what measuring kernels took
	Decode        time.Duration // from there to the end, so too
	DecodedTokens int           // passes within Decode
}

// PrefillRate returns prompt tokens per second.
func (r *Result) PrefillRate() float64 { return rate(r.PromptTokens, r.Prefill) }

// DecodeRate returns generated tokens per second, the first aside, which the prompt's pass gave.
func (r *Result) DecodeRate() float64 { return rate(r.DecodedTokens, r.Decode) }

func rate(n int, d time.Duration) float64 {
	if n == 0 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Generate feeds the prompt to the slot and samples tokens until a stop string, the end of the text, the length, or
// until ctx is done; then it returns what there is with ctx's error.
func (e *Engine) Generate(ctx context.Context, slot Slot, tok tokenizer.Tokenizer, q Request) (*Result, error) {
	if len(q.Prompt) == 0 {
		return nil, errors.New("engine: prompt: want at least one token, got none")
	}
	smp, err := sample.New(q.Sample, sample.NewVocabulary(e.Model.Vocab, tok))
	if err != nil {
		return nil, err
	}
	out, err := text.NewWriter(tok, text.Options{Stop: q.Stop, Max: q.Max})
	if err != nil {
		return nil, err
	}
	if err := e.Prepare(ctx, slot, len(q.Prompt), q.Max > 1); err != nil {
		return nil, err
	}
	defer e.dev.tuner.Hold()()
	g := &generation{e: e, slot: slot, q: q, sampler: smp, out: out}
	err = g.run(ctx)
	g.result.Text = g.text.String()
	g.result.PromptTokens = len(q.Prompt)
	return &g.result, err
}

type generation struct {
	e       *Engine
	slot    Slot
	q       Request
	sampler *sample.Sampler
	out     *text.Writer
	text    strings.Builder // what out gave
	result  Result
	next    int // the token sampled last
}

func (g *generation) run(ctx context.Context) error {
	prefill := g.e.Stopwatch()
	if err := g.prefill(ctx); err != nil {
		return err
	}
	g.result.Prefill = prefill()
	decode := g.e.Stopwatch()
	err := g.decode(ctx)
	g.result.Decode = decode()
	return errors.Join(err, g.emit(g.out.Flush()))
}

// prefill feeds the prompt and samples the first token.
func (g *generation) prefill(ctx context.Context) error {
	wanted := min(g.q.Max, 1)
	return g.e.StepContext(ctx, []Input{{g.slot, g.q.Prompt, max(wanted, 0)}}, g.sample)
}

// decode takes the prompt's token and those drawn after it.
func (g *generation) decode(ctx context.Context) error {
	if g.q.Max <= 0 {
		g.result.Finish = text.FinishedLength
		return nil
	}
	more, err := g.take(ctx, g.next)
	if !more || err != nil {
		return err
	}
	c := []Continuation{{Slot: g.slot, Token: g.next, Sampler: g.sampler, Ends: endOfText}}
	return g.e.Decode(c, g.q.Max-1, func(_, id int) (bool, error) {
		g.result.DecodedTokens++
		return g.take(ctx, id)
	})
}

var endOfText = []int{text.EndOfText}

// take adds a token to the text and reports whether there shall be another.
func (g *generation) take(ctx context.Context, id int) (more bool, err error) {
	if id != text.EndOfText {
		g.result.Tokens = append(g.result.Tokens, id)
	}
	piece, done := g.out.Push(id)
	if err := g.emit(piece); err != nil {
		return false, err
	}
	if done {
		g.result.Finish = g.out.Finish()
		return false, nil
	}
	return true, ctx.Err()
}

func (g *generation) sample(_, _ int, logits []float32) error {
	id, err := g.sampler.Sample(logits)
	if err != nil {
		return fmt.Errorf("engine: token %d: %w", len(g.result.Tokens), err)
	}
	g.next = id
	return g.sampler.Accept(id)
}

// emit adds a piece to the text, unless it is empty.
func (g *generation) emit(piece []byte) error {
	if len(piece) == 0 {
		return nil
	}
	g.text.Write(piece)
	if g.q.Emit == nil {
		return nil
	}
	return g.q.Emit(string(piece))
}
