package main

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/draft"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// draftFlags adds --draft and --draft-device to the flags of a command.
func (a *app) draftFlags(f *pflag.FlagSet) {
	f.StringVar(&a.common.draft, "draft", "", "a smaller model `FILE` with the same vocabulary, which draws ahead: one text at a time is written faster, and stays the same; a name as --model takes, or "+load.DemoDraft+" for the embedded model's")
	f.StringVar(&a.common.draftDevice, "draft-device", "", "`DEVICE` of the draft, as --device (default: that of the model, with --split the first)")
}

// checkDraft checks the flags of draftFlags.
func (a *app) checkDraft(flags *pflag.FlagSet) error {
	switch c := &a.common; {
	case flags.Changed("draft") && c.draft == "":
		return usagef("--draft", "want a file, got an empty name")
	case flags.Changed("draft-device") && c.draftDevice == "":
		return usagef("--draft-device", "want a value, got an empty one")
	case c.draftDevice != "" && c.draft == "":
		return usagef("--draft-device", "want a --draft too, got none to run there")
	}
	return nil
}

// slots returns how many slots an engine of some sequences needs, by the flags.
func (a *app) slots(seqs int) int {
	if a.common.draft != "" {
		return seqs + draft.Slots
	}
	return seqs
}

// drafting is a draft that runs. The zero value is none.
type drafting struct {
	*draft.Drafter
	close []func() error // in the order of opening
}

// Close ends the draft. The model's engine has to be open.
func (d *drafting) Close() (err error) {
	if d.Drafter != nil {
		d.Drafter.Close()
	}
	for i := len(d.close) - 1; i >= 0; i-- {
		err = errors.Join(err, d.close[i]())
	}
	return err
}

// startDraft runs the draft of --draft for an engine, unless small is nil. on is the device of the engine.
func (a *app) startDraft(ctx context.Context, small *load.Opened, e *engine.Engine, on *device.Device) (d *drafting, err error) {
	d = &drafting{}
	if small == nil {
		return d, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if spec := a.draftDevice(); spec != "" {
		if on, err = a.openBy(device.Open, spec, func(line string) { a.notice("%s", line) }); err != nil {
			return d, err
		}
		d.close = append(d.close, on.Close)
	}
	progress, clearBar := a.progressOf(ctx, "loading the draft")
	s, err := engine.New(small.Model, on, engine.Options{Slots: draft.SmallSlots, Progress: progress})
	clearBar()
	if err != nil {
		return d, err
	}
	d.close = append(d.close, s.Close)
	d.Drafter, err = draft.New(e, s, draft.Options{Notice: func(line string) { a.notice("%s", line) }})
	return d, err
}

// draftDevice returns which device the draft has for itself, "" for none: it runs on the model's then. Nobody divides the
// few layers of a draft.
func (a *app) draftDevice() string {
	if a.common.draftDevice == "" && a.common.split != "" {
		first, _, _ := strings.Cut(a.common.device, ",")
		return strings.TrimSpace(first)
	}
	return a.common.draftDevice
}

// openDraft opens the model of --draft, if there is one: else it returns nil. Its ids have to mean what those of m do,
// whose vocabulary is tok.
func (a *app) openDraft(m *load.Opened, tok tokenizer.Tokenizer) (*load.Opened, error) {
	path := a.common.draft
	if path == "" {
		return nil, nil
	}
	small, err := load.Open(load.Options{Model: path, Notice: a.loadNotice})
	var option *load.OptionError
	if errors.As(err, &option) {
		return nil, usagef("--draft", "%w", option.Err)
	}
	if err != nil {
		return nil, flagged(err)
	}
	if err = sameVocabulary(path, small, m, tok); err != nil {
		return nil, errors.Join(err, small.Close())
	}
	return small, nil
}

// closeModel closes a model, if there is one.
func closeModel(m *load.Opened) error {
	if m == nil {
		return nil
	}
	return m.Close()
}

// sameVocabulary wants the draft in a file to have the vocabulary of m, which is tok. A draft whose vocabulary is nowhere
// to be found may have any of as many ids.
func sameVocabulary(path string, small, m *load.Opened, tok tokenizer.Tokenizer) error {
	if small.Vocab != m.Vocab {
		return inputf(path, "--draft: want the vocabulary of %s, of %d ids, got one of %d", m.File.Path, m.Vocab, small.Vocab)
	}
	other, err := small.Tokenizer()
	if err != nil || tok == nil {
		return nil
	}
	for id := 1; id < m.Vocab; id++ {
		if want, got := tok.Bytes(id), other.Bytes(id); !bytes.Equal(want, got) {
			return inputf(path, "--draft: want the vocabulary of %s, in which id %d is %q, got one in which it is %q", m.File.Path, id, want, got)
		}
	}
	return nil
}

// drafted tells how the draft did.
func (a *app) drafted(d *drafting) {
	if d.Drafter == nil {
		return
	}
	if s := d.Stats(); s.Rounds > 0 {
		a.notice("draft: %d of %d ids were right, %.1f tokens a pass; %d tokens without it", s.Accepted, s.Proposed,
			float64(s.Drawn)/float64(s.Rounds), s.Plain)
	}
}
