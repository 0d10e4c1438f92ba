package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// A process that leaves says so on a line of its own: a bar is taken away for it, and a text that is being written on
// the same terminal stays.
func TestLeaveLine(t *testing.T) {
	const said = "rwkv-gpu: generate: interrupted\n"
	for name, c := range map[string]struct {
		bar, terminal, same bool
		want                string
	}{
		"text on the terminal":  {false, true, true, "\n" + said},
		"a bar":                 {true, true, true, "\r\x1b[K" + said},
		"a bar, text elsewhere": {true, true, false, "\r\x1b[K" + said},
		"text elsewhere":        {false, true, false, said},
		"errors to a file":      {false, false, true, said},
	} {
		var terminal, drawn bytes.Buffer
		acquitted, abandoned := 0, 0
		d := &departure{args: []string{"generate", "x"}, stdout: io.Discard, stderr: &terminal, isTerminal: func(any) bool { return c.terminal },
			acquit: func() { acquitted += 1 - abandoned }, abandon: func() { abandoned++ }, exit: func(status int) {
				if status != statusInterrupted || acquitted != 1 || abandoned != 1 {
					t.Errorf("%s: status %d, forms acquitted %d times before unfinished files were removed %d times", name, status, acquitted, abandoned)
				}
			}}
		if c.same {
			d.stdout = &terminal
		}
		bar := newBar(&drawn, "loading", 10, true)
		if !c.bar {
			clearBar(bar)
		}
		d.leave(context.Canceled)
		clearBar(bar)
		if got := terminal.String(); got != c.want {
			t.Errorf("%s: want %q, got %q", name, c.want, got)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	again, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !sameFile(null, again) || sameFile(null, io.Discard) {
		t.Error("whether two streams are the same file is told wrongly")
	}
}

// Only an end by the user acquits the kernels that are being tried.
func TestLeaveAcquits(t *testing.T) {
	for _, c := range []struct {
		why  error
		want int
	}{{context.Canceled, 1}, {engine.ErrTimeout, 0}} {
		acquitted := 0
		d := &departure{stdout: io.Discard, stderr: io.Discard, isTerminal: func(any) bool { return false }, acquit: func() { acquitted++ },
			abandon: func() {}, exit: func(int) {}}
		if d.leave(c.why); acquitted != c.want {
			t.Errorf("%v: want forms acquitted %d times, got %d", c.why, c.want, acquitted)
		}
	}
}
