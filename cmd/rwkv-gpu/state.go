package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

const stateHelp = `Describe a state file, as --state-out, chat's --save and /save write it, and say whether it fits the model of --model.

The exit status is 1 if the file is not as it was written.`

// stateInfo is the answer of state --json.
type stateInfo struct {
	Version  string `json:"version"`
	Model    string `json:"model"`
	ModelID  string `json:"model_id"`
	Fits     bool   `json:"fits"`
	Why      string `json:"why,omitempty"` // it does not
	Tokens   int    `json:"tokens"`
	Pending  *int   `json:"pending"`
	Bytes    int    `json:"bytes"`
	Sampler  bool   `json:"sampler"`
	Checksum string `json:"checksum"` // ok or wrong
}

func (a *app) stateCommand() *cobra.Command {
	c := &cobra.Command{Use: "state FILE", Short: "Describe a state file", Long: stateHelp, Args: func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usagef("argument", "want one state file, got %d", len(args))
		}
		return nil
	}}
	return a.command(c, func(_ context.Context, args []string) error { return a.describeState(args[0]) })
}

func (a *app) describeState(path string) error {
	d, err := state.Describe(path)
	if err != nil {
		return blame(path, err)
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }() // read only
	in := stateInfo{Version: d.Version, Model: d.Model, ModelID: d.ModelID, Tokens: d.Tokens, Bytes: d.Bytes, Sampler: d.Sampler, Checksum: "wrong"}
	if d.Intact {
		in.Checksum = "ok"
	}
	if d.Pending != state.None {
		in.Pending = &d.Pending
	}
	var other *weights.Error
	switch _, err := state.Read(m.Model, path); {
	case err == nil:
		in.Fits = true
	case errors.As(err, &other):
		in.Why = oneLine(fmt.Sprintf("%s: want %s, got %s", other.Field, other.Want, other.Got))
	default:
		return err
	}
	if a.common.json {
		err = a.writeJSON(in)
	} else {
		err = a.printState(in, m.File.Path)
	}
	if err == nil && !d.Intact {
		return &failure{statusFailed, path, errors.New("the file is not as it was written: its checksum is wrong")}
	}
	return err
}

func (a *app) printState(in stateInfo, model string) error {
	fits := "fits " + model
	if !in.Fits {
		fits = "does not fit " + model + ": " + in.Why
	}
	with := ""
	if in.Sampler {
		with = ", with the sampler"
	}
	if in.Pending != nil {
		with += fmt.Sprintf(", token %d comes next", *in.Pending)
	}
	return a.printf("state of %s after %s%s, %s\nmodel     %s\nchecksum  %s\n%s\n", in.Model, words.Plural(in.Tokens, "token"), with, words.Size(uint64(in.Bytes)),
		in.ModelID, in.Checksum, fits)
}
