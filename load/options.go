package load

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Options say what to open. The zero value is the embedded demo model with its vocabulary.
type Options struct {
	// Model is a file or directory of any format. SyntheticPrefix and a size stand for a made-up model, "" for the demo
	// model, and DemoDraft for the smaller one that draws ahead for it.
	Model string
	// Vocab is the vocabulary's file. "" looks for it inside the model's file, beside it, and in the user's data
	// directory.
	Vocab string
	// LoRAs are files of changes to merge into the weights, in order, as FILE or FILE:SCALE. The scale is alpha/rank of
	// the LoRA's training, 1 if it is missing.
	LoRAs []string
	// Quant names the type to quantize the large matrices to, one of QuantNames; "" or AsStored keep them.
	Quant string
	// State is a file with the state that sequences begin with, of state tuning or saved; "" for none.
	State string
	// StateLayout is the layout of a tuned State, one of StateLayouts. "" and the first mean the layout that the file
	// seems to have.
	StateLayout string
	// GroupNormEps is the epsilon of RWKV-5's group norm, one of GroupNormEpsilons, 0 for the file's or the usual one.
	GroupNormEps float64
	// Notice, if not nil, is told of what the user should know: what a LoRA changed, what had to be assumed, what is left
	// out.
	Notice func(Notice)
}

// SyntheticPrefix begins an Options.Model that is made up. A size follows, one of synthetic.Names.
const SyntheticPrefix = "synthetic:"

// DemoDraft is the Options.Model of the embedded draft for the demo model.
const DemoDraft = demo.DraftName

// AsStored is the Options.Quant that changes nothing.
const AsStored = "none"

// quantTypes are the types to quantize to, the best first.
var quantTypes = []tensor.Type{tensor.Q8_0, tensor.Q6_K, tensor.Q5_K, tensor.Q5_1, tensor.Q5_0, tensor.Q4_K, tensor.Q4_1,
	tensor.IQ4_NL, tensor.Q4_0, tensor.Q3_K}

// QuantNames lists what Options.Quant takes, AsStored first and then the best first. Case does not count.
func QuantNames() []string {
	names := []string{AsStored}
	for _, t := range quantTypes {
		names = append(names, strings.ToLower(t.String()))
	}
	return names
}

// StateLayouts lists what Options.StateLayout takes.
func StateLayouts() []string { return []string{"auto", model.OriginalState, model.WebRWKVState} }

// GroupNormEpsilons are those that RWKV-5 models were made for: the original implementation's, and rwkv.cpp's.
func GroupNormEpsilons() []float64 { return []float64{model.OriginalGroupNormEps, 1e-5} }

// settings are checked Options.
type settings struct {
	size  *synthetic.Size // of a made-up model
	quant tensor.Type
	loras []loraOption
}

// loraOption is a LoRA, and whether a scale was given.
type loraOption struct {
	lora.File
	scaled bool
}

// Check finds what is wrong with the options themselves, before any file is opened. Its error is an *OptionError.
func (o *Options) Check() error {
	_, err := o.parse()
	return err
}

func (o *Options) parse() (s settings, err error) {
	fail := func(in Input, format string, args ...any) (settings, error) {
		return settings{}, &OptionError{Input: in, Err: fmt.Errorf(format, args...)}
	}
	if name, ok := strings.CutPrefix(o.Model, SyntheticPrefix); ok {
		size, err := synthetic.Named(name)
		if err != nil {
			return fail(Model, "%w", err)
		}
		s.size = &size
	}
	if o.Quant != "" && !strings.EqualFold(o.Quant, AsStored) {
		t, ok := tensor.ParseType(strings.ToUpper(o.Quant))
		if !ok || !t.IsBlock() {
			return fail(Quant, "want one of %s, got %q", strings.Join(QuantNames(), ", "), o.Quant)
		}
		s.quant = t
	}
	for _, text := range o.LoRAs {
		l, err := parseLoRA(text)
		if err != nil {
			return fail(LoRA, "%w", err)
		}
		s.loras = append(s.loras, l)
	}
	layouts := StateLayouts()
	switch told := o.StateLayout != "" && o.StateLayout != layouts[0]; {
	case told && !slices.Contains(layouts, o.StateLayout):
		return fail(StateLayout, "want %s or %s, got %q", strings.Join(layouts[:2], ", "), layouts[2], o.StateLayout)
	case told && o.State == "":
		return fail(StateLayout, "want a state too, got none to read as %s", o.StateLayout)
	case o.GroupNormEps != 0 && !slices.Contains(GroupNormEpsilons(), o.GroupNormEps):
		return fail(GroupNormEps, "want 64e-5 or 1e-5, got %v", o.GroupNormEps)
	}
	return s, nil
}

// scaleOf matches the end of a LoRA with a scale: a colon and a decimal number.
var scaleOf = regexp.MustCompile(`:([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)$`)

// parseLoRA splits FILE[:SCALE]. Any other colon belongs to the name, as in C:\tuned.pth.
func parseLoRA(text string) (l loraOption, err error) {
	l.Path, l.Scale = text, 1
	if m := scaleOf.FindStringSubmatch(text); m != nil {
		l.scaled = true
		l.Path = strings.TrimSuffix(text, m[0])
		s, err := strconv.ParseFloat(m[1], 32)
		if err != nil {
			return l, fmt.Errorf("want a scale that float32 can hold, got %q", m[1])
		}
		l.Scale = float32(s)
	}
	if l.Path == "" {
		return l, fmt.Errorf("want FILE or FILE:SCALE, got %q", text)
	}
	return l, nil
}

// layout returns the layout of a tuned state, "" for the one that the file seems to have.
func (o *Options) layout() string {
	if o.StateLayout == StateLayouts()[0] {
		return ""
	}
	return o.StateLayout
}
