package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// commonFlags are the flags of every command.
type commonFlags struct {
	model, vocab, device string
	split                string
	quant                string
	state, stateLayout   string
	loras                []string
	groupNormEps         float64
	tuning               string
	threads              int
	retune               bool
	json, quiet, exact   bool
	precision            string
	draft, draftDevice   string
}

// mostThreads bounds --threads: far more than help.
const mostThreads = 1024

// tuningDefault is the value of --tuning without the flag.
var tuningDefault = "on"

const rootHelp = `rwkv-gpu runs RWKV language models on Vulkan devices.

Without --model it uses a small story model that it carries along:

  rwkv-gpu generate "Once upon a time" -n 200

Exit status: 0 done, 1 a check failed or a result could not be written, 2 wrong usage, 3 bad input file, 4 device trouble, 130 interrupted.`

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "rwkv-gpu", Short: "RWKV language models on Vulkan", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Version: buildVersion().Version,
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetIn(a.stdin)
	root.SetVersionTemplate("rwkv-gpu {{.Version}}\n")
	root.SetHelpCommand(helpCommand())
	root.Flags().SortFlags = false
	f := root.PersistentFlags()
	f.SortFlags = false
	c := &a.common
	f.StringVar(&c.model, "model", "", "model `FILE` or directory of any format, the name of one that pull has fetched (g1:0.4b), or synthetic:SIZE for a made-up one; without it, the embedded demo model")
	f.StringVar(&c.vocab, "vocab", "", "vocabulary `FILE`; without it, the one inside or beside the model file, else in the user's data directory")
	f.StringVar(&c.device, "device", "auto", "`DEVICE`: auto (best GPU, else cpu), gpu (best Vulkan device), cpu, an index of 'rwkv-gpu devices', or part of a name")
	f.StringVar(&c.split, "split", "", splitUsage)
	f.Lookup("split").NoOptDefVal = bySpeed
	f.IntVar(&c.threads, "threads", 0, "`N` threads on the CPU (0: a thread for each physical core that this process may use)")
	f.StringVar(&c.quant, "quant", load.AsStored, "quantize the large matrices while loading, to `TYPE` "+strings.Join(load.QuantNames(), ", ")+" (none: as stored)")
	f.StringArrayVar(&c.loras, "lora", nil, loraUsage)
	f.StringVar(&c.tuning, "tuning", tuningDefault, "on: measure a device's fastest kernels once, for a few seconds; `off`: the usual ones")
	f.BoolVar(&c.retune, "retune", false, "measure the device's fastest kernels anew")
	f.Float64Var(&c.groupNormEps, "group-norm-eps", 0, "RWKV-5 only: `EPS` of the group norm, 64e-5 or 1e-5")
	f.BoolVar(&c.json, "json", false, "write one JSON object and nothing else to standard output")
	f.BoolVar(&c.quiet, "quiet", false, "no notices, no progress")
	root.AddCommand(a.generateCommand(), a.logitsCommand(), a.tokenizeCommand(), a.promptCommand(), a.stateCommand(), a.chatCommand(), a.serveCommand(), a.batchCommand(), a.viewCommand(),
		a.infoCommand(),
		a.devicesCommand(), a.doctorCommand(), a.compareCommand(), a.benchCommand(), a.evalCommand(), a.convertCommand(), a.quantizeCommand(), a.pullCommand(),
		a.modelsCommand(), a.completionCommand(), a.manCommand(), a.versionCommand())
	return root
}

// helpCommand is cobra's help command with another exit status if there is no such command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about a command",
		RunE: func(c *cobra.Command, args []string) error {
			about, _, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			return about.Help()
		},
	}
}

// check verifies what can be known before a model is opened.
func (a *app) check(flags *pflag.FlagSet) error {
	c := &a.common
	if flags.Changed("device") && c.device == "" {
		return usagef("--device", "want a value, got an empty one")
	}
	if flags.Changed("split") && c.split == "" {
		return usagef("--split", "want a value, got an empty one")
	}
	if _, _, err := c.splitAmong(); err != nil {
		return err
	}
	if c.threads < 0 || c.threads > mostThreads {
		return usagef("--threads", "want 0 to %d, got %d", mostThreads, c.threads)
	}
	if c.tuning != "on" && c.tuning != "off" {
		return usagef("--tuning", "want on or off, got %q", c.tuning)
	}
	if err := a.checkAccuracy(flags); err != nil {
		return err
	}
	if err := a.checkDraft(flags); err != nil {
		return err
	}
	return a.checkLoading(flags)
}

// notice prints a line for people.
func (a *app) notice(format string, args ...any) {
	if !a.common.quiet {
		_, _ = fmt.Fprintln(a.stderr, oneLine(fmt.Sprintf(format, args...))) // a lost notice is no reason to stop
	}
}

// writeJSON writes the one object of --json.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	return output(e.Encode(v))
}

// printf writes to standard output.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return output(err)
}

// output marks err as a failure to write results.
func output(err error) error {
	if err == nil {
		return nil
	}
	return &failure{statusFailed, "standard output", err}
}

// noArgs refuses arguments.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("argument", "want none, got %q (a model file goes with --model)", args[0])
	}
	return nil
}

// oneText refuses a second argument.
func oneText(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("argument", "want one text, got %d (put it in quotes)", len(args))
	}
	return nil
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := fileOf(stream)
	return ok && term.IsTerminal(int(f.Fd()))
}

// fileOf returns the file that a stream is.
func fileOf(stream any) (*os.File, bool) {
	if r, ok := stream.(*results); ok {
		stream = r.Writer
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// maxText is the most bytes that are read from standard input.
const maxText = 64 << 20

// text returns the argument, or for "-" all of standard input.
func (a *app) text(ctx context.Context, arg string) ([]byte, error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // a read cannot be interrupted, but left alone
		data, err := io.ReadAll(io.LimitReader(a.stdin, maxText+1))
		done <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if err := ctx.Err(); err != nil { // both were ready: Ctrl-C on a terminal ends the read too
			return nil, err
		}
		if r.err != nil {
			return nil, inputf("standard input", "%w", r.err)
		}
		if len(r.data) > maxText {
			return nil, inputf("standard input", "want at most %d bytes, got more", maxText)
		}
		return r.data, nil
	}
}
