package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/eval"
	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const evalHelp = `Measure how well the model predicts FILE, or with - standard input. docs/eval.md says what each figure means.

Task text: perplexity and bits per byte. FILE is one document, read from its first to its last token with one state,
however long it is. With --separator LINE the file is several documents, divided by lines that are LINE. A name that ends
in .jsonl is JSON lines, each a document in its field text.

Task lambada: FILE is JSON lines, each a passage in its field text. The figures are the share of last words that the model
predicts, and the perplexity of a last word.

Task choice: FILE is JSON lines such as {"text": "The sun is", "choices": ["hot.", "a fish."], "gold": 0}. The figures are
acc and acc_norm as lm-evaluation-harness computes them.

--begin is the token that each document or passage is read behind; it is not predicted. auto is token 0, the end of a
text, or the token that a --state has pending. For choices auto is none, as in lm-evaluation-harness, but for an empty
text. With none the first token of a document is not predicted.

Intervals are of 95 %: by Student's t distribution over documents (or over blocks of 256 tokens, if there are fewer than
20 documents), and for shares by Wilson's score.

--quants none,q8_0,q4_k makes a table of quality, speed and memory with the model quantized to each type. Its changes and
KL divergences are from the first.

--min and --max are checks: if accuracy (for choices acc) is below --min, or perplexity above --max, the exit status is 1.`

// The tasks.
const (
	textTask    = "text"
	lambadaTask = "lambada"
	choiceTask  = "choice"
)

// The values of --begin that are no ids.
const (
	beginAuto = "auto"
	beginNone = "none"
)

// mostEval is the most bytes of a file to evaluate.
const mostEval = 1 << 30

// Lengths of the tests of speed.
const (
	evalPP = 512
	evalTG = 64
)

// evalFlags are the flags of eval.
type evalFlags struct {
	task, begin, separator, quants string
	end, kl, markdown              bool
	length, tokens, batch, chunk   int
	repeat                         int
	least, most                    float64

	flags *pflag.FlagSet
}

// evaluated is the answer of eval --json.
type evaluated struct {
	*eval.Result
	Device  string  `json:"device"`
	Model   string  `json:"model"`
	Version string  `json:"version"`
	Quant   string  `json:"quant"`
	Rate    float64 `json:"tokens_per_s"` // read, contexts too
}

func (a *app) evalCommand() *cobra.Command {
	var o evalFlags
	c := &cobra.Command{
		Use: "eval FILE|-", Short: "Measure how well the model predicts text", Long: evalHelp, Args: oneEvalFile,
		Example: "  rwkv-gpu eval book.txt --model FILE\n  rwkv-gpu eval lambada_test.jsonl --task lambada --min 0.6\n" +
			"  rwkv-gpu eval book.txt --quants none,q8_0,q6_k,q5_k,q4_k",
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.task, "task", textTask, "`TASK`: text, lambada or choice")
	f.StringVar(&o.separator, "separator", "", "divide the text into documents at lines that are `LINE`")
	f.StringVar(&o.begin, "begin", beginAuto, "`ID` of the token before each document or passage, none, or auto")
	f.BoolVar(&o.end, "end", false, "predict token 0, the end of a text, behind each document too")
	f.IntVar(&o.length, "length", 0, "read at most `N` tokens of each document, the one before it among them (0: all)")
	f.IntVar(&o.tokens, "tokens", 0, "begin no further document once `N` tokens are to be predicted (0: all)")
	f.StringVar(&o.quants, "quants", "", "compare quantizations: `TYPES` such as none,q8_0,q4_k")
	f.BoolVar(&o.kl, "kl", true, "with --quants: the divergence from the first, which stays loaded beside each other")
	f.IntVar(&o.repeat, "repeat", 3, "with --quants: measure speed `N` times (0: not)")
	f.BoolVar(&o.markdown, "markdown", false, "with --quants: write Markdown")
	f.Float64Var(&o.least, "min", 0, "fail below this accuracy, a `SHARE` of 1")
	f.Float64Var(&o.most, "max", 0, "fail above this `PERPLEXITY`")
	f.IntVar(&o.batch, "batch", 16, "read `N` documents, passages or choices at once")
	f.IntVar(&o.chunk, "chunk", engine.DefaultChunk, "feed at most `N` tokens in one pass")
	a.stateFlag(f)
	a.accuracyFlags(f)
	o.flags = f
	return a.command(c, func(ctx context.Context, args []string) error {
		quants, err := a.checkEval(&o)
		if err != nil {
			return err
		}
		return a.eval(ctx, &o, args[0], quants)
	})
}

