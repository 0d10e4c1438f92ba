package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/direct"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

const batchHelp = `Answer a file of requests, in the form of OpenAI's Batch API, a line each:

  {"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Hello"}]}}

The url is one of /v1/chat/completions, /v1/completions, /v1/responses and /v1/embeddings. A completion with
"echo":true, "logprobs":1, "max_tokens":0 scores a text.

Many requests share each pass of the model. The results come in the order of the input, into NAME.results.jsonl beside it,
and what failed into NAME.errors.jsonl. The command may be stopped or killed at any time: the same command goes on. A
request without a seed gets one that follows from its custom_id, so it draws the same then.`

// batchFlags are the flags of batch.
type batchFlags struct {
	serve          serveFlags // those that both have, and fit values of the others
	output, errors string
	restart, retry bool
	budget         int64
	line           size
}

func (a *app) batchCommand() *cobra.Command {
	o := batchFlags{line: 16 << 20, serve: serveFlags{ram: 1 << 30, names: []string{"*"}}}
	s := &o.serve
	c := &cobra.Command{Use: "batch FILE.jsonl", Short: "Answer a file of requests", Long: batchHelp, Args: oneInput,
		Example: "  rwkv-gpu batch requests.jsonl --model g1:0.4b"}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.output, "output", "o", "", "`FILE` of the results (default: NAME.results.jsonl beside NAME.jsonl)")
	f.StringVar(&o.errors, "errors", "", "`FILE` of what failed (default: NAME.errors.jsonl; with --output OUT.jsonl, OUT.errors.jsonl)")
	f.BoolVar(&o.restart, "restart", false, "begin anew, and replace results that are there")
	f.BoolVar(&o.retry, "retry", false, "do again what failed")
	f.IntVar(&s.sequences, "max-sequences", 32, "work on `N` answers at once")
	f.Int64Var(&o.budget, "budget", 0, "begin as many requests as have about `N` tokens, prompts and answers together (default: 4096 for each answer at once)")
	f.Var(&o.line, "max-line", "take lines of at most `BYTES`")
	f.Var(&s.ram, "cache-ram", "`BYTES` of memory for the states of texts that several prompts begin with, such as 4G; 0 for none")
	f.StringVar(&s.template, "template", prompt.Auto, "`NAME` of the form of chats: "+strings.Join(dialectNames(), ", "))
	f.StringVar(&s.think, "think", string(prompt.ThinkOff), "`MODE` of thinking where a chat does not say: "+strings.Join(thinkNames(), ", "))
	f.StringVar(&s.preset, "preset", "", "`NAME` of the settings for drawing where a request does not say: "+strings.Join(presetNames(), ", ")+" (default: what fits the model)")
	f.IntVar(&s.most, "max-tokens", 4096, "draw at most `N` tokens for an answer")
	a.stateFlag(f)
	a.accuracyFlags(f)
	return a.command(c, func(ctx context.Context, args []string) error { return a.batch(ctx, args[0], &o) })
}

// oneInput wants one file of requests as the argument.
func oneInput(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usagef("argument", "want one file of requests, got %d", len(args))
	}
	if args[0] == "-" {
		return usagef("argument", "want a file, since it is read twice, got - for standard input")
	}
	return nil
}

// check finds what is wrong with the flags, and fills in what follows from the name of the input.
func (o *batchFlags) check(input string) error {
	switch {
	case o.serve.sequences < 1:
		return usagef("--max-sequences", "want 1 or more, got %d", o.serve.sequences)
	case o.serve.most < 1:
		return usagef("--max-tokens", "want 1 or more, got %d", o.serve.most)
	case o.budget < 0:
		return usagef("--budget", "want 1 or more, got %d", o.budget)
	case o.line < 1:
		return usagef("--max-line", "want 1 or more, got %d", o.line)
	case o.restart && o.retry:
		return usagef("--retry", "want none beside --restart, got both")
	}
	if o.budget == 0 {
		o.budget = 4096 * int64(o.serve.sequences)
	}
	o.serve.queue = 2 * o.serve.sequences
	stem := func(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) }
	switch {
	case o.errors != "":
	case o.output == "":
		o.errors = stem(input) + ".errors.jsonl"
	default:
		o.errors = stem(o.output) + ".errors.jsonl"
	}
	if o.output == "" {
		o.output = stem(input) + ".results.jsonl"
	}
	for _, pair := range [][3]string{{"--output", o.output, input}, {"--errors", o.errors, input}, {"--errors", o.errors, o.output}} {
		if same(pair[1], pair[2]) {
			return usagef(pair[0], "want a file of its own, got %s", pair[2])
		}
	}
	return o.checkPlaces()
}

