package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

const benchHelp = `Measure tokens per second: of prefill (pp), decode (tg) and drawn text (gen), at any length, for any number of sequences at
once, with any number of tokens behind them, which are really run first. What the device does at best, reads from memory and
multiply-adds, is measured in the same run, and each figure is also given as a share of that. bench/README.md says what
each figure means.

--first starts this program again and again, and measures what people see of a whole process: the time from its start
to its first token, and the most memory that it had.

--synthetic makes a model of a published size from a seed instead of reading one. --ops also times every op.

--compare names what an earlier 'bench --json' wrote, and says for each test whether the difference is significant (p below
0.05 by the Mann-Whitney test; with fewer than 4 repetitions on each side nothing can be). --from shows such a file instead
of measuring. --plot NAME.svg (or .png) draws NAME-decode-roofline.svg and NAME-prefill-roofline.svg, and each with -batch
and -depth in place of -roofline if the tests have more than one batch or depth.

--peer runs llama.cpp's llama-bench on the same GGUF file, and llama-batched-bench beside it for several sequences at once.
In each of --repeat rounds both programs run in processes of their own, by turns, and one table has the medians and the
ratios. On the CPU the peer is kept on the processor too, with as many threads; else all its layers go to its device.`

// benchFlags are the flags of bench.
type benchFlags struct {
	pp, tg, gen, first     string
	batch, depth           string
	warmup, repeat, chunk  int
	ops, csv, markdown     bool
	synthetic              string
	compare, from, plotted string
	peer                   string
}

func (a *app) benchCommand() *cobra.Command {
	var b benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Measure speed beside what the device can do", Long: benchHelp, Args: noArgs,
		Example: "  rwkv-gpu bench --synthetic 0.1b --pp 512 --tg 128 --batch 1,8\n" +
			"  rwkv-gpu bench --json > old.json; rwkv-gpu bench --compare old.json\n" +
			"  rwkv-gpu bench --depth 0,16384 --plot rates.svg",
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&b.pp, "pp", "512", "prefill `LENGTHS`, such as 128,512; 0 for none")
	f.StringVar(&b.tg, "tg", "128", "decode `LENGTHS`; 0 for none")
	f.StringVar(&b.gen, "gen", "0", "`LENGTHS` of text drawn as generate does, where it can on the device; 0 for none")
	f.StringVar(&b.first, "first", "0", "`LENGTHS` of prompts for whole processes: time to the first token, peak memory; 0 for none")
	f.StringVar(&b.batch, "batch", "1", "`NUMBERS` of sequences at once, such as 1,2,4")
	f.StringVar(&b.depth, "depth", "0", "`DEPTHS`: tokens that each sequence has behind it, such as 0,16384")
	f.IntVar(&b.repeat, "repeat", 5, "measure each test `N` times")
	f.IntVar(&b.warmup, "warmup", 1, "run each test `N` times before")
	f.IntVar(&b.chunk, "chunk", 0, "most tokens of one pass, `N`; 0 for the engine's choice")
	a.accuracyFlags(f)
	f.StringVar(&b.synthetic, "synthetic", "", "measure a made-up model of `SIZE` "+strings.Join(synthetic.Names(), ", ")+" (f16)")
	f.BoolVar(&b.ops, "ops", false, "time each op too")
	f.BoolVar(&b.csv, "csv", false, "write CSV")
	f.BoolVar(&b.markdown, "markdown", false, "write Markdown")
	f.StringVar(&b.compare, "compare", "", "compare with the JSON `FILE` of an earlier run")
	f.StringVar(&b.from, "from", "", "show the JSON `FILE` of an earlier run instead of measuring")
	f.StringVar(&b.plotted, "plot", "", "draw pictures to `NAME.svg` or NAME.png, each with what it shows after NAME")
	f.StringVar(&b.peer, "peer", "", "compare with llama.cpp: `PROGRAM` is its llama-bench, which takes turns with this one on the same GGUF file")
	return a.command(c, func(ctx context.Context, _ []string) error {
		if err := a.checkPeer(f, &b); err != nil {
			return err
		}
		o, err := a.benchOptions(&b)
		if err != nil {
			return err
		}
		if b.peer != "" {
			return a.versus(ctx, &b, o)
		}
		return a.bench(ctx, &b, o)
	})
}

