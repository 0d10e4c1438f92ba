// Command rwkv-gpu runs RWKV language models on Vulkan devices.
//
// Results go to standard output. Notices, progress and errors go to standard error. An error is one line, "rwkv-gpu:
// COMMAND: WHERE: WHY", and the exit status tells its kind (see status.go).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/internal/unasked"
)

func main() {
	unasked.Done()
	untilSignal(func(ctx context.Context) int { return run(ctx, os.Args[1:], os.Stdin, standardOutput(), os.Stderr) })
}

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	common         commonFlags
	started        bool // the command line was understood
}

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	out := &results{Writer: stdout}
	a := &app{stdin: stdin, stdout: out, stderr: stderr}
	root := a.rootCommand()
	args = joinSplit(args)
	name := commandName(root, args)
	defer func() {
		if p := recover(); p != nil {
			a.started = true // later errors are not the command line's fault
			status = a.report(name, fmt.Errorf("internal error: %v", p))
		}
	}()
	root.SetArgs(args)
	var err error
	if completing(args) {
		err = complete(root)
	}
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if out.err != nil && (err == nil || !a.started) {
		a.started = true
		err = output(out.err)
	}
	return a.report(name, err)
}

// commandName returns the name of the subcommand of a command line, "" if there is none.
func commandName(root *cobra.Command, args []string) string {
	if found, _, err := root.Find(args); err == nil && found != root {
		return strings.TrimPrefix(found.CommandPath(), root.Name()+" ")
	}
	return ""
}

// report prints err in one line and returns the exit status. It prints nothing if err only means that the reader of
// standard output has gone.
func (a *app) report(command string, err error) int {
	if err == nil || closedEarly(err) {
		return statusDone
	}
	if !a.started {
		err = asUsage(command, err)
	}
	line := "rwkv-gpu: "
	if command != "" {
		line += command + ": "
	}
	status := statusOf(err)
	if status == statusInterrupted {
		err = errors.New("interrupted")
	}
	text := err.Error()
	if errors.Is(err, engine.ErrDeviceLost) || errors.Is(err, engine.ErrTimeout) {
		text, _, _ = strings.Cut(text, "\n") // later failures have the same reason
	}
	_, _ = fmt.Fprintln(a.stderr, line+oneLine(text)) // there is nowhere left to report to
	return status
}

// closedEarly reports whether err only means that the reader of standard output has gone.
func closedEarly(err error) bool {
	switch e := err.(type) { //nolint:errorlint // it is the tree itself that is walked
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if !closedEarly(part) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return closedEarly(e.Unwrap())
	}
	return err == syscall.EPIPE //nolint:errorlint // the leaf
}

// command completes a subcommand whose body is do.
func (a *app) command(c *cobra.Command, do func(ctx context.Context, args []string) error) *cobra.Command {
	c.InheritedFlags().SortFlags = false
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.check(c.Flags()); err != nil {
			return err
		}
		a.started = true
		if err := a.findModels(); err != nil {
			return err
		}
		return do(c.Context(), args)
	}
	return c
}