// oneEvalFile wants one argument that is not empty.
func oneEvalFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usagef("file", "want one file to evaluate (- for standard input), got %q", args)
	}
	return nil
}

// checkEval checks the flags and returns the quantizations to compare.
func (a *app) checkEval(o *evalFlags) (quants []string, err error) {
	if !slices.Contains([]string{textTask, lambadaTask, choiceTask}, o.task) {
		return nil, usagef("--task", "want %s, %s or %s, got %q", textTask, lambadaTask, choiceTask, o.task)
	}
	for _, name := range []string{"separator", "end", "length", "tokens"} {
		if o.flags.Changed(name) && o.task != textTask {
			return nil, usagef("--"+name, "want it with task %s, got task %s", textTask, o.task)
		}
	}
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{{"--length", o.length, 0, mostEval}, {"--tokens", o.tokens, 0, mostEval}, {"--repeat", o.repeat, 0, bench.MaxRepeat},
		{"--batch", o.batch, 1, bench.MaxBatch}, {"--chunk", o.chunk, 1, bench.MaxTokens}} {
		if n.value < n.least || n.value > n.most {
			return nil, usagef(n.flag, "want %d to %d, got %d", n.least, n.most, n.value)
		}
	}
	if o.flags.Changed("min") && (o.task == textTask || !(o.least >= 0 && o.least <= 1)) {
		return nil, usagef("--min", "want an accuracy of 0 to 1, of task %s or %s, got %v of task %s (--max is for perplexity)", lambadaTask, choiceTask, o.least, o.task)
	}
	if o.flags.Changed("max") && (o.task == choiceTask || !(o.most >= 1)) {
		return nil, usagef("--max", "want a perplexity of at least 1, of task %s or %s, got %v of task %s", textTask, lambadaTask, o.most, o.task)
	}
	if o.quants == "" {
		for _, name := range []string{"quants", "kl", "repeat", "markdown"} {
			if o.flags.Changed(name) {
				return nil, usagef("--"+name, "want types in --quants with it, got none")
			}
		}
		return nil, nil
	}
	return a.checkQuants(o)
}

func (a *app) checkQuants(o *evalFlags) (quants []string, err error) {
	if o.flags.Changed("quant") || o.flags.Changed("min") || o.flags.Changed("max") || a.common.json && o.markdown {
		return nil, usagef("--quants", "want it without --quant, --min and --max, and at most one of --json and --markdown")
	}
	for _, name := range strings.Split(strings.ToLower(o.quants), ",") {
		if name = strings.TrimSpace(name); slices.Contains(quants, name) {
			return nil, usagef("--quants", "want different types, got %s twice", name)
		}
		if !slices.Contains(load.QuantNames(), name) {
			return nil, usagef("--quants", "want some of %s, got %q", strings.Join(load.QuantNames(), ", "), name)
		}
		quants = append(quants, name)
	}
	return quants, nil
}

