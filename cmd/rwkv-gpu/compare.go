package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine/compare"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const compareHelp = `Run the same tokens on the reference, which is plain Go, and on a device: first op by op, the device always on the
reference's inputs, then the whole model, both on their own. The tokens come as one prompt, as ragged batches of several
sequences, and one at a time, of one sequence and of several, as text generation and servers run them; the kernels are
those that the device chooses for each. What an op leaves in the states counts, and so does what it writes elsewhere. Where
the device draws tokens, they must be those that the host draws, from the model's logits and from made-up ones. If an op or
the logits are out of tolerance, the exit status is 1 and the first op to blame is named.

--device auto means gpu here. The CPU is a device too: it shares no code with the reference. Without --tokens the prompt is an
English sentence, or, where there is no vocabulary, ids spread over all of them.`

// comparedTokens is the length of the prompt without --tokens. It is no multiple of the number of tokens that a kernel
// takes at once.
const comparedTokens = 37

const comparedText = "The keeper of the lighthouse had counted 17 ships since the morning, and each of them, he wrote in " +
	"his book, was slower than the one before; but the last was on fire, and nobody on the shore had seen it."

func (a *app) compareCommand() *cobra.Command {
	var list string
	c := &cobra.Command{
		Use: "compare", Short: "Compare a device with the reference, op by op", Long: compareHelp, Args: noArgs,
		Example: `  rwkv-gpu compare --device 0`,
	}
	a.stateFlag(c.Flags())
	a.accuracyFlags(c.Flags())
	c.Flags().StringVar(&list, "tokens", "", "token `IDS` to run, such as 1,2,3")
	return a.command(c, func(ctx context.Context, _ []string) (err error) {
		if err := a.oneDevice(); err != nil {
			return err
		}
		var ids []int
		if c.Flags().Changed("tokens") {
			if ids, err = parseTokens("--tokens", list); err != nil {
				return err
			}
		}
		m, err := a.openModel()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.Close()) }()
		if ids, err = a.comparedIDs(m, ids); err != nil {
			return err
		}
		r, err := a.compare(ctx, m.Model, ids)
		if err != nil {
			return blameModel(m.Model, err)
		}
		return a.printReport(r)
	})
}

// comparedIDs returns ids after a check, or the built-in prompt.
func (a *app) comparedIDs(m *load.Opened, ids []int) ([]int, error) {
	if ids != nil {
		return ids, checkTokens("--tokens", ids, m.Vocab)
	}
	tok, err := a.optionalTokenizer(m, false)
	if err != nil {
		return nil, err
	}
	if tok != nil {
		if ids, err = tokenizer.Encode(tok, comparedText); err == nil { // a vocabulary of few tokens cannot spell it
			return ids[:min(len(ids), comparedTokens)], nil
		}
	}
	for i := range comparedTokens {
		ids = append(ids, i*m.Vocab/comparedTokens)
	}
	return ids, nil
}

// compare runs ids on the reference and on the device.
func (a *app) compare(ctx context.Context, m *model.Model, ids []int) (r *compare.Report, err error) {
	sizes := compare.Sizes(len(ids))
	if err := device.CheckReference(m, sizes); err != nil {
		return nil, fmt.Errorf("%s: %w", m.File.Path, err)
	}
	open := func(make func(progress func(done, all int64) error) (op.Prober, error)) (op.Prober, error) {
		progress, clearBar := a.progress(ctx)
		e, err := make(progress)
		clearBar()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.File.Path, err)
		}
		return e, nil
	}
	spec := a.common.device
	if spec == "auto" {
		spec = "gpu"
	}
	tested, err := a.openDevice(spec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tested.Close()) }()
	ref, err := open(func(progress func(done, all int64) error) (op.Prober, error) {
		return device.Reference(m, sizes, progress)
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ref.Close()) }()
	dev, err := open(func(progress func(done, all int64) error) (op.Prober, error) {
		return tested.Prober(m, sizes, a.accuracy(), progress)
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.notice("comparing %s with %s over %d tokens", dev.Device(), ref.Device(), len(ids))
	return compare.Run(ctx, m, ref, dev, ids)
}

// shownOps is how many of the ops the text form shows.
const shownOps = 10

// printReport writes the report, and returns an error if the check failed.
func (a *app) printReport(r *compare.Report) error {
	var err error
	if a.common.json {
		err = a.writeJSON(r)
	} else {
		err = a.printf("%s\n\n%s", r, worstOps(r.Ops))
	}
	if err != nil || r.Verdict == "pass" {
		return err
	}
	return fmt.Errorf("%s: op %s is out of tolerance", r.Device, *r.FirstBad)
}

// first compares two booleans: true comes first.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// worstOps returns a table of the ops that are out of tolerance, and after these of the ops that differ the most.
func worstOps(ops []compare.Drift) string {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b compare.Drift) int { return cmp.Or(first(a.OK, b.OK), cmp.Compare(b.NMSE, a.NMSE)) })
	shown := ops[:min(len(ops), shownOps)]
	var b strings.Builder
	fmt.Fprintf(&b, "the %d of %d ops that differ most:\n", len(shown), len(ops))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OP\tMAX ABS\tNMSE\t")
	for _, d := range shown {
		mark := ""
		if !d.OK {
			mark = strings.TrimSpace("out of tolerance in " + d.Pass + " " + strings.Join(d.Kernels, " "))
		}
		fmt.Fprintf(w, "%s\t%.2e\t%.2e\t%s\n", d.Op, d.MaxAbs, d.NMSE, mark)
	}
	_ = w.Flush() // to memory
	return b.String()
}
