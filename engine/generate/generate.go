package generate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/draft"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Request asks for a continuation of a sequence.
type Request struct {
	Prompt []int // at least one token
	Max    int   // most tokens to generate
	Sample sample.Params
	// Sampler is where the sampler goes on, as its MarshalBinary returned it; nil for a new one.
	Sampler []byte
	Stop    []string
	// Draft, if not nil, draws ahead for the engine; the text is the same. It begins to read at Prompt.
	Draft *draft.Drafter
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
	DecodedTokens int           // drawn within Decode
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

// Text feeds the prompt to the sequence and draws tokens until a stop string, the end of the text, the length, or until
// ctx is done; then it returns what there is with ctx's error.
func Text(ctx context.Context, e *engine.Engine, s *engine.Seq, tok tokenizer.Tokenizer, q Request) (*Result, error) {
	if len(q.Prompt) == 0 {
		return nil, errors.New("generate: prompt: want at least one token, got none")
	}
	smp, err := sample.New(q.Sample, sample.NewVocabulary(e.Model.Vocab, tok))
	if err != nil {
		return nil, err
	}
	if q.Sampler != nil {
		if err := smp.UnmarshalBinary(q.Sampler); err != nil {
			return nil, err
		}
	}
	out, err := text.NewWriter(tok, text.Options{Stop: q.Stop, Max: q.Max})
	if err != nil {
		return nil, err
	}
	if err := e.Prepare(ctx, len(q.Prompt), q.Max > 1); err != nil {
		return nil, err
	}
	defer e.Quiet()()
	g := &generation{q: &q, out: out}
	err = g.run(ctx, e, s, smp)
	if g.err == nil { // else Emit wants no more
		err = errors.Join(err, g.emit(out.Flush()))
	}
	g.Text, g.PromptTokens, g.Finish = g.text.String(), len(q.Prompt), out.Finish()
	if q.Max <= 0 && err == nil {
		g.Finish = text.FinishedLength
	}
	return &g.Result, err
}

type generation struct {
	Result
	q    *Request
	out  *text.Writer
	text strings.Builder // what out gave
	err  error           // of Emit
}

// run feeds the prompt and draws tokens.
func (g *generation) run(ctx context.Context, e *engine.Engine, s *engine.Seq, smp *sample.Sampler) error {
	clock := e.Stopwatch()
	rows := []engine.Row{{Seq: s, Tokens: g.q.Prompt, Sampler: smp}}
	if g.q.Max > 0 {
		rows[0].Want = engine.WantDraw
	}
	if err := errors.Join(e.Feed(ctx, rows), rows[0].Err); err != nil {
		return err
	}
	g.Prefill, clock = clock(), e.Stopwatch()
	c := []engine.Continuation{{Seq: s, Token: rows[0].ID, Sampler: smp, Ends: []int{text.EndOfText}}}
	c[0].Over = g.q.Max <= 0 || !g.take(rows[0].ID)
	for left := g.q.Max - 1; left > 0 && !c[0].Over; {
		steps, err := g.burst(ctx, e, c, left)
		if err := errors.Join(err, c[0].Err); err != nil {
			return err
		}
		left -= steps
	}
	g.Decode = clock()
	return g.err
}

// burst draws the next tokens, with the draft if there is one.
func (g *generation) burst(ctx context.Context, e *engine.Engine, c []engine.Continuation, most int) (steps int, err error) {
	each := func(_, id int) bool {
		g.DecodedTokens++
		return g.take(id)
	}
	if g.q.Draft == nil {
		return e.Burst(ctx, c, most, each)
	}
	text := append(slices.Clone(g.q.Prompt), g.Tokens[:len(g.Tokens)-1]...) // the last one is c's
	return g.q.Draft.Burst(ctx, c, text, most, each)
}

// take adds a token to the text and reports whether there shall be another.
func (g *generation) take(id int) (more bool) {
	if id != text.EndOfText {
		g.Tokens = append(g.Tokens, id)
	}
	piece, done := g.out.Push(id)
	g.err = g.emit(piece)
	return g.err == nil && !done
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
