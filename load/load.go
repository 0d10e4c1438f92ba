package load

import (
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Opened is a model with its options, state and vocabulary. Close closes all of it.
type Opened struct {
	*model.Model
	// Begin is the saved state that sequences begin with, nil unless Options.State names one. The model's program begins
	// with its Data already. A Pending token must be fed before all others.
	Begin *state.State

	options Options
	assumed string // of the state, if anything
}

// Open opens the model of the options. It checks the tensors; an executor reads their numbers later. The error is an
// *OptionError or a *FileError.
func Open(o Options) (*Opened, error) {
	s, err := o.parse()
	if err != nil {
		return nil, err
	}
	f, err := o.file(&s)
	if err != nil {
		return nil, inFile(Model, o.Model, err)
	}
	f, merges, err := merge(f, &s)
	if err != nil {
		return nil, inFile(LoRA, "", err)
	}
	m := &Opened{options: o}
	if err := m.open(f, &s); err != nil {
		_ = f.Close() // the error that counts is err
		return nil, err
	}
	if n := m.UnusedNotice(); n != "" {
		o.notice(Notice{Text: n, Input: Model})
	}
	o.loraNotices(merges, s.loras)
	if m.assumed != "" {
		o.notice(Notice{Text: "reading " + o.State + " " + m.assumed, Input: StateLayout, Advice: model.OriginalState + " if it is not"})
	}
	if s.quant != 0 {
		o.notice(quantNotice(m.Model, s.quant))
	}
	return m, nil
}

func (o *Options) notice(n Notice) {
	if o.Notice != nil {
		o.Notice(n)
	}
}

// file opens the model's file.
func (o *Options) file(s *settings) (*weights.File, error) {
	switch {
	case s.size != nil:
		return synthetic.New(*s.size, tensor.F16, synthetic.Seed)
	case o.Model == "":
		return weights.Parse(demo.Name, demo.Weights())
	case o.Model == DemoDraft:
		return weights.Parse(demo.DraftName, demo.Draft())
	}
	return weights.Open(o.Model)
}

// merge returns f with the LoRAs. On an error it closes f.
func merge(f *weights.File, s *settings) (*weights.File, []lora.Merge, error) {
	files := make([]lora.File, len(s.loras))
	for i := range s.loras {
		files[i] = s.loras[i].File
	}
	merged, merges, err := lora.Apply(f, files)
	if err != nil {
		_ = f.Close() // the error that counts is err
	}
	return merged, merges, err
}

// open makes the model from its file, and makes it begin with the state.
func (m *Opened) open(f *weights.File, s *settings) (err error) {
	o := &m.options
	m.Model, err = model.NewWith(f, model.Options{GroupNormEps: float32(o.GroupNormEps), Quant: s.quant})
	var eps *model.EpsError
	if errors.As(err, &eps) {
		return &OptionError{Input: GroupNormEps, Err: eps}
	}
	if err != nil || o.State == "" {
		return inFile(Model, o.Model, err)
	}
	m.Begin, m.assumed, err = state.Begin(m.Model, o.State, o.layout())
	return inFile(State, o.State, err)
}
