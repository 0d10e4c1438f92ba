package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
)

const loraUsage = "merge the changes in the LoRA `FILE[:SCALE]` while loading; may be given several times (SCALE: alpha/rank of its training, 1 without)"

// scaleOf matches what ends a --lora that has a scale: a colon and a decimal number.
var scaleOf = regexp.MustCompile(`:([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)$`)

// parseLoRA splits FILE[:SCALE]. Any other colon belongs to the name, as in C:\tuned.pth.
func parseLoRA(text string) (l lora.File, scaled bool, err error) {
	l = lora.File{Path: text, Scale: 1}
	if m := scaleOf.FindStringSubmatch(text); m != nil {
		scaled = true
		l.Path = strings.TrimSuffix(text, m[0])
		s, err := strconv.ParseFloat(m[1], 32)
		if err != nil {
			return l, true, usagef("--lora", "want a scale that float32 can hold, got %q", m[1])
		}
		l.Scale = float32(s)
	}
	if l.Path == "" {
		return l, scaled, usagef("--lora", "want FILE or FILE:SCALE, got %q", text)
	}
	return l, scaled, nil
}

// parseLoRAs returns the LoRAs of --lora.
func (c *commonFlags) parseLoRAs() ([]lora.File, error) {
	var list []lora.File
	for _, text := range c.loras {
		l, _, err := parseLoRA(text)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// loraNotices says in a line each what LoRAs changed.
func (a *app) loraNotices(merges []lora.Merge) {
	pissa := slices.ContainsFunc(merges, func(g lora.Merge) bool { return g.Start })
	for i := range merges {
		g := &merges[i]
		line := fmt.Sprintf("merging %s: matrices changed: %d, ", g.Path, g.Changed)
		if len(g.Ranks) > 0 {
			line += fmt.Sprintf("rank %s, ", strings.ReplaceAll(strings.Trim(fmt.Sprint(g.Ranks), "[]"), " ", " and "))
		}
		line += fmt.Sprintf("scale %v", g.Scale)
		if g.Replaced > 0 {
			line += fmt.Sprintf("; tensors replaced: %d", g.Replaced)
		}
		if n := len(g.Widened); n > 0 {
			line += fmt.Sprintf("; changed from blocks to F16: %d", n)
		}
		if _, scaled, _ := parseLoRA(a.common.loras[i]); !scaled && !pissa && len(g.Ranks) > 0 {
			line += fmt.Sprintf(" (if it was trained with another alpha than its rank: --lora %s:ALPHA/RANK, as a number)", g.Path)
		}
		a.notice("%s", line)
	}
}

// stateFlag adds --state and --state-layout to the flags of a command that runs the model.
func (a *app) stateFlag(f *pflag.FlagSet) {
	f.StringVar(&a.common.state, "state", "", "begin with the state in `FILE`: of state tuning (time_state), or written by --state-out")
	f.StringVar(&a.common.stateLayout, "state-layout", "auto", "`LAYOUT` of a tuned state: original (RWKV-LM, RWKV-PEFT), web-rwkv (Ai00), or auto: what the file looks like")
}

// checkState verifies what the two flags say.
func (c *commonFlags) checkState(f *pflag.FlagSet) error {
	state := f.Lookup("state")
	switch {
	case state == nil:
		return nil
	case state.Changed && c.state == "":
		return usagef("--state", "want a file, got an empty name")
	case !slices.Contains([]string{"auto", model.OriginalState, model.WebRWKVState}, c.stateLayout):
		return usagef("--state-layout", "want auto, original or web-rwkv, got %q", c.stateLayout)
	case c.stateLayout != "auto" && c.state == "":
		return usagef("--state-layout", "want --state too, got no state to read as %s", c.stateLayout)
	}
	return nil
}
