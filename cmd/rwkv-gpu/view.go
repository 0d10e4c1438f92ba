package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

const viewHelp = `Show a text in a window while the model writes it, with the state that the model writes it from: a picture for
each head of each layer. The device that computes draws the pictures from its own memory.

Space stops the text or has it go on. The arrows left and right go back through states that are kept, and on, token by
token behind the last one. What is typed continues the text that is shown, from Enter on. A click looks at a head closely, and
lists its strongest keys. F2 changes the colors, and F3 the scale: of each head, or of all.

The window needs a build that has one: make view.`

// viewFlags are the flags of view.
type viewFlags struct {
	generateFlags
	size          string
	width, height int
	screenshot    string
	frames, head  int
}

func (a *app) viewCommand() *cobra.Command {
	o := viewFlags{generateFlags: generateFlags{sample: sample.Default()}}
	c := &cobra.Command{
		Use: "view [PROMPT|-]", Short: "Watch a model write, in a window", Long: viewHelp, Args: oneText,
		Example: `  rwkv-gpu view "Once upon a time"
  rwkv-gpu view "Once upon a time" -n 300 --seed 7 --screenshot view.png`,
	}
	f := c.Flags()
	f.SortFlags = false
	p := &o.sample
	f.IntVarP(&o.max, "max-tokens", "n", 0, "stop after `N` tokens; 0: at the end of the text")
	drawFlags(f, p)
	f.Uint64Var(&o.seed, "seed", 0, "`SEED` of the random numbers (default: another one in each run)")
	f.StringVar(&o.size, "size", "1400x800", "`WxH` of the window, in the display's units")
	f.StringVar(&o.screenshot, "screenshot", "", "write the window's picture to `FILE`.png, after --frames pictures and, with --max-tokens, when the text has them; then end")
	f.IntVar(&o.frames, "frames", 1, "`N` pictures before --screenshot")
	f.IntVar(&o.head, "head", -1, "look closely at head `N` at first, counted over all layers from 0")
	a.stateFlag(f)
	a.accuracyFlags(f)
	return a.command(c, func(ctx context.Context, args []string) error {
		if o.seeded = f.Changed("seed"); !o.seeded {
			o.seed = uint64(rand.Uint32())
		}
		p.Seed = o.seed
		if f.Changed("screenshot") && o.screenshot == "" {
			return usagef("--screenshot", "want a file, got an empty name")
		}
		return a.view(ctx, &o, args)
	})
}

// checkView checks the flags of view.
func (a *app) checkView(o *viewFlags) (err error) {
	const least, most = 200, 8192
	if err := o.check(); err != nil {
		return err
	}
	w, h, ok := strings.Cut(o.size, "x")
	var bad [2]error
	o.width, bad[0] = strconv.Atoi(w)
	o.height, bad[1] = strconv.Atoi(h)
	if !ok || errors.Join(bad[:]...) != nil || min(o.width, o.height) < least || max(o.width, o.height) > most {
		return usagef("--size", "want WxH, each from %d to %d, got %q", least, most, o.size)
	}
	if o.frames < 1 {
		return usagef("--frames", "want 1 or more, got %d", o.frames)
	}
	if o.head < -1 {
		return usagef("--head", "want 0 or more, got %d", o.head)
	}
	if a.common.json {
		return usagef("--json", "want none: view has no result but the window")
	}
	if err := a.oneDevice(); err != nil {
		return err
	}
	if a.common.device == "cpu" {
		return usagef("--device", "want a Vulkan device, since it draws what it computes; got cpu")
	}
	return nil
}
