package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const logitsHelp = `Feed tokens to the model and show the logits after the last, or with --all after each: in JSON all of them, as float32
before any softmax; otherwise the likeliest tokens with their probabilities.

A state written by --state-out continues with --state-in as if all had been one prompt, on any device, with the model of
the same weights and LoRAs. A token that a state has pending is fed first. --state, which other commands have too, reads
such a file as well, and those of state tuning.`

type logitsFlags struct {
	tokens, prompt    string
	all               bool
	stateIn, stateOut string
	force             bool
	chunk             int
}

// logitsAnswer is the answer of logits --json.
type logitsAnswer struct {
	Device  string      `json:"device"`
	Version string      `json:"version"`
	Tokens  []int       `json:"tokens"`
	Logits  [][]float32 `json:"logits"`
}

func (a *app) logitsCommand() *cobra.Command {
	var o logitsFlags
	c := &cobra.Command{
		Use: "logits", Short: "Show the logits after a prompt", Long: logitsHelp, Args: noArgs,
		Example: `  rwkv-gpu logits --prompt "Once upon a time"
  rwkv-gpu logits --tokens 1660,2383,275 --state-out s.safetensors --json`,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.tokens, "tokens", "", "token `IDS` to feed, such as 1,2,3; needs no vocabulary")
	f.StringVar(&o.prompt, "prompt", "", "`TEXT` to feed")
	f.BoolVar(&o.all, "all", false, "logits after every token")
	a.stateFlag(f)
	f.StringVar(&o.stateIn, "state-in", "", "go on from the state in `FILE`, written by --state-out")
	f.StringVar(&o.stateOut, "state-out", "", "write the state after the last token to `FILE`, which may be there if it is a state")
	f.BoolVar(&o.force, "force", false, "let --state-out replace a file that is no state")
	f.IntVar(&o.chunk, "chunk", engine.DefaultChunk, "feed at most `N` tokens in one pass")
	a.accuracyFlags(f)
	return a.command(c, func(ctx context.Context, _ []string) error {
		byPrompt := f.Changed("prompt")
		if byPrompt == f.Changed("tokens") {
			return usagef("input", "want either --tokens or --prompt, got %s", map[bool]string{true: "both", false: "none"}[byPrompt])
		}
		for _, name := range []string{"state-in", "state-out"} {
			if f.Changed(name) && f.Lookup(name).Value.String() == "" {
				return usagef("--"+name, "want a file, got an empty name")
			}
		}
		if f.Changed("state") && f.Changed("state-in") {
			return usagef("--state-in", "want one state to begin with, got --state too")
		}
		if o.chunk < 1 {
			return usagef("--chunk", "want 1 or more, got %d", o.chunk)
		}
		if o.stateOut != "" {
			if _, err := state.Target(o.stateOut, o.force); err != nil {
				return saveFault(err)
			}
		}
		return a.logits(ctx, &o, byPrompt)
	})
}

func (a *app) logits(ctx context.Context, o *logitsFlags, byPrompt bool) (err error) {
	var ids []int
	if !byPrompt {
		if ids, err = parseTokens("--tokens", o.tokens); err != nil {
			return err
		}
	}
	var prompt []byte
	if byPrompt {
		if prompt, err = a.prompt(ctx, []string{o.prompt}, false); err != nil {
			return err
		}
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	tok, err := a.optionalTokenizer(m, byPrompt)
	if err != nil {
		return err
	}
	if byPrompt {
		if ids, err = encode(tok, nil, prompt); err != nil {
			return err
		}
	}
	if err := checkTokens("--tokens", ids, m.Vocab); err != nil {
		return err
	}
	before := m.Begin
	if o.stateIn != "" {
		if before, err = state.Read(m.Model, o.stateIn); err != nil {
			return blame(o.stateIn, epsilonFlagged(err))
		}
	}
	ids = before.First(ids)
	rows, after, device, err := a.feed(ctx, m.Model, o, before, ids)
	if err != nil {
		return blameModel(m.Model, err)
	}
	if after != nil { // the device has had its last word: where that is an error there is no result
		if err := state.Write(m.Model, o.stateOut, after, o.force); err != nil {
			return saveFault(err)
		}
	}
	if a.common.json {
		return a.writeJSON(logitsAnswer{device, m.Version, ids, rows})
	}
	return a.printLogits(tok, ids, rows)
}

// feed runs ids through the model, after what a sequence has behind it if before is not nil, and returns the wanted
// logits, the state after them where that is wanted, and the device's name.
func (a *app) feed(ctx context.Context, m *model.Model, o *logitsFlags, before *state.State, ids []int) (rows [][]float32, after *state.State, device string, err error) {
	s, err := a.start(ctx, m, min(o.chunk, len(ids)))
	if err != nil {
		return nil, nil, "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if before != nil {
		if _, err := s.Restore([]*engine.Seq{s.seq}, [][]float32{before.Data}); err != nil {
			return nil, nil, "", err
		}
	}
	in := []engine.Row{{Seq: s.seq, Tokens: ids, Want: engine.WantLogits, Each: func(pos int, logits []float32) error {
		rows = append(rows, slices.Clone(logits))
		return blame(m.File.Path, checkLogits(pos, logits))
	}}}
	if o.all {
		in[0].Last = len(ids)
	}
	if err := errors.Join(s.Feed(ctx, in), in[0].Err); err != nil {
		return nil, nil, "", err
	}
	if o.stateOut == "" {
		return rows, nil, s.Device(), nil
	}
	after = &state.State{Tokens: len(ids), Pending: state.None}
	if before != nil {
		after.Tokens += before.Tokens
		after.Sampler = before.Sampler
	}
	after.Data = make([]float32, m.Program.StateLen())
	saved, err := s.Save([]*engine.Seq{s.seq}, [][]float32{after.Data})
	if err == nil {
		err = saved.Wait()
	}
	if err != nil {
		return nil, nil, "", err
	}
	return rows, after, s.Device(), nil
}

// checkLogits returns an error if a value is not finite. Then the weights drive the model out of range.
func checkLogits(pos int, logits []float32) error {
	for id, v := range logits {
		if !tensor.IsFinite(v) {
			return fmt.Errorf("after token %d: logit %d: want a finite number, got %v", pos, id, v)
		}
	}
	return nil
}

// shownTokens is how many of the likeliest tokens the text form shows.
const shownTokens = 10

func (a *app) printLogits(tok tokenizer.Tokenizer, ids []int, rows [][]float32) error {
	var b strings.Builder
	first := len(ids) - len(rows)
	for i, row := range rows {
		fmt.Fprintf(&b, "after token %d, id %d%s\n", first+i, ids[first+i], quoted(tok, ids[first+i]))
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "id\tlogit\tprobability\t")
		order, logSum := likeliest(row, shownTokens)
		for _, id := range order {
			fmt.Fprintf(w, "%d\t%.4f\t%.4f\t%s\n", id, row[id], math.Exp(float64(row[id])-logSum), quoted(tok, id))
		}
		_ = w.Flush() // to memory
	}
	return a.printf("%s", b.String())
}

// quoted returns a token's text in quotes after a space, "" without a vocabulary.
func quoted(tok tokenizer.Tokenizer, id int) string {
	if tok == nil {
		return ""
	}
	return fmt.Sprintf(" %q", tok.Bytes(id))
}

// likeliest returns the ids of the n largest logits, largest first, and log(sum(exp(logits))).
func likeliest(logits []float32, n int) (ids []int, logSum float64) {
	ids = make([]int, len(logits))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	largest := float64(logits[ids[0]])
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - largest)
	}
	return ids[:min(n, len(ids))], largest + math.Log(sum)
}