// eval reads the file, runs the task and shows what was found.
func (a *app) eval(ctx context.Context, o *evalFlags, path string, quants []string) (err error) {
	data, err := a.evalData(ctx, path)
	if err != nil {
		return err
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	tok, err := a.openTokenizer(m)
	if err != nil {
		return err
	}
	task, err := o.open(tok, path, data, m)
	if err != nil {
		return err
	}
	p := a.stages(ctx)
	defer p.end()
	options := eval.EngineOptions(task.Items(), o.batch, o.chunk)
	options.Exact, options.Half, options.Progress = a.common.exact, a.accuracy().Half, p.loading
	if quants != nil {
		return a.evalQuants(ctx, o, p, task, options, quants)
	}
	found, err := a.evalOnce(ctx, p, m, task, options)
	if err != nil {
		return blameModel(m.Model, err)
	}
	p.end()
	return a.showEval(o, found)
}

// evalData reads what is to be predicted.
func (a *app) evalData(ctx context.Context, path string) ([]byte, error) {
	if path == "-" {
		return a.text(ctx, path)
	}
	data, err := files.Read(path, mostEval)
	return data, blame(path, err)
}

// open makes the task.
func (o *evalFlags) open(tok tokenizer.Tokenizer, path string, data []byte, m *load.Opened) (task eval.Task, err error) {
	begin, err := o.beginIDs(m)
	if err != nil {
		return nil, err
	}
	switch o.task {
	case lambadaTask:
		task, err = eval.NewLAMBADA(tok, data, begin)
	case choiceTask:
		task, err = eval.NewChoice(tok, data, begin, text.EndOfText)
	default:
		task, err = o.openText(tok, path, data, begin)
	}
	if path == "-" {
		path = "standard input"
	}
	return task, blame(path, err)
}

func (o *evalFlags) openText(tok tokenizer.Tokenizer, path string, data []byte, begin []int) (task eval.Task, err error) {
	documents := []string{string(data)}
	switch {
	case strings.EqualFold(filepath.Ext(path), ".jsonl"):
		if o.flags.Changed("separator") {
			return nil, usagef("--separator", "want a text to divide, got JSON lines")
		}
		if documents, err = eval.Documents(data); err != nil {
			return nil, err
		}
	case o.flags.Changed("separator"):
		documents = eval.Split(string(data), o.separator)
	}
	options := eval.TextOptions{Begin: begin, Length: o.length, Tokens: o.tokens}
	if o.end {
		end := text.EndOfText
		options.End = &end
	}
	return eval.NewText(tok, documents, options)
}

// beginIDs returns the ids that each document or passage is read behind.
func (o *evalFlags) beginIDs(m *load.Opened) (ids []int, err error) {
	pending := m.Begin != nil && m.Begin.Pending != state.None
	switch o.begin {
	case beginNone:
	case beginAuto:
		if !pending && o.task != choiceTask {
			ids = []int{text.EndOfText}
		}
	default:
		id, err := strconv.Atoi(o.begin)
		if err != nil || id < 0 || id >= m.Vocab {
			return nil, usagef("--begin", "want auto, none or an id below %d, got %q", m.Vocab, o.begin)
		}
		ids = []int{id}
	}
	return m.Begin.First(ids), nil
}

// evalOnce runs the task on the model.
func (a *app) evalOnce(ctx context.Context, p *stages, m *load.Opened, task eval.Task, o engine.Options) (found *evaluated, err error) {
	d, err := a.openDevice(a.common.device)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	e, err := engine.New(m.Model, d, o)
	p.clear()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	a.notice("running on %s", e.Device())
	s := eval.Scorer{Engine: e, Progress: func(done, all int64) { p.stage("reading", done, all) }}
	start := time.Now()
	scores, err := s.Run(ctx, task.Items())
	if err != nil {
		return nil, err
	}
	rate := float64(e.Stats().Rows) / max(time.Since(start).Seconds(), 1e-3)
	return &evaluated{task.Result(scores), e.Device(), m.File.Path, m.Version, a.common.quant, rate}, nil
}

// showEval writes the result, and returns an error if a check failed.
func (a *app) showEval(o *evalFlags, r *evaluated) error {
	var err error
	if a.common.json {
		err = a.writeJSON(r)
	} else if err = output(r.Text(a.stdout)); err == nil {
		err = a.printf("%s on %s, %.0f tokens/s\n", r.Model, r.Device, r.Rate)
	}
	if err != nil {
		return err
	}
	accuracy := r.Accuracy
	if accuracy == nil {
		accuracy = r.Acc
	}
	if accuracy != nil && *accuracy < o.least {
		return fmt.Errorf("accuracy: want at least %v (--min), got %v", o.least, *accuracy)
	}
	if o.flags.Changed("max") && !(*r.Perplexity <= o.most) {
		return fmt.Errorf("perplexity: want at most %v (--max), got %v", o.most, *r.Perplexity)
	}
	return nil
}
