//go:build view

package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"runtime"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
	"github.com/rwkv-gpu/rwkv-gpu/view"
	"github.com/rwkv-gpu/rwkv-gpu/view/paint"
	"github.com/rwkv-gpu/rwkv-gpu/view/player"
)

// hasWindow reports whether this build has the window of view.
const hasWindow = true

// Window systems want to be asked on the process's main thread, which is the main goroutine's during init.
func init() { runtime.LockOSThread() }

// view shows a window.
func (a *app) view(ctx context.Context, o *viewFlags, args []string) (err error) {
	if err := a.checkView(o); err != nil {
		return err
	}
	prompt, err := a.prompt(ctx, args, true)
	if err != nil {
		return err
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	states, err := paint.StatesOf(m.Model)
	if err != nil {
		return inputf("", "%w", err)
	}
	if heads := states.Shape.Layers * states.Shape.Heads; o.head >= heads {
		return usagef("--head", "want one below %d, got %d", heads, o.head)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		return flagged(err)
	}
	play := player.Options{Max: o.max, Sample: o.sample, Slots: slotsFor(m.Model)}
	if len(prompt) == 0 {
		play.Prompt = append(play.Prompt, text.EndOfText) // the same token begins a document
	}
	if play.Prompt, err = encode(tok, play.Prompt, prompt); err != nil {
		return err
	}
	play.Prompt = m.Begin.First(play.Prompt)
	if m.Begin != nil {
		play.Sampler = m.Begin.Sampler
	}
	return a.showWindow(ctx, m, o, view.Options{Player: play, Head: o.head, Frames: o.frames, Take: o.take()}, tok)
}

// take returns what writes the picture; nil if none is wanted.
func (o *viewFlags) take() func(*image.RGBA) error {
	if o.screenshot == "" {
		return nil
	}
	return func(img *image.RGBA) error {
		err := files.Replace(o.screenshot, func(w io.Writer) error { return png.Encode(w, img) }, nil)
		if err == nil {
			return nil
		}
		if p := (*fs.PathError)(nil); errors.As(err, &p) { // whose path is that of an unfinished file
			err = fmt.Errorf("%s: %w", p.Op, p.Err)
		}
		return &failure{statusFailed, o.screenshot, err}
	}
}

// The memory for states to which a text can go back, and how many there are at least and at most.
const (
	keptBytes           = 256 << 20
	leastKept, mostKept = 4, 96
	keepEvery           = 256 // tokens, for states that are made again after the device was lost
)

// slotsFor returns how many states to have on the device.
func slotsFor(m *model.Model) int {
	return 2 + min(max(keptBytes/max(4*m.Program.StateLen(), 1), leastKept), mostKept)
}

// showWindow opens a window and the device for it, and shows a text.
func (a *app) showWindow(ctx context.Context, m *load.Opened, o *viewFlags, show view.Options, tok tokenizer.Tokenizer) (err error) {
	w, err := view.Open("rwkv-gpu", o.width, o.height)
	if err != nil {
		return &failure{statusDevice, "", err}
	}
	defer w.Close()
	d, err := device.OpenWindow(a.common.device, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if a.common.tuning != "off" {
		d.Tune(a.common.retune, func(line string) { a.notice("%s", line) })
	}
	progress, clearBar := a.progress(ctx)
	e, err := engine.New(m.Model, d, engine.Options{Slots: show.Player.Slots, Seqs: 1, Keep: keepEvery, Exact: a.common.exact,
		Half: a.accuracy().Half, Progress: progress})
	clearBar()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Prepare(ctx, len(show.Player.Prompt), true); err != nil {
		return err
	}
	a.notice("running on %s", e.Device())
	return blameModel(m.Model, view.Show(ctx, w, e, tok, show))
}