// benchOptions checks the flags.
func (a *app) benchOptions(b *benchFlags) (o bench.Options, err error) {
	o = bench.Options{Warmup: b.warmup, Repeat: b.repeat, Chunk: b.chunk, Exact: a.common.exact, Half: a.accuracy().Half, Ops: b.ops}
	for _, l := range []struct {
		flag, text  string
		least, most int
		zero        bool // 0 alone stands for none
		to          *[]int
	}{
		{"--pp", b.pp, 1, bench.MaxTokens, true, &o.PP}, {"--tg", b.tg, 1, bench.MaxTokens, true, &o.TG},
		{"--gen", b.gen, 1, bench.MaxTokens, true, &o.Gen}, {"--first", b.first, 1, bench.MaxFirst, true, &o.First},
		{"--batch", b.batch, 1, bench.MaxBatch, false, &o.Batches}, {"--depth", b.depth, 0, bench.MaxDepth, false, &o.Depths},
	} {
		if l.zero && strings.TrimSpace(l.text) == "0" {
			continue
		}
		if *l.to, err = parseNumbers(l.flag, l.text, l.least, l.most); err != nil {
			return o, err
		}
	}
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{{"--repeat", b.repeat, 1, bench.MaxRepeat}, {"--warmup", b.warmup, 0, bench.MaxRepeat}, {"--chunk", b.chunk, 0, bench.MaxTokens}} {
		if n.value < n.least || n.value > n.most {
			return o, usagef(n.flag, "want %d to %d, got %d", n.least, n.most, n.value)
		}
	}
	if len(o.PP)+len(o.TG)+len(o.Gen) == 0 {
		return o, usagef("--pp", "want a length here, with --tg or with --gen, got none")
	}
	if a.common.json && b.csv || a.common.json && b.markdown || b.csv && b.markdown {
		return o, usagef("--json", "want at most one of --json, --csv and --markdown")
	}
	if ext := filepath.Ext(b.plotted); b.plotted != "" && !slices.Contains(bench.PlotFormats, ext) {
		return o, usagef("--plot", "want a name that ends in %s, got %q", strings.Join(bench.PlotFormats, " or "), b.plotted)
	}
	if b.synthetic != "" {
		if _, err := synthetic.Named(b.synthetic); err != nil {
			return o, usagef("--synthetic", "%v", err)
		}
		if a.common.model != "" {
			return o, usagef("--synthetic", "want it without --model, got both")
		}
		a.common.model = load.SyntheticPrefix + b.synthetic
	}
	if len(o.First) > 0 {
		return o, a.checkFirst("--first")
	}
	return o, nil
}

// plotFault gives an error about a picture its exit status.
func plotFault(err error) error {
	var p *bench.PlotError
	if !errors.As(err, &p) {
		return err
	}
	return saveFault(weights.NewSaveError(p.File, p.Err))
}

// parseNumbers reads different numbers separated by commas.
func parseNumbers(flag, list string, least, most int) ([]int, error) {
	var numbers []int
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < least || n > most {
			return nil, usagef(flag, "want numbers of %d to %d such as %d,%d, got %q", least, most, max(least, 1), 8, word)
		}
		if slices.Contains(numbers, n) {
			return nil, usagef(flag, "want different numbers, got %d twice", n)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// bench measures, or reads what was measured, and shows it.
func (a *app) bench(ctx context.Context, b *benchFlags, o bench.Options) error {
	var old *bench.Report
	var err error
	if b.compare != "" {
		if old, err = readReport(b.compare); err != nil {
			return err
		}
	}
	var r *bench.Report
	if b.from != "" {
		r, err = readReport(b.from)
	} else {
		r, err = a.measure(ctx, o)
	}
	if err != nil {
		return err
	}
	if old != nil {
		differences, err := r.CompareWith(old)
		if err != nil {
			return inputf(b.compare, "%w", err)
		}
		for _, d := range differences {
			a.notice("not the same %s", d)
		}
	}
	if w := r.Load.Warning(); w != "" {
		a.notice("%s", w)
	}
	if b.plotted != "" {
		names, err := r.Plot(b.plotted)
		if err != nil {
			return plotFault(err)
		}
		for _, name := range names {
			a.notice("wrote %s", name)
		}
	}
	switch {
	case a.common.json:
		return a.writeJSON(r)
	case b.csv:
		return output(r.CSV(a.stdout))
	case b.markdown:
		return output(r.Markdown(a.stdout))
	}
	return output(r.Text(a.stdout))
}

func readReport(path string) (*bench.Report, error) {
	data, err := files.Read(path, maxText)
	if err != nil {
		return nil, blame(path, err)
	}
	r, err := bench.Read(bytes.NewReader(data))
	if err != nil {
		return nil, inputf(path, "%w", err)
	}
	return r, nil
}

// measure runs the tests.
func (a *app) measure(ctx context.Context, o bench.Options) (r *bench.Report, err error) {
	m, err := a.openModel()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	p := a.stages(ctx)
	defer p.end()
	o.Loading, o.Progress = p.loading, p.stage
	first, err := a.firstTokens(ctx, &o, m.Vocab)
	if err != nil {
		return nil, err
	}
	d, err := a.openDevice(a.common.device)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if r, err = bench.Run(ctx, m.Model, d, o); err != nil {
		return nil, blameModel(m.Model, err)
	}
	r.First = first
	r.Model, r.Quant = fmt.Sprintf("%s (%s)", m.File.Path, &m.Config), a.common.quant
	return r, nil
}
