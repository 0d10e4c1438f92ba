package api

import (
	"io"
	"strings"
	"testing"
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
