package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/chat"
	"github.com/rwkv-gpu/rwkv-gpu/chat/tui"
	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	serverchat "github.com/rwkv-gpu/rwkv-gpu/server/chat"
)

const chatHelp = `Talk with the model. On a terminal there is a screen for it. Otherwise, or with --no-tui, each line of standard input is a
message; the answer follows, and an empty line. With --json an answer is a line of JSON. Lines that begin with / are commands, and one that begins with // is a message that begins with /:

` + chat.Help + `

The conversation before a line is not read again: states are kept at the ends of messages.`

// chatFlags are the flags of chat.
type chatFlags struct {
	system, template, think, preset string
	save                            string
	noTUI                           bool
	max                             int
	seed                            uint64
	sample                          sample.Params
	flags                           *pflag.FlagSet
}

// chatMemory is for the states of a conversation.
const chatMemory = 512 << 20

func (a *app) chatCommand() *cobra.Command {
	o := chatFlags{sample: sample.Default()}
	c := &cobra.Command{
		Use: "chat", Short: "Talk with the model", Long: chatHelp, Args: noArgs,
		Example: `  rwkv-gpu chat --model rwkv7-g1-0.1b.pth
  printf 'Hello!\nAnd in French?\n' | rwkv-gpu chat --model rwkv7-g1-0.1b.pth --think fast --json`,
	}
	f := c.Flags()
	f.SortFlags = false
	o.flags = f
	f.StringVar(&o.system, "system", "", "say `TEXT` to the model before all else")
	f.StringVar(&o.template, "template", prompt.Auto, "`NAME` of the form of the conversation: "+strings.Join(dialectNames(), ", "))
	f.StringVar(&o.think, "think", string(prompt.ThinkOff), "`MODE` of thinking: "+strings.Join(thinkNames(), ", "))
	f.StringVar(&o.preset, "preset", "", "`NAME` of settings for drawing: "+strings.Join(presetNames(), ", ")+" (default: what fits the model)")
	f.StringVar(&o.save, "save", "", "write the state of the conversation to `FILE` at its end")
	f.BoolVar(&o.noTUI, "no-tui", false, "lines on a terminal too, no screen")
	f.IntVarP(&o.max, "max-tokens", "n", 2048, "draw at most `N` tokens for an answer")
	drawFlags(f, &o.sample)
	f.Uint64Var(&o.seed, "seed", 0, "`SEED` of the random numbers (default: another one for each answer)")
	a.stateFlag(f)
	a.accuracyFlags(f)
	a.draftFlags(f)
	return a.command(c, func(ctx context.Context, _ []string) error { return a.chat(ctx, &o) })
}

// options returns how a conversation with a model begins.
func (o *chatFlags) options(m *load.Opened) (c chat.Options, err error) {
	choice := chosen(m)
	c = chat.Options{Dialect: choice.Dialect, Date: choice.Date, System: o.system, Max: o.max, Begin: m.Begin, Seeded: o.flags.Changed("seed")}
	if o.template != prompt.Auto {
		if c.Dialect, err = prompt.ByName("--template", o.template); err != nil {
			return c, fieldUsage(err)
		}
	}
	if c.Think, err = prompt.ParseThink("--think", o.think); err != nil {
		return c, fieldUsage(err)
	}
	name := o.preset
	if name == "" {
		name = c.Dialect.Preset
	}
	preset, err := prompt.PresetByName("--preset", name)
	if err != nil {
		return c, fieldUsage(err)
	}
	c.Params = serverchat.PresetParams(preset)
	for flag, set := range map[string]func(){
		"temperature":   func() { c.Params.Temperature = o.sample.Temperature },
		"top-p":         func() { c.Params.TopP = o.sample.TopP },
		"top-k":         func() { c.Params.TopK = o.sample.TopK },
		"min-p":         func() { c.Params.MinP = o.sample.MinP },
		"presence":      func() { c.Params.Presence = o.sample.Presence },
		"frequency":     func() { c.Params.Frequency = o.sample.Frequency },
		"penalty-decay": func() { c.Params.PenaltyDecay = o.sample.PenaltyDecay },
		"seed":          func() { c.Params.Seed = o.seed },
	} {
		if o.flags.Changed(flag) {
			set()
		}
	}
	var param *sample.ParamError
	if errors.As(c.Params.Validate(), &param) {
		return c, usagef("--"+strings.ReplaceAll(param.Name, "_", "-"), "%s", param.Why)
	}
	return c, nil
}

