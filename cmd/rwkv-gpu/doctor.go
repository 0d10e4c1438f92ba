package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/doctor"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
)

const doctorHelp = `Examine what the model would run on, and say what to do: the Vulkan loader, its drivers and devices, the device that is
chosen and why, its features and limits, the memory that the model needs, known troubles of the driver, and what earlier runs
kept. Every op runs on the device in every form that the device would use for the model, and its results are compared with
those of the formulas. A form whose results are wrong does not run any more with this driver: other forms take its place, in
all commands. --retune judges them again, and forgets those that are right now.

The exit status is 1 if something keeps the model from running right on the device, and with --strict also for a warning. The
report has no names of people or machines and no paths, so it can go into a bug report.`

func (a *app) doctorCommand() *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use: "doctor", Short: "Examine the device and say what to do", Long: doctorHelp, Args: noArgs,
		Example: `  rwkv-gpu doctor --model FILE --device gpu`,
	}
	a.accuracyFlags(c.Flags())
	c.Flags().BoolVar(&strict, "strict", false, "a warning is a failure too")
	return a.command(c, func(ctx context.Context, _ []string) (err error) {
		if a.common.precision == float16Precision {
			return usagef("--precision", "want %s, got %s: doctor judges with float32's accuracy", float32Precision, float16Precision)
		}
		m, err := a.openModel()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.Close()) }()
		draw, clearBar := a.progressOf(ctx, "conformance")
		r, err := doctor.Examine(ctx, doctor.Options{Device: a.common.device, Open: a.openExamined, Model: m.Model, Name: a.common.model,
			Version: buildVersion().Version, Exact: a.common.exact, Threads: a.common.threads, Machine: doctor.ThisMachine(),
			Progress: func(done, all int) { _ = draw(int64(done), int64(all)) }}) // Examine looks at ctx itself
		clearBar()
		if err != nil {
			return err
		}
		return a.printDoctor(r, strict)
	})
}

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
