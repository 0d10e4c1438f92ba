package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/doctor"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

const doctorHelp = `Examine what the model would run on, and say what to do: the Vulkan loader, its drivers and devices, the device that is
chosen and why, its features and limits, the memory that the model needs, known troubles of the driver, and what earlier runs
kept. Every op runs on the device in every form that the device would use for the model, and its results are compared with
those of the formulas. A form whose results are wrong does not run any more with this driver: other forms take its place, in
all commands. --retune judges them again, and forgets those that are right now. So does a form in which the driver crashes:
the examination has a process of its own, and the report says what it was about.

The exit status is 1 if something keeps the model from running right on the device, and with --strict also for a warning. The
report has no names of people or machines and no paths, so it can go into a bug report.`

func (a *app) doctorCommand() *cobra.Command {
	var strict, events bool
	c := &cobra.Command{
		Use: "doctor", Short: "Examine the device and say what to do", Long: doctorHelp, Args: noArgs,
		Example: `  rwkv-gpu doctor --model FILE --device gpu`,
	}
	f := c.Flags()
	a.accuracyFlags(f)
	f.BoolVar(&strict, "strict", false, "a warning is a failure too")
	f.BoolVar(&events, eventsFlag, false, "examine in this process, and write what happens as JSON lines")
	_ = f.MarkHidden(eventsFlag) // it exists
	return a.command(c, func(ctx context.Context, _ []string) error {
		if err := a.oneDevice(); err != nil {
			return err
		}
		if events {
			return a.examine(ctx)
		}
		r, err := a.examined(ctx)
		if err != nil {
			return err
		}
		return a.printDoctor(r, strict)
	})
}

// eventsFlag makes doctor the process that is watched: a driver that crashes takes it down, but not the report.
const eventsFlag = "events"

// examine examines the device in this process, and writes events to standard output. It ends with standard input.
func (a *app) examine(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, a.stdin)
		cancel()
		if time.Sleep(patience); device.OnHang != nil { // stuck in a driver
			device.OnHang(context.Canceled)
		}
	}()
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	_, err = doctor.Examine(ctx, doctor.Options{Device: a.common.device, Open: a.openExamined, Model: m.Model, Name: a.common.model,
		Version: buildVersion().Version, Accuracy: a.accuracy(), Threads: a.common.threads, Machine: doctor.ThisMachine(),
		Tell: func(x *doctor.Event) {
			if x.Write(a.stdout) != nil { // nobody watches any more
				cancel()
			}
		}})
	return err
}

// examined has another process examine the device, and returns its report.
func (a *app) examined(ctx context.Context) (*doctor.Report, error) {
	program, err := a.self("doctor", "--"+eventsFlag, "--retune="+strconv.FormatBool(a.common.retune), "--quiet="+strconv.FormatBool(a.common.quiet))
	if err != nil {
		return nil, err
	}
	limit, err := gpu.WaitLimit()
	if err != nil {
		return nil, err
	}
	draw, clearBar := a.progressOf(ctx, "conformance")
	defer clearBar()
	c := exec.Command(program.Path, program.Args...)
	c.Env = append(os.Environ(), "GOTRACEBACK=none")
	r, log, err := doctor.Watch{Device: a.common.device, Name: a.common.model, Patience: limitsOfSilence * limit, Errors: "rwkv-gpu: doctor: ",
		Trouble: statusDevice, LeaveOut: device.LeaveOut,
		Progress: func(done, all int) { _ = draw(int64(done), int64(all)) }, // Run looks at ctx itself
		Slow: func(step string, since time.Duration) {
			a.notice("no answer from the driver for %v, in %s; doctor waits %v", since, step, limitsOfSilence*limit)
		}}.Run(ctx, c)
	for line := range strings.Lines(log) {
		a.notice("%s", line)
	}
	var end *doctor.EndError
	switch {
	case errors.As(err, &end) && end.Status > 0:
		return nil, &failure{end.Status, "", end}
	case err != nil:
		return nil, err
	}
	return r, nil
}

// limitsOfSilence is how many of the limits of a wait a driver may be silent in one step: it may compile for long.
const limitsOfSilence = 10

// openExamined opens the device of --device as other commands do. With --retune it forgets what was unfit.
func (a *app) openExamined() (*device.Device, error) {
	open := device.Open
	if a.common.retune {
		open = device.OpenAnew
	}
	return a.openBy(open, a.common.device, func(string) {}) // the report says why
}

// printDoctor writes the report, and returns an error if the check failed.
func (a *app) printDoctor(r *doctor.Report, strict bool) error {
	var err error
	if a.common.json {
		err = a.writeJSON(r)
	} else {
		err = a.printf("%s", r)
	}
	if err != nil || !r.Failed(strict) {
		return err
	}
	return fmt.Errorf("verdict %s: %s", r.Verdict, r.Findings[0].Text)
}
