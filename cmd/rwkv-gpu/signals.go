package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// patience is how long a run may take to end by itself after a signal. It may be stuck in a driver's call that never
// returns.
const patience = 700 * time.Millisecond

// morePatience is what a run has asked for beyond that, to end its work in order: a time.Duration.
var morePatience atomic.Int64

// errTerminated is the cause of a context that a signal other than the user's own Ctrl-C ended.
var errTerminated = errors.New("terminated")

// departure ends a process: when its run is over, or without waiting for the run, whichever comes first.
type departure struct {
	once           sync.Once
	args           []string
	stdout, stderr io.Writer
	isTerminal     func(stream any) bool
	acquit         func() // takes back suspicions that do not follow from an end by the user
	abandon        func() // removes the files that are being written
	exit           func(status int)
}

// end exits with a status. If the process is ending already, it waits for that.
func (d *departure) end(status int) { d.once.Do(func() { d.exit(status) }) }

// watch cancels the run at the first signal. If that does not end it in time, or at a second signal, it ends the
// process.
func (d *departure) watch(signals <-chan os.Signal, cancel func(cause error)) {
	why := context.Canceled
	if s := <-signals; s != os.Interrupt {
		why = errTerminated
	}
	cancel(why)
	late := time.NewTimer(patience + time.Duration(morePatience.Load()))
	select {
	case <-signals:
	case <-late.C:
	}
	d.leave(context.Canceled)
}

// leave ends the process for a reason, even if the run is stuck. It does what the run cannot do any more, unless a disk
// or a pipe holds that up too.
func (d *departure) leave(why error) {
	d.once.Do(func() {
		left := make(chan struct{})
		go func() {
			defer close(left)
			if errors.Is(why, context.Canceled) {
				d.acquit()
			}
			d.abandon() // from here on nothing is written
			d.freeLine()
			a := &app{stderr: d.stderr, started: true}
			a.report(commandName(a.rootCommand(), d.args), why)
		}()
		select {
		case <-left:
		case <-time.After(patience / 4):
		}
		d.exit(statusOf(why))
	})
}

// freeLine frees the line of the terminal of standard error: it removes a bar, where the terminal can, and leaves a text
// that is being written.
func (d *departure) freeLine() {
	switch {
	case !d.isTerminal(d.stderr):
	case barDrawn.Load() && obeysSequences(d.stderr):
		_, _ = io.WriteString(d.stderr, "\r\x1b[K")
	case barDrawn.Load() || sameFile(d.stdout, d.stderr):
		_, _ = io.WriteString(d.stderr, "\n")
	}
}

// sameFile reports whether two streams end in the same file or terminal.
func sameFile(a, b io.Writer) bool {
	x, ok := a.(*os.File)
	y, too := b.(*os.File)
	if !ok || !too {
		return a == b
	}
	i, err := x.Stat()
	j, fault := y.Stat()
	return err == nil && fault == nil && os.SameFile(i, j)
}

// untilSignal runs the command line and exits: when the command line is done, a signal ends it, or a driver hangs.
func untilSignal(run func(ctx context.Context) int) {
	for _, s := range ignored { // one by one: without arguments Ignore would ignore all signals
		signal.Ignore(s)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	d := &departure{args: os.Args[1:], stdout: os.Stdout, stderr: os.Stderr, isTerminal: isTerminal, acquit: device.AcquitForms,
		abandon: files.Abandon, exit: os.Exit}
	device.OnHang = d.leave
	go d.watch(signals, cancel)
	d.end(run(ctx))
}
