package api

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// endless is an answer that goes on until it is closed.
type endless struct{ closed chan struct{} }

func (s *endless) Next() (Piece, error) {
	select {
	case <-s.closed:
		return Piece{}, io.ErrClosedPipe
	default:
		return Piece{Text: "a"}, nil
	}
}

func (s *endless) Result() Result { return Result{} }

func (s *endless) Close() { close(s.closed) }

// TestGatherPanic checks that a function that panics leaves no answer open, and that the caller is told.
func TestGatherPanic(t *testing.T) {
	panics := func() error { panic("a fault") }
	for name, gather := range map[string]func([]Stream) error{
		"begin": func(list []Stream) error { return Gather(list, panics, nil, 0, nil) },
		"each":  func(list []Stream) error { return Gather(list, nil, func(Part) error { return panics() }, 0, nil) },
	} {
		a, b := &endless{make(chan struct{})}, &endless{make(chan struct{})}
		if err := gather([]Stream{a, b}); err == nil || !strings.HasPrefix(err.Error(), "panic: a fault\n") {
			t.Errorf("%s: want the panic as an error, got %v", name, err)
		}
		for i, s := range []*endless{a, b} {
			select {
			case <-s.closed:
			default:
				t.Errorf("%s: answer %d is still open", name, i)
			}
		}
	}
}

// TestWait checks that a reader hears of work that takes long, and that a fault of either side is told when work has
// ended.
func TestWait(t *testing.T) {
	heard, over := make(chan struct{}), make(chan struct{})
	fault, gone := errors.New("a fault"), errors.New("gone")
	idle := func() error {
		select {
		case heard <- struct{}{}:
		case <-over: // a fourth time, before Wait has seen the end of the work
		}
		return nil
	}
	thrice := func() error {
		defer close(over)
		for range 3 {
			<-heard
		}
		return fault
	}
	if err := Wait(thrice, time.Millisecond, idle); !errors.Is(err, fault) {
		t.Errorf("want what the work failed by, got %v", err)
	}
	ended := false
	err := Wait(func() error { <-heard; ended = true; return fault }, time.Millisecond, func() error { heard <- struct{}{}; return gone })
	if !errors.Is(err, gone) || !ended {
		t.Errorf("want the error of a reader that is gone behind the end of the work (%v), got %v", ended, err)
	}
	for _, while := range []time.Duration{0, time.Hour} {
		if err := Wait(func() error { panic("a fault") }, while, nil); err == nil || !strings.HasPrefix(err.Error(), "panic: a fault\n") {
			t.Errorf("want the panic as an error, got %v", err)
		}
	}
	if err := Wait(func() error { <-heard; return nil }, time.Millisecond, func() error { defer close(heard); panic("a fault") }); err == nil {
		t.Error("want the panic of idle as an error, got none")
	}
}
