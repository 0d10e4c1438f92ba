package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/engine/generate"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const generateHelp = `Continue a text. PROMPT is the text, or - to read it from standard input, less one newline at its end.
With --tokens it is given as token ids; then a model without a vocabulary will do, whose tokens are written as ids too.

The text goes to standard output as it is made, and ends in a newline. On a terminal the prompt stands before it.
Ctrl-C ends the text where it is; the exit status is then 130.

With the state of a text in --state, penalties count the tokens that were drawn for that text too.

Without --seed every run differs; the seed is part of the summary, so that any text can be made again.`

// generateFlags are the flags of generate.
type generateFlags struct {
	max    int
	sample sample.Params
	seed   uint64
	seeded bool
	stop   []string
	bos    bool
	tokens string
}

func (a *app) generateCommand() *cobra.Command {
	o := generateFlags{sample: sample.Default()}
	c := &cobra.Command{
		Use: "generate [PROMPT|-]", Short: "Continue a text", Long: generateHelp, Args: oneText,
		Example: `  rwkv-gpu generate "Once upon a time" -n 200
  echo "The king had" | rwkv-gpu generate - --temperature 0 --json`,
	}
	f := c.Flags()
	f.SortFlags = false
	p := &o.sample
	f.IntVarP(&o.max, "max-tokens", "n", 256, "generate at most `N` tokens")
	drawFlags(f, p)
	f.Uint64Var(&o.seed, "seed", 0, "`SEED` of the random numbers (default: another one in each run)")
	f.StringArrayVar(&o.stop, "stop", nil, "end before `TEXT` would appear; may be given several times")
	f.StringVar(&o.tokens, "tokens", "", "token `IDS` to continue, such as 1,2,3, in place of a text")
	a.stateFlag(f)
	a.accuracyFlags(f)
	a.draftFlags(f)
	f.BoolVar(&o.bos, "bos", false, "begin with token 0, the start of a document; no prompt is needed then")
	return a.command(c, func(ctx context.Context, args []string) error {
		if o.seeded = f.Changed("seed"); !o.seeded {
			o.seed = uint64(rand.Uint32())
		}
		p.Seed = o.seed
		return a.generate(ctx, &o, args)
	})
}

// drawFlags adds the flags that say how tokens are drawn, but for the seed.
func drawFlags(f *pflag.FlagSet, p *sample.Params) {
	f.Float32Var(&p.Temperature, "temperature", p.Temperature, "`T` >= 0; 0 always takes the likeliest token")
	f.Float32Var(&p.TopP, "top-p", p.TopP, "keep the likeliest tokens that reach probability `P` together; 1 is off")
	f.IntVar(&p.TopK, "top-k", p.TopK, "keep the `K` likeliest tokens; 0 is off")
	f.Float32Var(&p.MinP, "min-p", p.MinP, "keep tokens at least `P` times as likely as the likeliest; 0 is off")
	f.Float32Var(&p.Presence, "presence", p.Presence, "`PENALTY` on tokens that occurred")
	f.Float32Var(&p.Frequency, "frequency", p.Frequency, "`PENALTY` on tokens for each time they occurred")
	f.Float32Var(&p.PenaltyDecay, "penalty-decay", p.PenaltyDecay, "`FACTOR` on the occurrences after each token")
}

func (a *app) generate(ctx context.Context, o *generateFlags, args []string) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	var ids []int
	if o.tokens != "" {
		if len(args) > 0 {
			return usagef("prompt", "want either a text or --tokens, got both")
		}
		if ids, err = parseTokens("--tokens", o.tokens); err != nil {
			return err
		}
	}
	prompt, err := a.prompt(ctx, args, o.bos || ids != nil)
	if err != nil {
		return err
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := checkTokens("--tokens", ids, m.Vocab); err != nil {
		return err
	}
	open := m.Tokenizer
	if ids != nil {
		open = m.TokenizerOrNumbers
	}
	tok, err := open()
	if err != nil {
		return flagged(err)
	}
	q := generate.Request{Max: o.max, Sample: o.sample, Stop: o.stop}
	if o.bos {
		q.Prompt = append(q.Prompt, text.EndOfText) // the same token begins a document
	}
	if q.Prompt, err = encode(tok, q.Prompt, prompt); err != nil {
		return err
	}
	q.Prompt = m.Begin.First(append(q.Prompt, ids...))
	if m.Begin != nil {
		q.Sampler = m.Begin.Sampler
	}
	small, err := a.openDraft(m, tok)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeModel(small)) }()
	s, err := a.start(ctx, m.Model, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	d, err := a.startDraft(ctx, small, s.Engine, s.device)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	q.Draft = d.Drafter
	err = a.emit(ctx, s, tok, q, prompt)
	a.drafted(d)
	return err
}

func (o *generateFlags) check() error {
	if o.max < 0 {
		return usagef("--max-tokens", "want 0 or more, got %d", o.max)
	}
	var param *sample.ParamError
	if errors.As(o.sample.Validate(), &param) {
		return usagef("--"+strings.ReplaceAll(param.Name, "_", "-"), "%s", param.Why)
	}
	for _, stop := range o.stop {
		if stop == "" || !utf8.ValidString(stop) {
			return usagef("--stop", "want UTF-8 text that is not empty, got %q", stop)
		}
	}
	return nil
}

// prompt returns the text to continue.
func (a *app) prompt(ctx context.Context, args []string, mayBeEmpty bool) ([]byte, error) {
	if len(args) == 0 && mayBeEmpty {
		return nil, nil
	}
	if len(args) == 0 {
		return nil, usagef("prompt", "want a text, or - to read it from standard input, got none")
	}
	data, err := a.text(ctx, args[0])
	if err != nil {
		return nil, err
	}
	if args[0] == "-" {
		data = bytes.TrimSuffix(data, []byte("\n"))
	}
	if len(data) == 0 && !mayBeEmpty {
		return nil, usagef("prompt", "want a text, got an empty one (--bos begins a document without one)")
	}
	return data, checkText(data)
}

// checkText returns an error if data is not UTF-8.
func checkText(data []byte) error {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return usagef("prompt", "want UTF-8 text, got byte 0x%02x at offset %d", data[i], i)
		}
		i += n
	}
	return nil
}

// generated is the answer of generate --json.
type generated struct {
	Text         string  `json:"text"`
	Tokens       []int   `json:"tokens"`
	PromptTokens int     `json:"prompt_tokens"`
	Finish       string  `json:"finish"`
	PrefillRate  float64 `json:"prefill_tokens_per_s"`
	DecodeRate   float64 `json:"decode_tokens_per_s"`
	Device       string  `json:"device"`
	Seed         uint64  `json:"seed"`
}

// emit generates text. It writes the text as it comes, or one object at the end.
func (a *app) emit(ctx context.Context, s *session, tok tokenizer.Tokenizer, q generate.Request, prompt []byte) error {
	out := textOutput{app: a, last: '\n', terminal: isTerminal(a.stdout)}
	if !a.common.json {
		if out.terminal && !a.common.quiet {
			out.prompt = a.emphasis(prompt)
		}
		q.Emit = out.write
	}
	r, err := generate.Text(ctx, s.Engine, s.seq, tok, q)
	if errors.Is(err, sample.ErrStored) {
		return inputf(a.common.state, "%w", err)
	}
	if r == nil {
		return blameModel(s.Model, err)
	}
	if !a.common.json {
		err = errors.Join(err, out.end(err != nil))
	}
	if err != nil {
		r.Finish = "interrupted"
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return blameModel(s.Model, err)
	}
	a.notice("prompt: %s, %.1f tokens/s; generated: %s, %.1f tokens/s (%s, seed %d)", words.Plural(r.PromptTokens, "token"),
		r.PrefillRate(), words.Plural(len(r.Tokens), "token"), r.DecodeRate(), r.Finish, q.Sample.Seed)
	if a.common.json {
		out := generated{r.Text, append([]int{}, r.Tokens...), r.PromptTokens, string(r.Finish),
			r.PrefillRate(), r.DecodeRate(), s.Device(), q.Sample.Seed}
		return errors.Join(err, a.writeJSON(out))
	}
	return err
}

// textOutput writes a text while it is made. On a terminal the prompt stands right before the text. Earlier messages,
// for example that kernels are measured, stand before both.
type textOutput struct {
	*app
	prompt   string // not yet written
	last     byte   // written
	terminal bool   // reports whether a terminal reads it
}

func (o *textOutput) write(text string) error {
	if o.terminal {
		text = words.Shown(text)
	}
	text, o.prompt = o.prompt+text, ""
	if text == "" {
		return nil
	}
	o.last = text[len(text)-1]
	return o.printf("%s", text)
}

// end writes the prompt if there was no text, unless the text was cut before it began. It writes a newline unless the
// output ends with one.
func (o *textOutput) end(cut bool) error {
	if cut {
		o.prompt = ""
	}
	if err := o.write(""); err != nil || o.last == '\n' {
		return err
	}
	return o.printf("\n")
}

// emphasis returns text in bold for a terminal of standard output that shows it.
func (a *app) emphasis(text []byte) string {
	if len(text) == 0 || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !obeysSequences(a.stdout) {
		return string(text)
	}
	return "\x1b[1m" + string(text) + "\x1b[0m"
}
