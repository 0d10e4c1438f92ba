package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// A reader of standard output that has gone is no failure; whatever else went wrong beside it is.
func TestClosedEarly(t *testing.T) {
	lost := &device.Error{Device: "x", Err: errors.New("device lost")}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{syscall.EPIPE, true},
		{fmt.Errorf("write: %w", syscall.EPIPE), true},
		{errors.Join(fmt.Errorf("write: %w", syscall.EPIPE), syscall.EPIPE), true},
		{errors.Join(syscall.EPIPE, lost), false},
		{fmt.Errorf("x: %w", errors.Join(lost, syscall.EPIPE)), false},
		{lost, false},
	} {
		if got := closedEarly(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// Errors of every package keep their exit status however they are wrapped, joined or blamed on the model that ran.
func TestStatusOf(t *testing.T) {
	lost := &gpu.Error{Call: "vkQueueSubmit", Result: -4}
	for want, list := range map[int][]error{
		statusDone:   {nil},
		statusFailed: {errors.New("anything"), &weights.SaveError{Path: "p", Err: fs.ErrPermission}, output(syscall.ENOSPC), op.ErrClosed, engine.ErrNoSlot},
		statusUsage:  {usagef("--x", "y"), &device.Error{Device: "CPU", Err: &cpu.LevelError{Got: "x"}}},
		statusInput: {inputf("f", "y"), &weights.Error{File: "f"}, &tokenizer.Error{}, &op.NotFiniteError{Tensor: "t"}, &fs.PathError{Op: "open", Err: fs.ErrNotExist},
			&sample.LogitsError{ID: 3}},
		statusDevice: {lost, &device.Error{Device: "d", Err: errors.New("x")}, &gpu.HangError{What: "x"}, gpu.ErrOutOfMemory, gpu.ErrNoLoader,
			gpu.ErrNoDevice, gpu.Unsupportedf("x"), &gpu.Error{Call: "vkX", Result: -1}, &gpu.Error{Call: "vkX", Result: -77}},
		statusInterrupted: {context.Canceled, errors.Join(lost, context.Canceled)},
	} {
		for _, err := range list {
			for how, wrapped := range map[string]error{"as it is": err, "wrapped": fmt.Errorf("x: %w", err), "joined": errors.Join(err, errors.New("y")),
				"twice": fmt.Errorf("x: %w", errors.Join(fmt.Errorf("y: %w", err), nil))} {
				if err == nil && how != "as it is" {
					continue
				}
				if got := statusOf(wrapped); got != want {
					t.Errorf("%v, %s: status %d, want %d", wrapped, how, got, want)
				}
				if got := statusOf(blame("f", wrapped)); got != want && want != statusFailed {
					t.Errorf("%v, %s: status %d once blamed on a file, want %d", wrapped, how, got, want)
				}
			}
		}
	}
}

// Of a device that failed only the first error is told: the others follow from it.
func TestReportFirst(t *testing.T) {
	var stderr strings.Builder
	a := &app{stderr: &stderr, started: true}
	err := errors.Join(&device.Error{Device: "d", Err: &gpu.HangError{What: "prefill"}}, errors.New("and more"))
	if status := a.report("generate", err); status != statusDevice || stderr.String() != "rwkv-gpu: generate: device d: prefill: the device hangs: no answer for 0s\n" {
		t.Errorf("status %d, %q", status, stderr.String())
	}
}
