package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// EndOfText is the token that ends a text. It stands for no bytes.
const EndOfText = 0

// Why a generation ended.
const (
	FinishStop   = "stop"   // a stop string
	FinishLength = "length" // the asked number of tokens
	FinishEnd    = "end"    // the end-of-text token
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
	Finish        string
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
	smp, err := sample.New(q.Sample, e.Model.Vocab, func(id int) bool { return sample.FreeText(tok.Bytes(id)) })
	if err != nil {
		return nil, err
	}
	stop, err := sample.NewStopper(q.Stop)
	if err != nil {
		return nil, err
	}
	if err := e.Prepare(ctx, slot, len(q.Prompt), q.Max > 1); err != nil {
		return nil, err
	}
	defer e.dev.tuner.Hold()()
	g := &generation{e: e, slot: slot, q: q, sampler: smp, out: output{stop: stop, stream: tokenizer.NewStream(tok), emit: q.Emit}}
	err = g.run(ctx)
	g.result.Text = g.out.text.String()
	g.result.PromptTokens = len(q.Prompt)
	return &g.result, err
}

type generation struct {
	e       *Engine
	slot    Slot
	q       Request
	sampler *sample.Sampler
	out     output
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
	return errors.Join(err, g.out.flush())
}

// prefill feeds the prompt and samples the first token.
func (g *generation) prefill(ctx context.Context) error {
	wanted := min(g.q.Max, 1)
	return g.e.StepContext(ctx, []Input{{g.slot, g.q.Prompt, max(wanted, 0)}}, g.sample)
}

// decode takes the prompt's token and those drawn after it.
func (g *generation) decode(ctx context.Context) error {
	if g.q.Max <= 0 {
		g.result.Finish = FinishLength
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

var endOfText = []int{EndOfText}

// take adds a token to the text and tells whether there shall be another.
func (g *generation) take(ctx context.Context, id int) (more bool, err error) {
	if id == EndOfText {
		g.result.Finish = FinishEnd
		return false, nil
	}
	g.result.Tokens = append(g.result.Tokens, id)
	stopped, err := g.out.push(id)
	switch {
	case err != nil:
		return false, err
	case stopped:
		g.result.Finish = FinishStop
		return false, nil
	case len(g.result.Tokens) == g.q.Max:
		g.result.Finish = FinishLength
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

// output turns tokens into text: bytes to UTF-8, stop strings watched for.
type output struct {
	stream *tokenizer.Stream
	stop   *sample.Stopper
	emit   func(string) error
	text   strings.Builder
}

func (o *output) push(id int) (stopped bool, err error) {
	text, stopped := o.stop.Push(o.stream.Push(id))
	return stopped, o.write(text)
}

// flush emits what was held back.
func (o *output) flush() error {
	text, stopped := o.stop.Push(o.stream.Flush())
	if !stopped {
		text += o.stop.Flush()
	}
	return o.write(text)
}

func (o *output) write(text string) error {
	if text == "" {
		return nil
	}
	o.text.WriteString(text)
	if o.emit == nil {
		return nil
	}
	return o.emit(text)
}