func (a *app) chat(ctx context.Context, o *chatFlags) (err error) {
	if o.max < 1 {
		return usagef("--max-tokens", "want 1 or more, got %d", o.max)
	}
	if o.save != "" {
		if _, err := state.Target(o.save, false); err != nil {
			return err
		}
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	options, err := o.options(m)
	if err != nil {
		return err
	}
	tok, err := a.openTokenizer(m)
	if err != nil {
		return err
	}
	small, err := a.openDraft(m, tok)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeModel(small)) }()
	d, err := a.openDevice(a.common.device)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	progress, clearBar := a.progress(ctx)
	e, err := engine.New(m.Model, d, engine.Options{Slots: a.slots(2), Keep: 256, Exact: a.common.exact, Half: a.accuracy().Half, Progress: progress})
	clearBar()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Prepare(ctx, 64, true); err != nil {
		return err
	}
	ahead, err := a.startDraft(ctx, small, e, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ahead.Close()) }()
	s, err := completion.New(e, tok, completion.Options{Schedule: schedule.Options{Draft: ahead.Drafter}, Cache: statecache.Options{Host: chatMemory}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	options.Thoughts = constrain.NewThoughts(m.Vocab, func(id int) []byte {
		if id == text.EndOfText {
			return nil
		}
		return tok.Bytes(id)
	})
	about := fmt.Sprintf("%s on %s, in the form %s", modelName(m), e.Device(), options.Dialect.Name)
	if m.Begin != nil { // the engine's sequences begin with its numbers
		begin := *m.Begin
		begin.Data, options.Begin = nil, &begin
	}
	talk := &talk{app: a, s: chat.New(s, tok, options), files: stateFiles{m}, terminal: isTerminal(a.stdout)}
	if o.noTUI || a.common.json || !isTerminal(a.stdin) || !isTerminal(a.stdout) || os.Getenv("TERM") == "dumb" {
		a.notice("%s", about)
		err = talk.lines(ctx)
	} else {
		err = talk.screen(ctx, about)
	}
	err = blameModel(m.Model, err)
	if o.save != "" && (err == nil || errors.Is(err, context.Canceled)) {
		_, failed := talk.s.Do(context.WithoutCancel(ctx), "/save "+o.save, talk.files, nil)
		err = errors.Join(err, failed)
	}
	return err
}

// stateFiles are the files of states for a model.
type stateFiles struct{ m *load.Opened }

// Save writes a state.
func (f stateFiles) Save(path string, s *state.State) error {
	return state.Write(f.m.Model, path, s, false)
}

// Load reads a state.
func (f stateFiles) Load(path string) (*state.State, error) { return state.Read(f.m.Model, path) }

// talk is a conversation by lines.
type talk struct {
	*app
	s        *chat.Session
	files    chat.Files
	terminal bool // reports whether answers go to a terminal
}

// screen talks on a terminal.
func (t *talk) screen(ctx context.Context, about string) error {
	o := tui.Options{Title: about, Files: t.files, Plain: os.Getenv("NO_COLOR") != ""}
	return tui.Run(ctx, t.s, o, t.stdin, t.stdout.(*results).Writer, func(err error) bool { return statusOf(err) == statusDevice })
}

// said is an answer of chat --json.
type said struct {
	Role       string  `json:"role"`
	Content    string  `json:"content"`
	Reasoning  string  `json:"reasoning_content"`
	Tokens     []int   `json:"tokens"`
	Prompt     int     `json:"prompt_tokens"`
	Cached     int     `json:"cached_tokens"`
	Finish     string  `json:"finish"`
	DecodeRate float64 `json:"decode_tokens_per_s"`
}

// lines reads messages and commands until there are no more, and answers. A line that cannot be obeyed is an error at once
// where nobody is there to see it, and a notice where somebody is.
func (t *talk) lines(ctx context.Context) error {
	in := bufio.NewReaderSize(t.stdin, 64<<10)
	for {
		if isTerminal(t.stdin) && !t.common.quiet {
			_, _ = io.WriteString(t.stderr, "> ") // a lost one is no reason to stop
		}
		line, err := t.line(ctx, in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch err := t.one(ctx, line); {
		case errors.Is(err, chat.ErrQuit):
			return nil
		case err != nil && isTerminal(t.stdin) && ctx.Err() == nil && statusOf(err) != statusDevice:
			_, _ = fmt.Fprintln(t.stderr, oneLine(err.Error())) // the next line may be better
		case err != nil:
			return err
		}
	}
}

// line returns the next line, without its end.
func (t *talk) line(ctx context.Context, in *bufio.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() { // a read cannot be interrupted, but left alone
		var b strings.Builder
		for {
			part, err := in.ReadSlice('\n')
			if b.Write(part); b.Len() > maxText {
				done <- result{err: inputf(standardInput, "want lines of at most %d bytes, got more", maxText)}
				return
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if errors.Is(err, io.EOF) && b.Len() > 0 {
				err = nil
			}
			done <- result{strings.TrimRight(b.String(), "\r\n"), err}
			return
		}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-done:
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if r.err == nil && !utf8.ValidString(r.line) {
			return "", inputf(standardInput, "want UTF-8 text, got a line of other bytes")
		}
		return r.line, r.err
	}
}

// show writes more of an answer as it comes.
func (t *talk) show(d prompt.Delta) error {
	switch {
	case t.common.json || d.Kind != prompt.ContentDelta:
		return nil
	case t.terminal:
		return t.printf("%s", words.Shown(d.Text))
	}
	return t.printf("%s", d.Text)
}

// one answers one line.
func (t *talk) one(ctx context.Context, line string) error {
	o, err := t.s.Do(ctx, line, t.files, t.show)
	if o.Note != "" {
		_, _ = fmt.Fprintln(t.stderr, o.Note) // a lost note is no reason to stop
	}
	r := o.Reply
	switch {
	case r == nil:
		return err
	case t.common.json:
		answer := said{"assistant", r.Content, r.Reasoning, r.IDs, r.Prompt, r.Cached, string(r.Finish), r.Rate}
		if err != nil {
			answer.Finish = "interrupted"
		}
		return errors.Join(err, t.writeJSON(answer))
	}
	return errors.Join(err, t.printf("\n\n"))
}
