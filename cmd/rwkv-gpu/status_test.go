package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// A reader of standard output that has gone is no failure; whatever else went wrong beside it is.
func TestClosedEarly(t *testing.T) {
	lost := &engine.DeviceError{Device: "x", Err: errors.New("device lost")}
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