// checkPlaces finds that results could not be written, before work begins.
func (o *batchFlags) checkPlaces() error {
	for _, file := range [][2]string{{"--output", o.output}, {"--errors", o.errors}} {
		dir := filepath.Dir(file[1])
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return usagef(file[0], "want a file in a folder that is there, got one in %s", dir)
		}
		if info, err := os.Stat(file[1]); err == nil && !info.Mode().IsRegular() {
			return usagef(file[0], "want a file, got another kind of thing at %s", file[1])
		}
	}
	return nil
}

// same reports whether two paths are of one file.
func same(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, failed := os.Stat(a)
	y, failedToo := os.Stat(b)
	return failed == nil && failedToo == nil && os.SameFile(x, y)
}

// folder is where the job keeps its own files.
func (o *batchFlags) folder() string { return o.output + ".job" }

// settings says what results depend on besides the input.
func (a *app) settings(m *load.Opened, o *batchFlags, p *chat.Options) (string, error) {
	id, err := m.ID()
	c := &a.common
	return fmt.Sprintf("model %.16s, --quant %s, --state %q, --template %s, --think %s, --preset %q, --max-tokens %d, --exact=%t, --precision %q",
		id, c.quant, c.state, p.Dialect.Name, p.Think, o.serve.preset, p.Most, c.exact, c.precision), err
}

// slowDisk is how much longer a stopped job may take, since it ends when its last results are on the disk.
const slowDisk = 10 * time.Second

// batched is the object of batch --json.
type batched struct {
	Output  string `json:"output"`
	Errors  string `json:"errors"` // "" where nothing failed
	Bad     int64  `json:"bad_lines"`
	Resumed int64  `json:"resumed"` // items that an earlier run had done
	bulk.Progress
	Seconds float64 `json:"seconds"`
	Device  string  `json:"device"` // "" where nothing was left to do
}

