package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const loraUsage = "merge the changes in the LoRA `FILE[:SCALE]` while loading; may be given several times (SCALE: alpha/rank of its training, 1 without)"

// flagOf is the flag by which each input is given.
var flagOf = map[load.Input]string{load.Model: "--model", load.Vocab: "--vocab", load.LoRA: "--lora", load.Quant: "--quant",
	load.State: "--state", load.StateLayout: "--state-layout", load.GroupNormEps: "--group-norm-eps"}

// stateFlag adds --state and --state-layout to the flags of a command that runs the model.
func (a *app) stateFlag(f *pflag.FlagSet) {
	f.StringVar(&a.common.state, "state", "", "begin with the state in `FILE`: of state tuning (time_state), or written by --state-out")
	f.StringVar(&a.common.stateLayout, "state-layout", load.StateLayouts()[0], "`LAYOUT` of a tuned state: original (RWKV-LM, RWKV-PEFT), web-rwkv (Ai00), or auto: what the file looks like")
}

// The values of --precision.
const (
	float32Precision = "f32"
	float16Precision = "f16"
)

// accuracyFlags adds --exact and --precision to the flags of a command.
func (a *app) accuracyFlags(f *pflag.FlagSet) {
	f.BoolVar(&a.common.exact, "exact", false, "numbers that do not depend, in any bit, on how tokens are cut into passes or on other sequences")
	f.StringVar(&a.common.precision, "precision", float32Precision, "f32, or `f16`: a GPU with cooperative matrices may round what it multiplies to float16 while it reads prompts")
}

// checkAccuracy checks the flags of accuracyFlags.
func (a *app) checkAccuracy(flags *pflag.FlagSet) error {
	switch c := &a.common; {
	case flags.Changed("precision") && c.precision != float32Precision && c.precision != float16Precision:
		return usagef("--precision", "want %s or %s, got %q", float32Precision, float16Precision, c.precision)
	case c.precision == float16Precision && c.exact:
		return usagef("--precision", "want %s with --exact, got %s", float32Precision, float16Precision)
	}
	return nil
}

// accuracy returns what the flags of accuracyFlags ask for.
func (a *app) accuracy() device.Accuracy {
	return device.Accuracy{Exact: a.common.exact, Half: a.common.precision == float16Precision}
}

// options returns what to load, by the flags.
func (a *app) options() load.Options {
	c := &a.common
	return load.Options{Model: c.model, Vocab: c.vocab, LoRAs: c.loras, Quant: c.quant, State: c.state, StateLayout: c.stateLayout,
		GroupNormEps: c.groupNormEps, Notice: a.loadNotice}
}

// loadNotice prints a notice. If the notice advises a value of an option, it names the option's flag.
func (a *app) loadNotice(n load.Notice) {
	text := n.Text
	if n.Advice != "" {
		text += "; " + flagOf[n.Input] + " " + n.Advice
	}
	a.notice("%s", text)
}

// flagged gives errors of loading their exit status, and names the flag that they are about.
func flagged(err error) error {
	var option *load.OptionError
	var file *load.FileError
	err = epsilonFlagged(err)
	switch {
	case errors.As(err, &option):
		return usagef(flagOf[option.Input], "%w", option.Err)
	case errors.As(err, &file) && file.Advice:
		return inputf("", "%w, or %s FILE", file, flagOf[file.Input])
	case errors.As(err, &file):
		return inputf("", "%w", err)
	}
	return err
}

// epsilonFlagged names the flag for a state of another epsilon of the group norm.
func epsilonFlagged(err error) error {
	if errors.Is(err, state.ErrGroupNormEps) {
		return fmt.Errorf("%w; for RWKV-5 --group-norm-eps sets it", err)
	}
	return err
}

// openModel opens the model of --model, or the embedded one.
func (a *app) openModel() (*load.Opened, error) {
	m, err := load.Open(a.options())
	return m, flagged(err)
}

// openTokenizer opens the vocabulary of m.
func (a *app) openTokenizer(m *load.Opened) (tokenizer.Tokenizer, error) {
	t, err := m.Tokenizer()
	return t, flagged(err)
}

// optionalTokenizer opens the vocabulary of m. If there is none, that is an error only if it is needed or a flag names
// it.
func (a *app) optionalTokenizer(m *load.Opened, needed bool) (tokenizer.Tokenizer, error) {
	t, err := a.openTokenizer(m)
	if err != nil && !needed && a.common.vocab == "" {
		return nil, nil
	}
	return t, err
}

// checkLoading verifies the flags about what to load.
func (a *app) checkLoading(flags *pflag.FlagSet) error {
	c := &a.common
	for _, name := range []string{"model", "vocab", "state"} {
		if f := flags.Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return usagef("--"+name, "want a file, got an empty name")
		}
	}
	if flags.Changed("group-norm-eps") && !slices.Contains(load.GroupNormEpsilons(), c.groupNormEps) {
		return usagef("--group-norm-eps", "want 64e-5 or 1e-5, got %v", c.groupNormEps)
	}
	c.quant = strings.ToLower(c.quant)
	o := a.options()
	return flagged(o.Check())
}
