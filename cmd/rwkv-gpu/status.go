package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Exit statuses. Scripts rely on them.
const (
	statusDone        = 0
	statusFailed      = 1 // a check failed, or the output could not be written
	statusUsage       = 2
	statusInput       = 3 // a file is missing, malformed or not supported
	statusDevice      = 4 // no device, or it failed
	statusInterrupted = 130
)

// failure is an error that knows its exit status.
type failure struct {
	status int
	where  string // the flag, argument or file; may be empty
	err    error
}

func (f *failure) Error() string {
	if f.where == "" {
		return f.err.Error()
	}
	return f.where + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usagef is the error for a flag or argument that cannot be used.
func usagef(where, format string, args ...any) error {
	return &failure{statusUsage, where, fmt.Errorf(format, args...)}
}

// inputf is the error for a file that cannot be used.
func inputf(where, format string, args ...any) error {
	return &failure{statusInput, where, fmt.Errorf(format, args...)}
}

// blame makes err the fault of the file where, which was being opened, unless err is known to be the fault of something
// else.
func blame(where string, err error) error {
	var f *failure
	var path *fs.PathError
	switch {
	case errors.As(err, &f):
		return err
	case errors.As(err, &path):
		return inputf(where, "%s: %w", path.Op, path.Err)
	case err == nil || statusOf(err) != statusFailed:
		return err
	}
	return &failure{statusInput, where, err}
}

// blameModel adds the name of the model's file to err, if the model is at fault.
func blameModel(m *model.Model, err error) error {
	if errors.Is(err, engine.ErrLogits) {
		return inputf(m.File.Path, "%w", err)
	}
	return err
}

// statusOf returns the exit status for an error. It is the one place that maps the errors of all packages to statuses.
// Errors come here as they are, wrapped or joined.
func statusOf(err error) int {
	var (
		f         *failure
		save      *weights.SaveError
		level     *cpu.LevelError
		faulty    *device.Error
		weight    *weights.Error
		vocab     *tokenizer.Error
		notFinite *op.NotFiniteError
		path      *fs.PathError
	)
	switch {
	case err == nil:
		return statusDone
	case errors.Is(err, context.Canceled):
		return statusInterrupted
	case errors.As(err, &f):
		return f.status
	case errors.As(err, &level): // the user's environment names it
		return statusUsage
	case errors.As(err, &faulty), gpu.IsFault(err):
		return statusDevice
	case errors.As(err, &save):
		return statusFailed
	case errors.As(err, &weight), errors.As(err, &vocab), errors.As(err, &notFinite), errors.As(err, &path), errors.Is(err, engine.ErrLogits):
		return statusInput
	}
	return statusFailed
}

// asUsage turns an error of the command line parser into one that says where to read on.
func asUsage(command string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	help := strings.TrimSpace("rwkv-gpu " + command)
	why := err.Error()
	if before, after, ok := strings.Cut(why, "\n\nDid you mean this?\n\t"); ok {
		why = before + ", did you mean " + strings.Join(strings.Fields(after), " or ") + "?"
	}
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		flag := value.GetFlag()
		return usagef("--"+flag.Name, "want %s, got %q (see %s --help)", valueWords(flag.Value.Type()), value.GetValue(), help)
	}
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		return usagef("--"+missing.GetFlag().Name, "want a value, got none (see %s --help)", help)
	}
	return usagef("", "%s (see %s --help)", why, help)
}

// valueWords describes the values of a flag's type.
func valueWords(typ string) string {
	switch typ {
	case "int", "uint64":
		return "a whole number"
	case "float32", "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "bytes":
		return "a number of bytes such as 500M or 4G"
	case "duration":
		return "a time such as 30s or 5m"
	}
	return "a value"
}

// oneLine makes one line of a text.
func oneLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n") // joined errors, which may have one cause
	s = strings.Join(slices.Compact(lines), "; ")
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, string(unicode.ReplacementChar)) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}