func (a *app) batch(ctx context.Context, input string, o *batchFlags) (err error) {
	if err := o.check(input); err != nil {
		return err
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	p, err := o.serve.protocol(m)
	if err != nil {
		return err
	}
	settings, err := a.settings(m, o, &p)
	if err != nil {
		return err
	}
	j, err := a.openJob(ctx, input, settings, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	done := batched{Output: o.output, Bad: j.Input().Bad, Progress: bulk.Progress{Counts: j.Counts()}}
	done.Resumed = done.Completed + done.Failed
	morePatience.Store(int64(slowDisk))
	if j.Done() {
		a.notice("%s is done: nothing is left to do", input)
	} else if err := a.runJob(ctx, m, p, j, o, &done); err != nil {
		if ctx.Err() != nil {
			c := j.Counts()
			a.notice("stopped: %d of %d items have results, and the same command goes on with the rest", c.Items-c.Left(), c.Items)
		}
		return err
	}
	return a.tellJob(o, &done)
}

// openJob begins the job of a file, or goes on with it.
func (a *app) openJob(ctx context.Context, input, settings string, o *batchFlags) (*bulk.Job, error) {
	if o.restart {
		if err := bulk.Forget(o.folder()); err != nil {
			return nil, blame(o.folder(), err)
		}
	} else if !bulk.Begun(o.folder()) {
		for _, path := range []string{o.output, o.errors} {
			if _, err := os.Lstat(path); err == nil {
				return nil, usagef("--output", "want a file that is not there, got %s (--restart replaces it)", path)
			}
		}
	}
	j, err := bulk.Open(ctx, bulk.Options{Input: input, Output: o.output, Errors: o.errors, Dir: o.folder(), URLs: direct.URLs(),
		MostLine: int64(o.line), Settings: settings, Again: o.retry})
	var bad *bulk.InputError
	switch {
	case err == nil:
		return j, nil
	case errors.As(err, &bad):
		return nil, inputf(input, "%w", bad)
	case errors.Is(err, bulk.ErrChanged), errors.Is(err, bulk.ErrSettings), errors.Is(err, bulk.ErrDamaged):
		return nil, inputf("", "%w (--restart begins anew)", err)
	}
	return nil, blame(input, err)
}

// runJob does the items that are left, and writes the results.
func (a *app) runJob(ctx context.Context, m *load.Opened, p chat.Options, j *bulk.Job, o *batchFlags, done *batched) (err error) {
	model, err := a.localModel(ctx, m, &o.serve)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close(context.WithoutCancel(ctx))) }()
	if p.Forms, err = grammars.New(model.Tokenizer(), m.Vocab); err != nil {
		return err
	}
	w, err := direct.New(openai.New(model, p).Routes(), direct.Options{Fail: func(id string, cause error) { a.notice("%s: %v", id, cause) }})
	if err != nil {
		return err
	}
	done.Device = model.Device()
	a.notice("%d items on %s, chats as %s", j.Counts().Left(), done.Device, p.Dialect.Name)
	begin, bar := time.Now(), a.jobBar(j.Counts())
	err = j.Run(ctx, w, bulk.NewBudget(2*int64(o.serve.sequences), o.budget), func(now bulk.Progress) {
		done.Tokens = now.Tokens
		bar.tell(now, time.Since(begin))
	})
	bar.end()
	if errors.Is(err, api.ErrDevice) {
		return &failure{statusDevice, "", err}
	}
	if err == nil {
		err = blameOutput(o, j.Finish(ctx, nil))
	}
	done.Counts, done.Seconds = j.Counts(), time.Since(begin).Seconds()
	return err
}

// blameOutput makes an error of the files of results a failure to write.
func blameOutput(o *batchFlags, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{statusFailed, o.output, err}
}

// tellJob says what came of the job.
func (a *app) tellJob(o *batchFlags, done *batched) error {
	if done.Failed > 0 {
		done.Errors = o.errors
	}
	if a.common.json {
		if err := a.writeJSON(done); err != nil {
			return err
		}
	}
	speed := ""
	if t := done.Tokens.Prompt + done.Drawn; done.Seconds > 0 {
		speed = fmt.Sprintf(", %d tokens in %.1f s, %.0f a second", t, done.Seconds, float64(t)/done.Seconds)
	}
	a.notice("%d results in %s%s", done.Completed, o.output, speed)
	if done.Failed > 0 {
		return &failure{statusFailed, o.errors, fmt.Errorf("%d of %d items failed (--retry does them again)", done.Failed, done.Items)}
	}
	return nil
}

// jobBar shows how far a job is, if somebody would see it.
type jobBar struct {
	bar   *progressbar.ProgressBar
	begun int64 // items that had results before
}

func (a *app) jobBar(c bulk.Counts) *jobBar {
	b := &jobBar{begun: c.Completed + c.Failed}
	if !a.common.quiet && isTerminal(a.stderr) {
		b.bar = newBar(a.stderr, "", c.Left(), false)
	}
	return b
}

// tell shows the items and tokens that are done, and the speed. The bar tells how long the rest will take.
func (b *jobBar) tell(now bulk.Progress, since time.Duration) {
	if b.bar == nil {
		return
	}
	text := fmt.Sprintf("%d of %d items, ", now.Completed+now.Failed, now.Items)
	if now.Failed > 0 {
		text += fmt.Sprintf("%d failed, ", now.Failed)
	}
	tokens := now.Prompt + now.Drawn
	b.bar.Describe(text + fmt.Sprintf("%d tokens, %.0f a second", tokens, float64(tokens)/max(since.Seconds(), 1e-3)))
	_ = b.bar.Set64(now.Completed + now.Failed - b.begun) // a bar that cannot be drawn is no reason to stop
}

func (b *jobBar) end() { clearBar(b.bar) }
